import Testing

@testable import LoadHarness

@Suite struct LoadPlanTests {
    @Test func theSameSeedGivesTheSamePlanAndAnotherDoesNot() {
        let first = LoadPlan(rate: 100, seconds: 10, tenants: 5, seed: 7)
        #expect(first.arrivals == LoadPlan(rate: 100, seconds: 10, tenants: 5, seed: 7).arrivals)
        #expect(first.arrivals != LoadPlan(rate: 100, seconds: 10, tenants: 5, seed: 8).arrivals)
    }

    @Test func arrivalsAreInOrderAtTheRateAndForEveryTenant() {
        let plan = LoadPlan(rate: 1_000, seconds: 100, tenants: 10, seed: 1)
        #expect(zip(plan.arrivals, plan.arrivals.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
        #expect(plan.arrivals.last!.nanoseconds < 100_000_000_000)
        // 100,000 expected; five standard deviations are 1,581.
        #expect(abs(plan.arrivals.count - 100_000) < 1_581)
        #expect(Set(plan.arrivals.map(\.tenant)) == Set(0..<10))
    }

    @Test func aPlanOfEachTenantNamesEachOnceAtASteadyRate() {
        let plan = LoadPlan(eachOf: 4, rate: 2)
        #expect(plan.arrivals.map(\.tenant) == [0, 1, 2, 3])
        #expect(plan.arrivals.map(\.nanoseconds) == [0, 500_000_000, 1_000_000_000, 1_500_000_000])
    }

    @Test func resultsKeepPercentilesAndErrorsApart() {
        var results = GroupResults()
        for milliseconds in 1...100 { results.record(latencyNanoseconds: UInt64(milliseconds) * 1_000_000) }
        results.record(error: "cpu_limit")
        let report = results.report(seconds: 10)
        #expect(report.completed == 100 && report.errors == ["cpu_limit": 1] && report.throughput_rps == 10)
        #expect(abs(report.latency_ms.p50 - 50) < 0.1 && abs(report.latency_ms.p99 - 99) < 0.1 && abs(report.latency_ms.max - 100) < 0.1)
    }
}
