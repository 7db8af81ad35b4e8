import Scheduling
import Testing

@testable import LoadHarness

/// When tenants are called in the scenarios that follow Azure's functions.
@Suite struct AzureCallsTests {
    @Test(arguments: [AzureCalls.Pattern.steady, .wave, .timer, .rare])
    func aTenantIsCalledAsOftenAsItsGapSays(_ pattern: AzureCalls.Pattern) {
        var random = SplitMix64(seed: 1)
        let counts = (0..<200).map { _ in AzureCalls.times(pattern, gap: 10, seconds: 2_000, &random).count }
        let mean = Double(counts.reduce(0, +)) / 200
        // Pareto's gaps have no variance: their mean is approached slowly, and from above in a run that ends.
        #expect(pattern == .rare ? (190...300).contains(mean) : abs(mean - 200) < 6, "\(pattern): \(mean)")
    }

    @Test func callsComeInOrderAndAsOftenAsAskedFor() {
        var random = SplitMix64(seed: 2)
        let arrivals = AzureCalls.arrivals(tenants: 500, rate: 1_000, seconds: 100, &random)
        #expect(abs(Double(arrivals.count) / 100_000 - 1) < 0.03, "\(arrivals.count)")
        #expect(zip(arrivals, arrivals.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
        let hot = arrivals.count { $0.tenant < 10 }
        #expect(abs(Double(hot) / Double(arrivals.count) - 0.936) < 0.01)
        var again = SplitMix64(seed: 2)
        #expect(AzureCalls.arrivals(tenants: 500, rate: 1_000, seconds: 100, &again) == arrivals)
    }

    @Test func aSixthOfThoseWhoAreNotHotIsCalledByTimers() {
        var random = SplitMix64(seed: 3)
        var counts: [AzureCalls.Pattern: Int] = [:]
        for tenant in 0..<10_000 { counts[AzureCalls.pattern(tenant, of: 10_000, &random), default: 0] += 1 }
        #expect(counts[.steady] == 200)
        // 1,568 expected, with a standard deviation of 36.
        #expect(abs((counts[.timer] ?? 0) - 1_568) < 180, "\(counts)")
        let (rare, wave) = (Double(counts[.rare] ?? 0), Double(counts[.wave] ?? 1))
        #expect(abs(rare / wave - 80.0 / 18) < 0.4, "\(counts)")
        let times = AzureCalls.times(.timer, gap: 10, seconds: 1_000, &random)
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(gaps.count > 97 && gaps.allSatisfy { abs($0 - 10) < 0.2 }, "\(gaps)")
    }

    /// The calls of the scenario `pressure`, a few minutes in which most are seen once or twice and some come in clusters: what counts more than the last
    /// two uses does worse than plain LRU here.
    @Test(arguments: [0.06, 0.12]) func theOrderOfEvictionIsBetterThanPlainLRUWhereCallsComeInClusters(share: Double) {
        let tenants = 2_000
        let phases = Scenario.pressure.workload(
            ScenarioParameters(tenants: tenants, rate: 300, load: 0.8, seconds: 120, warmUpSeconds: 30, seed: 1, workers: 1)
        ).phases
        let (uses, start) = EvictionBounds.uses(phases)
        let simulation = EvictionSimulation(
            items: .init(repeating: .init(bytes: 1, costNanoseconds: 1), count: tenants), uses: uses,
            capacityBytes: Int(Double(tenants) * share), measuredFrom: start)
        let bounds = EvictionBounds(phases, tenants: tenants, isolates: Int(Double(tenants) * share))
        let alone = bounds.gapClosed(making: Double(simulation.run(.order(.greedyDual)).misses)) ?? 0
        let whole = bounds.gapClosed(making: Double(simulation.run(.order(.greedyDual, prewarms: true)).misses)) ?? 0
        print("room for \(share): \(alone) of the gap; with those who come regularly brought back before: \(whole)")
        #expect(alone > 0.1 && whole > 0.4 && whole < 1, "\(alone), \(whole)")
    }

    /// Some isolates are thirty times as large as most. What goes by a rule about shares before all others must not be those, as long as they pay for
    /// their room: with the largest going first this was worse than plain LRU.
    @Test func theOrderOfEvictionSavesTimeWhereBundlesAreOfUsualSizes() {
        let workload = Scenario.registered.workload(
            ScenarioParameters(tenants: 5_000, rate: 100, load: 0.8, seconds: 300, warmUpSeconds: 700, seed: 1, workers: 1))
        let items = workload.tenants.map { tenant in
            EvictionSimulation.Item(
                bytes: 900_000 + 3 * tenant.bundleBytes, costNanoseconds: UInt64(2_500_000 + 12 * tenant.bundleBytes))
        }
        let (uses, start) = EvictionBounds.uses(workload.phases)
        let capacity = items.reduce(0) { $0 + $1.bytes } / 30
        let simulation = EvictionSimulation(items: items, uses: uses, capacityBytes: capacity, measuredFrom: start)
        let bounds = EvictionBounds(workload.phases, items: items, capacityBytes: capacity)
        let closed = bounds.gapClosed(costing: Double(simulation.run(.order(.greedyDual, prewarms: true)).costNanoseconds)) ?? 0
        print("bundles of usual sizes: \(closed) of the gap by cost")
        #expect(closed > 0.7, "\(closed)")
    }

    /// Tenants of `tenants` in two cells, with room for `isolates` in both together; of these calls, how many find no isolate.
    /// - Parameter adapts: whether room goes where it is worth more, or stays with who had it first.
    private func misses(_ uses: [EvictionSimulation.Use], tenants: Int, isolates: Int, adapts: Bool, cellOf: (Int) -> Int) -> Int {
        let mebibyte = 1 << 20
        var orders = [EvictionOrder(), EvictionOrder()]
        let slots = (0..<tenants).map { orders[cellOf($0)].add(weight: 1) }
        var (shares, second, misses) = ([Double](repeating: Double(isolates / 2 * mebibyte), count: 2), UInt64(0), 0)
        func admit(_ slot: Int, _ cell: Int, _ now: UInt64, isCalled: Bool) {
            orders[cell].admit(slot, bytes: mebibyte, costNanoseconds: 2_000_000, now: now, isCalled: isCalled)
            keep(cell, now)
        }
        func keep(_ cell: Int, _ now: UInt64) {
            while orders[cell].residentBytes > Int(shares[cell]),
                let victim = orders[cell].victim(now: now, budgetBytes: .max, mayEvict: { _ in true })
            { orders[cell].evict(victim, now: now, forRoom: true) }
        }
        for use in uses {
            while second + 1_000_000_000 <= use.nanoseconds {
                second += 1_000_000_000
                shares = MemoryShares.step(
                    zip(orders, shares).map {
                        .init(heldBytes: Double($0.residentBytes), shareBytes: $1, marginalValue: adapts ? $0.marginalValue : 0)
                    }, availableBytes: Double(isolates * mebibyte))
                for cell in 0..<2 {
                    orders[cell].passSecond()
                    keep(cell, second)
                    for slot in orders[cell].expected(now: second) { admit(slot, cell, second, isCalled: false) }
                }
            }
            let (cell, slot) = (cellOf(use.item), slots[use.item])
            if orders[cell].isResident(slot) {
                orders[cell].use(slot, bytes: mebibyte, now: use.nanoseconds)
            } else {
                misses += 1
                admit(slot, cell, use.nanoseconds, isCalled: true)
            }
        }
        return misses
    }

    /// Of two cells one is full before the other has anybody, as cells fill up: with room in proportion to what they hold it keeps all.
    @Test func twoCellsHaveRoomAsOneWouldGiveItToTheirTenants() {
        let (tenants, isolates) = (2_000, 140)
        var random = SplitMix64(seed: 1)
        let uses = AzureCalls.arrivals(tenants: tenants, rate: 500, seconds: 400, &random)
            .map { EvictionSimulation.Use(nanoseconds: $0.nanoseconds, item: $0.tenant) }
        var isFirst = [Bool](repeating: false, count: tenants)
        var count = 0
        for use in uses where count < 240 && !isFirst[use.item] {
            isFirst[use.item] = true
            count += 1
        }
        let one = misses(uses, tenants: tenants, isolates: isolates, adapts: false) { _ in 0 }
        let fixed = misses(uses, tenants: tenants, isolates: isolates, adapts: false) { isFirst[$0] ? 0 : 1 }
        let two = misses(uses, tenants: tenants, isolates: isolates, adapts: true) { isFirst[$0] ? 0 : 1 }
        print("calls without an isolate: one cell \(one), two \(two), in proportion to what they hold \(fixed)")
        #expect(Double(two) < Double(one) * 1.1 && fixed > two, "\(one), \(two), \(fixed)")
    }

    /// A pause between what does not count and what does would break the rhythm of those who come regularly.
    @Test(arguments: [Scenario.pressure, .registered]) func whatCountsGoesOnWhereTheWarmUpEnds(_ scenario: Scenario) {
        func phases(warmUp: Double) -> [Workload.Phase] {
            scenario.workload(
                ScenarioParameters(tenants: 50, rate: 100, load: 0.8, seconds: 5, warmUpSeconds: warmUp, seed: 1, workers: 1)
            ).phases
        }
        let (with, without) = (phases(warmUp: 7), phases(warmUp: 0))
        #expect(with.count == without.count + 1 && with.suffix(2).map(\.seconds) == [7, 5])
        #expect(with.map(\.goesOn) == with.indices.map { $0 == with.count - 1 })
        #expect(without.allSatisfy { !$0.goesOn })
    }

    @Test func aPlanIsSplitAtAMoment() {
        let plan = [1, 2, 3, 4].map { Workload.Arrival(nanoseconds: $0 * 1_000_000_000, tenant: Int($0), group: 0) }
        let (before, after) = plan.split(atSeconds: 2.5)
        #expect(before == Array(plan.prefix(2)))
        #expect(after.map(\.nanoseconds) == [500_000_000, 1_500_000_000] && after.map(\.tenant) == [3, 4])
    }

    /// Three in turn where two fit: plain LRU misses every call, Belady's rule those of one of them. What filled the room before does not count.
    @Test func boundsCountTheLastPhaseWithWhatThoseBeforeLeft() {
        func phase(_ calls: Int, _ tenants: Int) -> Workload.Phase {
            .init(
                seconds: Double(calls),
                arrivals: (0..<calls).map { .init(nanoseconds: UInt64($0) * 1_000_000_000, tenant: $0 % tenants, group: 0) })
        }
        let bounds = EvictionBounds([phase(30, 3), phase(30, 3)], tenants: 3, isolates: 2)
        #expect(bounds.lru.misses == 30 && bounds.belady.misses == 10, "\(bounds)")
        #expect(bounds.gapClosed(making: 30) == 0 && bounds.gapClosed(making: Double(bounds.belady.misses)) == 1)
        #expect(EvictionBounds.newcomers([phase(30, 2), phase(30, 3)]) == [2])
        let full = EvictionBounds([phase(30, 3), phase(30, 3)], tenants: 3, isolates: 3)
        #expect(full.lru.misses == 0 && full.belady.misses == 0 && full.gapClosed(making: 0) == nil, "\(full)")
    }

    /// One that takes ten times as long to make, and as much room as the two others: to keep it is what saves time, not calls.
    @Test func boundsCountWhatMakingIsolatesTakes() {
        let arrivals = (0..<60).map { Workload.Arrival(nanoseconds: UInt64($0) * 1_000_000_000, tenant: $0 % 3, group: 0) }
        let items = [(2, 10_000), (1, 1_000), (1, 1_000)].map {
            EvictionSimulation.Item(bytes: $0.0, costNanoseconds: UInt64($0.1))
        }
        let bounds = EvictionBounds([.init(seconds: 60, arrivals: arrivals)], items: items, capacityBytes: 3)
        // Each is called twenty times; the first times cost nothing here.
        #expect(bounds.lru.costNanoseconds == 19 * 12_000, "\(bounds)")
        #expect(bounds.belady.costNanoseconds <= 19 * 2_000, "\(bounds)")
        #expect(bounds.gapClosed(costing: 19 * 12_000) == 0 && bounds.gapClosed(costing: Double(bounds.belady.costNanoseconds)) == 1)
    }

    @Test func whatAnIsolateHoldsFollowsFromItsBundleAndWhatItTakesIsMeasured() throws {
        let listed: [[String: Any]] = [("hot", 1, 2.0), ("trimmed", 3, 4.0), ("warm", 5, 1.0), ("cold", 7, 0.0)].map {
            ["tenant": $0, "state": $0, "heap_bytes": 500_000 + $1 * 99_000, "bundle_bytes": $1 * 1_000, "revive_milliseconds": $2]
        }
        let sizes = ["hot": 1_000, "trimmed": 3_000, "warm": 5_000, "cold": 7_000]
        let model = try #require(IsolateModel(listed: listed + [["state": "hot", "tenant": "x"]], sizes))
        // Who has no isolate holds nothing, and tells all the same what one takes, if it had one.
        #expect(model.meanBytes == 700_000 && model.item(tenant: "y", bundleBytes: 11_000).bytes == 1_600_000)
        #expect(model.item(tenant: "trimmed", bundleBytes: 3_000).costNanoseconds == 4_000_000)
        #expect(model.item(tenant: "warm", bundleBytes: 5_000).costNanoseconds == 1_000_000)
        // The larger the less: as the mean.
        for tenant in ["cold", "y"] { #expect(model.item(tenant: tenant, bundleBytes: 7_000).costNanoseconds == 2_333_333) }
        #expect(IsolateModel(listed: Array(listed.suffix(2)), sizes) == nil)
    }
}
