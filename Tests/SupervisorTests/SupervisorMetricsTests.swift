import Telemetry
import Testing

@testable import Supervisor

/// What Prometheus' own check of names looks for.
@Suite struct SupervisorMetricsTests {
    /// Name and type of every family.
    private static let families: [(name: String, type: String)] = {
        let registry = MetricsRegistry()
        _ = SupervisorMetrics(registry)
        return registry.text().split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map {
            let words = $0.split(separator: " ")
            return (String(words[2]), String(words[3]))
        }
    }()

    @Test func countersAndOnlyTheyEndInTotal() {
        #expect(Self.families.count > 20)
        for (name, type) in Self.families { #expect(name.hasSuffix("_total") == (type == "counter"), "\(name) is a \(type)") }
    }

    @Test func unitsAreBaseUnits() {
        let units = ["_ms", "_milliseconds", "_microseconds", "_ns", "_minutes", "_hours", "_kb", "_kib", "_mb", "_mib", "_percent"]
        for (name, type) in Self.families {
            let base = type == "counter" ? String(name.dropLast("_total".count)) : name
            #expect(!units.contains { base.hasSuffix($0) }, "\(name)")
            if type == "histogram" { #expect(name.hasSuffix("_seconds") || name.hasSuffix("_bytes"), "\(name)") }
        }
    }
}
