/// How equally, and how much by weight, tenants were served. Nil: there was nothing to compare.
enum FairnessMeasure {
    /// Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", DEC TR-301, 1984; nil where nobody got anything.
    static func jain(_ values: [Double]) -> Double? {
        let squares = values.reduce(0) { $0 + $1 * $1 }
        guard squares > 0 else { return nil }
        let sum = values.reduce(0, +)
        return sum * sum / (Double(values.count) * squares)
    }

    static func largestShareError(of used: [Double], weights: [Double]) -> Double? {
        let total = used.reduce(0, +)
        let weight = weights.reduce(0, +)
        guard used.count > 1, total > 0, weight > 0 else { return nil }
        return zip(used, weights).map { abs($0 / total - $1 / weight) / ($1 / weight) }.max()
    }

    /// The lowest index among tenants of the same weight.
    static func jainAmongEquals(_ used: [Double], weights: [Double]) -> Double? {
        Dictionary(grouping: used.indices, by: { weights[$0] }).values.filter { $0.count > 1 }.compactMap { jain($0.map { used[$0] }) }
            .min()
    }
}

/// Which requests of a plan were not answered, by the second in which they were due and by tenant.
struct UnansweredRequests {
    private var counts: [Int: [Int: Int]] = [:]

    mutating func add(second: Int, tenant: Int) { counts[second, default: [:]][tenant, default: 0] += 1 }

    /// How equal the parts are that tenants got answered of what they asked for.
    /// - Parameter plan: what was asked for, in order: the second and the tenant of each request.
    /// - Returns: Jain's index of each second in which several tenants asked and one was answered, and the largest share error of all.
    func fairness(of plan: some Sequence<(second: Int, tenant: Int)>) -> (jain: [Int: Double], shareError: Double?) {
        var jain: [Int: Double] = [:]
        var asked: [Int: Int] = [:]
        var total: [Int: (asked: Int, answered: Int)] = [:]
        var current: Int?
        func close() {
            guard let current else { return }
            let failed = counts[current] ?? [:]
            var parts: [Double] = []
            for (tenant, count) in asked {
                let answered = count - (failed[tenant] ?? 0)
                parts.append(Double(answered) / Double(count))
                let before = total[tenant] ?? (0, 0)
                total[tenant] = (before.asked + count, before.answered + answered)
            }
            if parts.count > 1 { jain[current] = FairnessMeasure.jain(parts) }
            asked = [:]
        }
        for (second, tenant) in plan {
            if second != current {
                close()
                current = second
            }
            asked[tenant, default: 0] += 1
        }
        close()
        let all = Array(total.values)
        return (
            jain, FairnessMeasure.largestShareError(of: all.map { Double($0.answered) }, weights: all.map { Double($0.asked) })
        )
    }
}
