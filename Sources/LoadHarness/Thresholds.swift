/// What a run must keep to, from the command line.
public struct Thresholds: Sendable, Equatable {
    /// Of the report's `latency_ms.p50`; nil, here and below: no threshold.
    public var maxP50Milliseconds: Double?
    /// Of its `latency_ms.p99`.
    public var maxP99Milliseconds: Double?
    /// Of its `latency_ms.p99_9`.
    public var maxP999Milliseconds: Double?
    /// Of all its errors together.
    public var maxErrors: Int?
    /// Of its `throughput_rps`.
    public var minThroughput: Double?
    /// Of its `fairness.jain`, from 0 to 1.
    public var minJain: Double?
    /// Of its `fairness.max_share_error`, in parts of a share.
    public var maxShareError: Double?
    /// Of the largest `slowdown.p99_9` of its groups.
    public var maxSlowdownP999: Double?

    /// Without any: every report keeps to them.
    public init() {}

    /// What is wrong with them: each is a number, not below 0, and Jain's index is at most 1. Nil: nothing.
    public var problem: String? {
        let limits = [
            ("--max-p50-ms", maxP50Milliseconds), ("--max-p99-ms", maxP99Milliseconds), ("--max-p999-ms", maxP999Milliseconds),
            ("--max-errors", maxErrors.map(Double.init)), ("--min-throughput", minThroughput), ("--min-jain", minJain),
            ("--max-share-error", maxShareError), ("--max-slowdown-p999", maxSlowdownP999),
        ]
        for case (let name, let limit?) in limits where !(limit >= 0 && limit.isFinite) {
            return "\(name) is \(limit); it must be a number of at least 0"
        }
        if let minJain, minJain > 1 { return "--min-jain is \(minJain); Jain's index is at most 1" }
        return nil
    }

    /// What a report misses, a line each. What was not measured is missed.
    public func missed(by report: LoadReport) -> [String] {
        var lines: [String] = []
        func check(_ name: String, _ value: Double?, _ limit: Double?, _ relation: String, isMissed: (Double, Double) -> Bool) {
            guard let limit else { return }
            guard let value else { return lines.append("\(name) was not measured; the limit is \(limit)") }
            if isMissed(value, limit) { lines.append("\(name) is \(value), \(relation) \(limit)") }
        }
        func above(_ name: String, _ value: Double?, _ limit: Double?) { check(name, value, limit, "above", isMissed: >) }
        func below(_ name: String, _ value: Double?, _ limit: Double?) { check(name, value, limit, "below", isMissed: <) }
        // The age of what was never answered is no latency.
        let latency = report.completed > 0 ? report.latency_ms : nil
        above("p50 in ms", latency?.p50, maxP50Milliseconds)
        above("p99 in ms", latency?.p99, maxP99Milliseconds)
        above("p99.9 in ms", latency?.p99_9, maxP999Milliseconds)
        above("the number of errors", Double(report.errors.values.reduce(0, +)), maxErrors.map(Double.init))
        below("throughput in requests/s", report.throughput_rps, minThroughput)
        below("Jain's index", report.fairness?.jain, minJain)
        above("the largest share error", report.fairness?.max_share_error, maxShareError)
        let slowdowns = report.groups.values.filter { $0.completed > 0 }.compactMap { $0.slowdown?.p99_9 }
        above("p99.9 of slowdown", slowdowns.max(), maxSlowdownP999)
        return lines
    }
}
