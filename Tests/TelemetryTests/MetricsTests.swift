import Testing

@testable import Telemetry

@Suite struct MetricsTests {
    @Test func aCounterShowsHelpTypeAndValue() {
        let registry = MetricsRegistry()
        registry.counter("cloister_requests_total", help: "Requests.", labels: ["tenant", "outcome"]).with(["a", "ok"]).add(3)
        #expect(
            registry.text() == """
                # HELP cloister_requests_total Requests.
                # TYPE cloister_requests_total counter
                cloister_requests_total{tenant="a",outcome="ok"} 3

                """)
    }

    @Test func aCounterNeverFalls() {
        let counter = Counter()
        counter.add(2)
        counter.add(-1)
        counter.add(.nan)
        counter.add(.infinity)
        #expect(counter.value == 2)
    }

    @Test func additionsFromManyThreadsAreAllCounted() async {
        let counter = Counter()
        let gauge = Gauge()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<5_000 {
                        counter.increment()
                        gauge.add(1)
                        gauge.add(-1)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 0)
    }

    @Test func labelValuesAndHelpAreEscaped() {
        let registry = MetricsRegistry()
        registry.gauge("cloister_x", help: "a\\b\nc", labels: ["l"]).with(["q\"\\\nz"]).set(1.5)
        #expect(
            registry.text() == "# HELP cloister_x a\\\\b\\nc\n# TYPE cloister_x gauge\ncloister_x{l=\"q\\\"\\\\\\nz\"} 1.5\n")
    }

    @Test func aHistogramsBucketsAreCumulatedAndItsCountIsTheirLast() {
        let registry = MetricsRegistry()
        let histogram = registry.histogram("cloister_d_seconds", help: "d", upperBounds: [0.1, 1]).single
        for value in [0.05, 0.1, 0.5, 7] { histogram.observe(value) }
        #expect(
            registry.text() == """
                # HELP cloister_d_seconds d
                # TYPE cloister_d_seconds histogram
                cloister_d_seconds_bucket{le="0.1"} 2
                cloister_d_seconds_bucket{le="1"} 3
                cloister_d_seconds_bucket{le="+Inf"} 4
                cloister_d_seconds_sum 7.65
                cloister_d_seconds_count 4

                """)
    }

    @Test func seriesOverTheLimitShareOne() {
        let registry = MetricsRegistry(seriesLimit: 2)
        let family = registry.counter("cloister_c_total", help: "c", labels: ["tenant"])
        for name in ["a", "b", "c", "d"] { family.with([name]).increment() }
        let text = registry.text()
        #expect(text.contains("cloister_c_total{tenant=\"_other\"} 2\n"))
        #expect(!text.contains("\"c\"") && !text.contains("\"d\""))
    }

    @Test func whatIsEnumeratedIsToldApartOverTheLimitToo() {
        let registry = MetricsRegistry(seriesLimit: 1)
        let family = registry.counter("cloister_c_total", help: "c", labels: ["tenant", "outcome"], enumerated: ["outcome"])
        for name in ["a", "b", "c"] { for outcome in ["ok", "overloaded"] { family.with([name, outcome]).increment() } }
        #expect(
            registry.text().split(separator: "\n").dropFirst(2) == [
                "cloister_c_total{tenant=\"_other\",outcome=\"ok\"} 2", "cloister_c_total{tenant=\"_other\",outcome=\"overloaded\"} 3",
                "cloister_c_total{tenant=\"a\",outcome=\"ok\"} 1",
            ])
        // Should somebody enumerate what has no end.
        for number in 0..<1_000 { family.with(["a", "\(number)"]).increment() }
        let lines = registry.text().split(separator: "\n").dropFirst(2)
        #expect(lines.count == 102 && lines.contains("cloister_c_total{tenant=\"_other\",outcome=\"_other\"} 902"))
    }

    @Test func aRemovedTenantsSeriesDisappear() {
        let registry = MetricsRegistry()
        let family = registry.counter("cloister_c_total", help: "c", labels: ["tenant", "outcome"])
        for name in ["a", "b"] { family.with([name, "ok"]).increment() }
        family.remove(label: "tenant", values: ["a"])
        let text = registry.text()
        #expect(!text.contains("tenant=\"a\""))
        #expect(text.contains("tenant=\"b\""))
    }

    @Test func askingTwiceGivesTheSameSeries() {
        let registry = MetricsRegistry()
        let first = registry.counter("cloister_c_total", help: "c").single
        #expect(registry.counter("cloister_c_total", help: "c").single === first)
    }

    @Test func whatSomebodyElseCountsIsACounter() {
        let registry = MetricsRegistry()
        let turns = registry.gauge("cloister_turns_total", help: "t", labels: ["cell"], kind: .counter)
        turns.with(["c0"]).set(5)
        turns.with(["c0"]).set(7)
        #expect(registry.gauge("cloister_turns_total", help: "t", labels: ["cell"], kind: .counter) === turns)
        #expect(
            registry.text() == "# HELP cloister_turns_total t\n# TYPE cloister_turns_total counter\ncloister_turns_total{cell=\"c0\"} 7\n")
    }

    @Test func sampledValuesAreReadAtEachCollection() {
        let registry = MetricsRegistry()
        let source = Gauge()
        registry.sampled("cloister_now", help: "n", kind: .gauge, labels: ["cell"]) { [Sample(["c0"], source.value)] }
        source.set(1)
        #expect(registry.text().contains("cloister_now{cell=\"c0\"} 1\n"))
        source.set(2)
        #expect(registry.text().contains("cloister_now{cell=\"c0\"} 2\n"))
    }

    @Test(arguments: [
        (1.0, "1"), (0.25, "0.25"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (9_007_199_254_740_991, "9007199254740991"), (-3, "-3"),
    ])
    func numbersAreWrittenAsPrometheusReadsThem(_ value: Double, _ text: String) {
        #expect(ExpositionText.number(value) == text)
    }
}
