import Telemetry
import Testing
import Wire

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

    /// Each is what the cell has said of just that.
    @Test func whatACellTellsIsInItsOwnSeries() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        try await test.advance(milliseconds: 1_000)
        try await cell.status { status in
            let fields: [WritableKeyPath<CellStatus, UInt64>] = [
                \.isolates, \.isolateBytes, \.storedBytes, \.warm, \.trims, \.evictedIdle, \.evictedByPressure, \.evictedAtLimit,
                \.evictedWhenAsked, \.evictedTooEarly, \.prewarmed, \.coldStarts, \.pageBytes, \.preemptions, \.migrations, \.handoffs,
            ]
            for (index, field) in fields.enumerated() { status[keyPath: field] = UInt64(index) + 1 }
            status.coldStartMicroseconds = 17_000_000
            status.marginalValue = 18_000_000_000
        }
        while try await test.onLoop({ $0.allCells[0].status.isolates == 0 }) { await Task.yield() }
        let text = test.registry.text()
        let evictions = ["idle", "pressure", "limit", "asked"].map { "evictions_total{cell=\"standard#0\",reason=\"\($0)\"}" }
        let own = [
            "isolates", "isolate_bytes", "stored_bytes", "warm_tenants", "trims_total", "", "", "", "", "evicted_too_early_total",
            "prewarmed_total", "cold_starts_total", "cell_accounted_bytes", "preemptions_total", "migrations_total", "handoffs_total",
            "cold_start_seconds_total", "memory_marginal_value",
        ]
        for (index, name) in own.enumerated() {
            let series = name.isEmpty ? evictions[index - 5] : "\(name){cell=\"standard#0\"}"
            #expect(text.contains("cloister_\(series) \(index + 1)\n"), "\(series)")
        }
    }

    /// A family has room for some thousands, and far more may be registered.
    @Test func aTenantHasSeriesFromWhatIsCountedFirstOn() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        #expect(!test.registry.text().contains("tenant="))
        var clients: [TestExchange] = []
        clients.append(try await test.request())
        let cell = try await test.readyCell()
        for _ in 0..<2 {
            // No more CPU time is believed than there was.
            let id = try await cell.nextRequest().id
            try await test.advance(milliseconds: 10)
            cell.answer(id)
            _ = try await clients.last?.next()
            clients.append(try await test.request())
        }
        try await test.onLoop { _ in }
        let lines = test.registry.text().split(separator: "\n").filter { $0.contains("tenant=") }
        #expect(lines.count == 2 && lines.first?.hasPrefix("cloister_cpu_seconds_total{tenant=\"a\"} 0.0") == true, "\(lines)")
        #expect(lines.last == "cloister_requests_total{tenant=\"a\",outcome=\"ok\"} 2")
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
