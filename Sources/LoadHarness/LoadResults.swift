import Histogram

/// What came of one group of requests. Sendable, since the histogram is a value, though the library does not say so.
public struct GroupResults: @unchecked Sendable {
    /// In nanoseconds, up to ten minutes, to three digits.
    private var latencies = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000_000, numberOfSignificantValueDigits: .three)
    /// Latency over own service time, in thousandths.
    private var slowdowns = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000_000, numberOfSignificantValueDigits: .three)
    /// Requests that were answered.
    public private(set) var completed = 0
    /// Of these, those that were answered while requests were sent.
    private var inTime = 0
    /// Requests of loops that were neither answered nor refused at the end.
    public private(set) var open = 0
    /// By code of the refusal, `broken` for a connection that failed, `unanswered` for what was given up, `client_overload` for what was not sent.
    public private(set) var errors: [String: Int] = [:]

    /// Of no request yet.
    public init() {}

    /// - Parameters:
    ///   - service: the handler's own time; 0 where that is not known.
    ///   - isInTime: the answer came while requests were sent: later ones are no throughput, or whoever has fallen behind would have as much as was asked
    ///     for.
    public mutating func record(latencyNanoseconds: UInt64, serviceNanoseconds service: UInt64 = 0, isInTime: Bool = true) {
        count(latencyNanoseconds, service)
        completed += 1
        if isInTime { inTime += 1 }
    }

    /// A request that was given up. It counts as if it had been answered at that moment: its latency is that age at least, and a system that
    /// stalls is not taken for a quick one.
    public mutating func record(unansweredNanoseconds age: UInt64, serviceNanoseconds service: UInt64 = 0) {
        count(age, service)
        record(error: "unanswered")
    }

    /// A loop's request that was open at the end; it counts with its age, too, and is no error.
    public mutating func record(openNanoseconds age: UInt64, serviceNanoseconds service: UInt64 = 0) {
        count(age, service)
        open += 1
    }

    /// A request without a latency: refused, broken, or never sent.
    public mutating func record(error: String) { errors[error, default: 0] += 1 }

    private mutating func count(_ nanoseconds: UInt64, _ service: UInt64) {
        latencies.record(min(max(nanoseconds, 1), 600_000_000_000))
        guard service > 0 else { return }
        slowdowns.record(min(max(nanoseconds &* 1000 / service, 1), 10_000_000_000))
    }

    /// Takes in what came of another group.
    public mutating func add(_ other: GroupResults) {
        latencies.add(other.latencies)
        slowdowns.add(other.slowdowns)
        completed += other.completed
        inTime += other.inTime
        open += other.open
        errors.merge(other.errors, uniquingKeysWith: +)
    }

    /// - Returns: nil when nothing was answered or waited for.
    public func milliseconds(atPercentile percentile: Double) -> Double? {
        latencies.totalCount == 0 ? nil : Double(latencies.valueAtPercentile(percentile)) / 1e6
    }

    private static func percentiles(_ histogram: Histogram<UInt64>, unit: Double) -> LoadReport.Latency? {
        guard histogram.totalCount > 0 else { return nil }
        func value(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / unit }
        return .init(p50: value(50), p90: value(90), p99: value(99), p99_9: value(99.9), max: Double(histogram.max) / unit)
    }

    /// - Parameter seconds: for which its requests were sent and counted.
    public func report(seconds: Double) -> LoadReport.Group {
        LoadReport.Group(
            completed: completed, open: open, errors: errors, throughput_rps: seconds > 0 ? Double(inTime) / seconds : 0,
            latency_ms: Self.percentiles(latencies, unit: 1e6), slowdown: Self.percentiles(slowdowns, unit: 1000))
    }
}
