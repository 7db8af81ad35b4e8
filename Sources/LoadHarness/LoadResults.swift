import Histogram

/// What came of one group of requests. Sendable, since the histogram is a value, though the library does not say so.
public struct GroupResults: @unchecked Sendable {
    /// In nanoseconds, up to ten minutes, to three digits.
    private var latencies = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000_000, numberOfSignificantValueDigits: .three)
    /// Latency over own service time, in thousandths.
    private var slowdowns = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000_000, numberOfSignificantValueDigits: .three)
    public private(set) var completed = 0
    private var timed = 0
    /// By code of the refusal, `broken` for a connection that failed, `unanswered` for what was not over at the end, `client_overload` for what
    /// was not sent.
    public private(set) var errors: [String: Int] = [:]

    public init() {}

    /// - Parameter service: the handler's own time; 0 where that is not known.
    public mutating func record(latencyNanoseconds: UInt64, serviceNanoseconds service: UInt64 = 0) {
        latencies.record(min(max(latencyNanoseconds, 1), 600_000_000_000))
        completed += 1
        guard service > 0 else { return }
        timed += 1
        slowdowns.record(min(max(latencyNanoseconds &* 1000 / service, 1), 10_000_000_000))
    }

    public mutating func record(error: String, count: Int = 1) { errors[error, default: 0] += count }

    public func milliseconds(atPercentile percentile: Double) -> Double {
        completed == 0 ? 0 : Double(latencies.valueAtPercentile(percentile)) / 1e6
    }

    private var latency: LoadReport.Latency {
        .init(
            p50: milliseconds(atPercentile: 50), p90: milliseconds(atPercentile: 90), p99: milliseconds(atPercentile: 99),
            p99_9: milliseconds(atPercentile: 99.9), max: completed == 0 ? 0 : Double(latencies.max) / 1e6)
    }

    private var slowdown: LoadReport.Latency? {
        guard timed > 0 else { return nil }
        func value(_ percentile: Double) -> Double { Double(slowdowns.valueAtPercentile(percentile)) / 1000 }
        return .init(p50: value(50), p90: value(90), p99: value(99), p99_9: value(99.9), max: Double(slowdowns.max) / 1000)
    }

    public func report(seconds: Double) -> LoadReport.Group {
        LoadReport.Group(
            completed: completed, errors: errors, throughput_rps: Double(completed) / seconds, latency_ms: latency, slowdown: slowdown)
    }
}

/// What `--json` writes; the names are the field names.
public struct LoadReport: Codable, Sendable {
    public struct Latency: Codable, Sendable {
        public var p50, p90, p99, p99_9, max: Double
    }

    public struct Group: Codable, Sendable {
        public var completed: Int
        public var errors: [String: Int]
        public var throughput_rps: Double
        public var latency_ms: Latency
        /// Latency over the handler's own time, where that is known.
        public var slowdown: Latency?
    }

    public struct Fairness: Codable, Sendable, Equatable {
        /// Jain's index of what equals got, the lowest of all seconds: 1 when all got the same.
        public var jain: Double
        /// The largest difference of a tenant's part of the CPU time from its weight's part, in parts of the latter.
        public var max_share_error: Double
    }

    public struct Revivals: Codable, Sendable, Equatable {
        public var p50, p99: Double
    }

    public struct BytesPerTenant: Codable, Sendable, Equatable {
        public var hot, warm, cold: Double?
    }

    /// One second of the measured part.
    public struct Second: Codable, Sendable {
        public var second: Int
        public var completed: [String: Int]
        public var errors: Int
        public var jain: Double?
        public var rss_bytes: UInt64?
    }

    public var scenario: String
    /// What answered: `cloister`, or a peer's name.
    public var system: String
    public var tenants: Int
    public var workers: Int
    public var cells: Int
    public var duration_s: Double
    public var offered_rps: Double
    public var seed: UInt64
    public var completed: Int
    public var errors: [String: Int]
    public var throughput_rps: Double
    public var latency_ms: Latency
    public var groups: [String: Group]
    public var fairness: Fairness
    public var preemptions: UInt64
    public var handoffs: UInt64
    /// CPU time of the daemon and its cells a request.
    public var cpu_us_per_request: Double
    /// Resident memory of all processes, a shared page counted once.
    public var rss_bytes: UInt64
    public var cold_starts: UInt64
    /// Proportional set size that each further tenant added to the cells; scenarios `idle` and `resident`.
    public var pss_bytes_per_tenant: Double?
    /// How long revivals took: what their clients saw in the scenario `revive`, else by the daemon's histogram, to the width of its buckets.
    public var revive_ms: Revivals?
    /// In the measured part, as `cold_starts`.
    public var evictions: UInt64?
    public var revivals: UInt64?
    /// Revivals and cold starts over what Belady's rule would have needed with as many isolates.
    public var belady_ratio: Double?
    /// Means. Hot: proportional set size; warm: likewise in `idle`, else what cells account for; cold: of the daemon's own memory.
    public var bytes_per_tenant: BytesPerTenant?
    public var series: [Second]
}

/// How equally, and how much by weight, tenants were served.
enum FairnessMeasure {
    /// Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", DEC TR-301, 1984; 1 where nobody got anything.
    static func jain(_ values: [Double]) -> Double {
        let squares = values.reduce(0) { $0 + $1 * $1 }
        guard squares > 0 else { return 1 }
        let sum = values.reduce(0, +)
        return sum * sum / (Double(values.count) * squares)
    }

    static func largestShareError(of used: [Double], weights: [Double]) -> Double {
        let total = used.reduce(0, +)
        let weight = weights.reduce(0, +)
        guard total > 0, weight > 0 else { return 0 }
        return zip(used, weights).map { abs($0 / total - $1 / weight) / ($1 / weight) }.max() ?? 0
    }

    /// The lowest index among tenants of the same weight.
    static func jainAmongEquals(_ used: [Double], weights: [Double]) -> Double {
        Dictionary(grouping: used.indices, by: { weights[$0] }).values.map { jain($0.map { used[$0] }) }.min() ?? 1
    }
}
