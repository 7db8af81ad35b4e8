import Histogram

/// What came of one group of requests. Sendable, since the histogram is a value, though the library does not say so.
public struct GroupResults: @unchecked Sendable {
    /// In nanoseconds, up to ten minutes, to three digits.
    private var latencies = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000_000, numberOfSignificantValueDigits: .three)
    public private(set) var completed = 0
    /// By code of the refusal, or `broken` for a connection that failed.
    public private(set) var errors: [String: Int] = [:]

    public init() {}

    public mutating func record(latencyNanoseconds: UInt64) {
        latencies.record(latencyNanoseconds)
        completed += 1
    }

    public mutating func record(error: String) { errors[error, default: 0] += 1 }

    public func milliseconds(atPercentile percentile: Double) -> Double {
        completed == 0 ? 0 : Double(latencies.valueAtPercentile(percentile)) / 1e6
    }

    public func report(seconds: Double) -> LoadReport.Group {
        LoadReport.Group(
            completed: completed, errors: errors, throughput_rps: Double(completed) / seconds,
            latency_ms: .init(
                p50: milliseconds(atPercentile: 50), p90: milliseconds(atPercentile: 90), p99: milliseconds(atPercentile: 99),
                p99_9: milliseconds(atPercentile: 99.9), max: completed == 0 ? 0 : Double(latencies.max) / 1e6))
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
    }

    public var scenario: String
    public var tenants: Int
    public var workers: Int
    public var duration_s: Double
    public var offered_rps: Double
    public var seed: UInt64
    public var completed: Int
    public var errors: [String: Int]
    public var throughput_rps: Double
    public var latency_ms: Latency
    public var groups: [String: Group]
    /// Of the daemon and its cells, when it was started by the harness.
    public var rss_bytes: UInt64?
    /// Proportional set size that each further tenant added to the cells; scenario `idle`.
    public var pss_bytes_per_tenant: Double?
    public var preemptions: UInt64?
    public var cold_starts: UInt64?
    /// CPU time of the daemon and its cells a request.
    public var cpu_us_per_request: Double?
}
