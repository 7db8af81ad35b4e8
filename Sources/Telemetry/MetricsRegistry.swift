import Synchronization

/// The metrics of one daemon and their text form, Prometheus' exposition format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/). Usable from any thread.
///
/// Names begin with `cloister_` and end in their base unit (`_seconds`, `_bytes`), counters in `_total`.
public final class MetricsRegistry: Sendable {
    /// What HTTP calls the text's type.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private enum Family: Sendable {
        case counter(CounterFamily)
        case gauge(GaugeFamily, MetricKind)
        case histogram(HistogramFamily)
        case sampled(kind: MetricKind, help: String, labels: [String], collect: @Sendable () -> [Sample])
    }

    private let seriesLimit: Int
    private let families = Mutex<[String: Family]>([:])

    /// - Parameter seriesLimit: series a family; what comes later shares one series, or one for each value of an enumerated label.
    ///   The default holds 1,000 tenants times 20 outcomes.
    public init(seriesLimit: Int = 20_000) { self.seriesLimit = seriesLimit }

    /// The counters called `name`; asking twice gives the same ones.
    /// - Parameter enumerated: those of the labels that have a few known values, and keep them over the limit of series.
    public func counter(_ name: String, help: String, labels: [String] = [], enumerated: Set<String> = []) -> CounterFamily {
        check(name, labels)
        return families.withLock { families in
            if let known = families[name] {
                guard case .counter(let family) = known, family.labels == labels else { Self.conflict(name) }
                return family
            }
            let family = CounterFamily(name: name, help: help, labels: labels, enumerated: enumerated, seriesLimit: seriesLimit) {
                Counter()
            }
            families[name] = .counter(family)
            return family
        }
    }

    /// The gauges called `name`; asking twice gives the same ones.
    /// - Parameter kind: `.counter` for what somebody else counts from his start on, and tells from time to time.
    public func gauge(_ name: String, help: String, labels: [String] = [], kind: MetricKind = .gauge) -> GaugeFamily {
        check(name, labels)
        precondition(kind != .histogram, "\(name): a histogram is no gauge")
        return families.withLock { families in
            if let known = families[name] {
                guard case .gauge(let family, kind) = known, family.labels == labels else { Self.conflict(name) }
                return family
            }
            let family = GaugeFamily(name: name, help: help, labels: labels, seriesLimit: seriesLimit) { Gauge() }
            families[name] = .gauge(family, kind)
            return family
        }
    }

    /// The histograms called `name`; asking twice gives the same ones.
    public func histogram(
        _ name: String, help: String, labels: [String] = [], upperBounds: [Double] = Histogram.secondsBounds
    ) -> HistogramFamily {
        check(name, labels)
        return families.withLock { families in
            if let known = families[name] {
                guard case .histogram(let family) = known, family.labels == labels else { Self.conflict(name) }
                return family
            }
            let family = HistogramFamily(name: name, help: help, labels: labels, seriesLimit: seriesLimit) {
                Histogram(upperBounds: upperBounds)
            }
            families[name] = .histogram(family)
            return family
        }
    }

    /// A metric whose values are asked for when somebody collects. `collect` runs on the collector's thread, must not block, and replaces
    /// an earlier one of the same name. What it gives over the limit of series is left out.
    public func sampled(
        _ name: String, help: String, kind: MetricKind, labels: [String] = [], collect: @escaping @Sendable () -> [Sample]
    ) {
        check(name, labels)
        precondition(kind != .histogram, "\(name): a histogram cannot be sampled")
        families.withLock { families in
            if let known = families[name], case .sampled = known {} else if families[name] != nil { Self.conflict(name) }
            families[name] = .sampled(kind: kind, help: help, labels: labels, collect: collect)
        }
    }

    /// Everything, families in the order of their names.
    public func text() -> String {
        let all = families.withLock { $0 }.sorted { $0.key < $1.key }
        var text = ExpositionText()
        for (name, family) in all {
            switch family {
            case .counter(let family):
                text.begin(name, .counter, family.help)
                for (values, counter) in family.snapshot { text.series(name, family.labels, values, counter.value) }
            case .gauge(let family, let kind):
                text.begin(name, kind, family.help)
                for (values, gauge) in family.snapshot { text.series(name, family.labels, values, gauge.value) }
            case .histogram(let family):
                text.begin(name, .histogram, family.help)
                for (values, histogram) in family.snapshot { text.histogram(name, family.labels, values, histogram) }
            case .sampled(let kind, let help, let labels, let collect):
                text.begin(name, kind, help)
                for sample in collect().prefix(seriesLimit) where sample.labelValues.count == labels.count {
                    text.series(name, labels, sample.labelValues, sample.value)
                }
            }
        }
        return text.string
    }

    private func check(_ name: String, _ labels: [String]) {
        precondition(name.hasPrefix("cloister_") && Self.isName(name), "not a metric's name: \(name)")
        precondition(
            labels.allSatisfy { Self.isName($0) && !$0.hasPrefix("__") && $0 != "le" }, "\(name): not labels: \(labels)")
        precondition(Set(labels).count == labels.count, "\(name): a label twice in \(labels)")
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.enumerated().allSatisfy { index, byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
                default: false
                }
            }
    }

    private static func conflict(_ name: String) -> Never {
        preconditionFailure("the metric \(name) is already registered with another kind or other labels")
    }
}
