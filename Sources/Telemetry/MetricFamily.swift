import Synchronization

/// What a family's values are, as Prometheus names it.
public enum MetricKind: String, Sendable { case counter, gauge, histogram }

/// All series of one metric: one for each combination of label values that was asked for.
public final class MetricFamily<Series: Sendable>: Sendable {
    /// As it stands in `/metrics`.
    public let name: String
    /// Names of the labels; a series has a value for each.
    public let labels: [String]
    let help: String
    private let enumerated: Set<String>
    private let seriesLimit: Int
    private let make: @Sendable () -> Series
    private let series: Mutex<[[String]: Series]>

    /// Label value of the series that stand for all those over the limit.
    public static var overflowLabel: String { "_other" }
    /// Such series that differ in enumerated labels.
    private static var sharedLimit: Int { 100 }

    init(
        name: String, help: String, labels: [String], enumerated: Set<String> = [], seriesLimit: Int,
        make: @escaping @Sendable () -> Series
    ) {
        self.name = name
        self.help = help
        self.labels = labels
        self.enumerated = enumerated
        self.seriesLimit = seriesLimit
        self.make = make
        series = Mutex(labels.isEmpty ? [[]: make()] : [:])
    }

    /// The series with these label values, in the order of `labels`; made when it is new. Keep it, where it is used often: this takes a lock.
    /// Over the family's limit, everybody new shares one series whose labels say `_other`; where labels are enumerated, one for each of their
    /// values.
    public func with(_ values: [String]) -> Series {
        precondition(values.count == labels.count, "\(name) has the labels \(labels), got the values \(values)")
        return series.withLock { series in
            if let found = series[values] { return found }
            var key = values
            if series.count >= seriesLimit {
                key = zip(labels, values).map { enumerated.contains($0) ? $1 : Self.overflowLabel }
                // Should there be more of them than was thought.
                if series[key] == nil, series.count >= seriesLimit + Self.sharedLimit { key = labels.map { _ in Self.overflowLabel } }
                if let shared = series[key] { return shared }
            }
            let new = make()
            series[key] = new
            return new
        }
    }

    /// The only series of a family without labels.
    public var single: Series { with([]) }

    /// Forgets the series whose label `label` has one of `values`: tenants or cells that are gone. Those who still hold one add to nothing.
    /// One pass over all series, however many go.
    public func remove(label: String, values: Set<String>) {
        guard let index = labels.firstIndex(of: label) else { return }
        series.withLock { series in
            for key in series.keys where values.contains(key[index]) { series[key] = nil }
        }
    }

    /// Every series that was handed out, with its label values, in a stable order.
    var snapshot: [(values: [String], series: Series)] {
        series.withLock { series in series.map { (values: $0.key, series: $0.value) } }
            .sorted { $0.values.lexicographicallyPrecedes($1.values) }
    }
}

/// Counters by their labels' values.
public typealias CounterFamily = MetricFamily<Counter>
/// Gauges by their labels' values.
public typealias GaugeFamily = MetricFamily<Gauge>
/// Histograms by their labels' values.
public typealias HistogramFamily = MetricFamily<Histogram>

/// One value of a metric that is read when somebody collects.
public struct Sample: Sendable {
    /// In the order of the metric's labels.
    public var labelValues: [String]
    /// In the base unit of the metric.
    public var value: Double

    /// Without label values: of a metric without labels.
    public init(_ labelValues: [String] = [], _ value: Double) {
        self.labelValues = labelValues
        self.value = value
    }
}
