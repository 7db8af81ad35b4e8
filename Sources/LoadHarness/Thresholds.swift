/// What a run must keep to, from the command line.
public struct Thresholds: Sendable, Equatable {
    public var maxP50Milliseconds: Double?
    public var maxP99Milliseconds: Double?
    public var maxP999Milliseconds: Double?
    public var maxErrors: Int?
    public var minThroughput: Double?
    public var minJain: Double?
    public var maxShareError: Double?
    public var maxSlowdownP999: Double?

    public init() {}

    /// What a report misses, a line each.
    public func missed(by report: LoadReport) -> [String] {
        var lines: [String] = []
        func above(_ name: String, _ value: Double, _ limit: Double?) {
            if let limit, value > limit { lines.append("\(name) is \(value), above \(limit)") }
        }
        func below(_ name: String, _ value: Double, _ limit: Double?) {
            if let limit, value < limit { lines.append("\(name) is \(value), below \(limit)") }
        }
        above("p50 in ms", report.latency_ms.p50, maxP50Milliseconds)
        above("p99 in ms", report.latency_ms.p99, maxP99Milliseconds)
        above("p99.9 in ms", report.latency_ms.p99_9, maxP999Milliseconds)
        above("the number of errors", Double(report.errors.values.reduce(0, +)), maxErrors.map(Double.init))
        below("throughput in requests/s", report.throughput_rps, minThroughput)
        below("Jain's index", report.fairness.jain, minJain)
        above("the largest share error", report.fairness.max_share_error, maxShareError)
        if let maxSlowdownP999 {
            let slowdowns = report.groups.values.compactMap { $0.slowdown?.p99_9 }
            above("p99.9 of slowdown", slowdowns.max() ?? .infinity, maxSlowdownP999)
        }
        return lines
    }
}
