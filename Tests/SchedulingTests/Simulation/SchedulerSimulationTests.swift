import Foundation
import Testing

@testable import Scheduling

/// What must hold of the scheduler, in simulated machines. A failure names its seed; CLOISTER_SEED=N runs that one alone.
@Suite struct SchedulerSimulationTests {
    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["CLOISTER_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? Array(1...12)

    private static func randomTenants(_ random: inout SplitMix64, count: Int) -> [SchedulerSimulation.Tenant] {
        (0..<count).map { _ in
            let weight = [1, 10, 100, 100, 100, 1000, 10_000].randomElement(using: &random)!
            return SchedulerSimulation.Tenant(
                weight: weight,
                quotaMilliseconds: Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 1...500, using: &random) : nil,
                meanIntervalNanoseconds: Bool.random(using: &random) ? UInt64.random(in: 200_000...50_000_000, using: &random) : nil,
                meanServiceNanoseconds: [20_000, 200_000, 2_000_000, 100_000_000].randomElement(using: &random)!,
                admission: TenantAdmission(
                    concurrency: Int.random(in: 1...8, using: &random), queue: Int.random(in: 0...16, using: &random), weight: weight))
        }
    }

    private static func backlog(weights: [Int]) -> [SchedulerSimulation.Tenant] {
        weights.map {
            SchedulerSimulation.Tenant(
                weight: $0, quotaMilliseconds: nil, meanIntervalNanoseconds: nil, meanServiceNanoseconds: 3_000_000,
                admission: TenantAdmission(concurrency: 2, queue: 2, weight: $0))
        }
    }

    /// Runs a random machine.
    private static func run(seed: UInt64, events: Int, faults: Bool, mutation: FairQueue.Mutation? = nil) throws {
        var random = SplitMix64(seed: seed)
        var simulation = SchedulerSimulation(
            seed: seed, workers: Int.random(in: 1...4, using: &random),
            tenants: randomTenants(&random, count: Int.random(in: 2...30, using: &random)), faults: faults, mutation: mutation)
        try simulation.run(events: events)
        try simulation.checkAnswers()
    }

    @Test(arguments: seeds, [false, true]) func theInvariantsHoldOnRandomMachines(seed: UInt64, faults: Bool) {
        #expect(throws: Never.self, "seed \(seed)") { try Self.run(seed: seed, events: 20_000, faults: faults) }
    }

    @Test func theInvariantsHoldOverAMillionEvents() {
        let seed = Self.seeds.count == 1 ? Self.seeds[0] : 1_000
        #expect(throws: Never.self, "seed \(seed)") { try Self.run(seed: seed, events: 1_000_000, faults: true) }
    }

    /// The largest error of a share, in parts of the share, of tenants that always have something to do.
    private static func shareError(seed: UInt64, mutation: FairQueue.Mutation? = nil) throws -> Double {
        var random = SplitMix64(seed: seed)
        var weights = (0..<8).map { _ in Int.random(in: 50...1000, using: &random) }
        weights[0] = 1000
        var simulation = SchedulerSimulation(
            seed: seed, workers: 1, tenants: backlog(weights: weights), checksLag: mutation == nil, mutation: mutation)
        try simulation.run(events: 1_000)
        simulation.startWindow()
        try simulation.run(events: 100_000)
        return simulation.largestShareError(among: Array(weights.indices))
    }

    @Test(arguments: seeds.prefix(4)) func sharesAreWithinOnePercentOfWeights(seed: UInt64) throws {
        let error = try Self.shareError(seed: seed)
        #expect(error < 0.01, "seed \(seed)")
    }

    // MARK: The simulation notices

    @Test(arguments: [FairQueue.Mutation.weightsIgnored, .usageForgotten]) func brokenSharesAreNoticed(_ mutation: FairQueue.Mutation)
        throws
    {
        // Or the simulation stops before, since somebody starves.
        let error = (try? Self.shareError(seed: 1, mutation: mutation)) ?? .infinity
        #expect(error > 0.01)
    }

    @Test func aForgottenQuotaIsNoticed() {
        #expect { try (1...4).forEach { try Self.run(seed: $0, events: 20_000, faults: false, mutation: .quotaForgotten) } } throws: {
            ($0 as? InvariantViolation)?.invariant == .quota
        }
    }

    /// Two equals: one slept while the other ran alone for two seconds. How long the other then waits.
    private static func waitOfTheBusy(mutation: FairQueue.Mutation?) -> UInt64 {
        var queue = FairQueue(FairQueueConfiguration(), mutation: mutation)
        let busy = queue.add(weight: 100)
        let sleeper = queue.add(weight: 100)
        let slice: UInt64 = 2_000_000
        var now: UInt64 = 0
        func run(_ slot: FairQueue.Slot) {
            now += slice
            queue.charge(slot, nanoseconds: slice, now: now)
            queue.yield(slot, now: now)
        }
        queue.wake(busy, now: now)
        for _ in 0..<1_000 { queue.next(now: now).map(run) }
        queue.wake(sleeper, now: now)
        var waited: UInt64 = 0
        while let slot = queue.next(now: now), slot == sleeper, waited < 10_000_000_000 {
            run(slot)
            waited += slice
        }
        return waited
    }

    @Test func aSleeperBringsBackNoMoreThanItsCredit() {
        let limit = FairQueueConfiguration().creditLimitNanoseconds
        #expect(Self.waitOfTheBusy(mutation: nil) <= 2 * limit)
        #expect(Self.waitOfTheBusy(mutation: .lagUnbounded) > 10 * limit)
    }

    /// The longest wait of a tenant with short turns among twenty with long ones, in slices.
    private static func waitOfTheShort(mutation: FairQueue.Mutation?) -> UInt64 {
        var queue = FairQueue(FairQueueConfiguration(), mutation: mutation)
        let short = queue.add(weight: 100)
        // Slices are overrun by what it takes to notice.
        let slice: UInt64 = queue.configuration.shortestSliceNanoseconds + 1_000_000
        var now: UInt64 = 0
        for _ in 0..<20 { queue.wake(queue.add(weight: 100), now: now) }
        var longest: UInt64 = 0
        for round in 0..<200 {
            // It comes seldom enough to be within its share.
            for _ in 0..<(30 + round % 7) {
                guard let slot = queue.next(now: now) else { break }
                now += slice
                queue.charge(slot, nanoseconds: slice, now: now)
                queue.yield(slot, now: now)
            }
            queue.wake(short, now: now)
            let woke = now
            while let slot = queue.next(now: now) {
                if slot == short { break }
                now += slice
                queue.charge(slot, nanoseconds: slice, now: now)
                queue.yield(slot, now: now)
            }
            longest = max(longest, (now - woke) / slice)
            now += 50_000
            queue.charge(short, nanoseconds: 50_000, now: now)
            queue.sleep(short)
        }
        return longest
    }

    /// Others that came and went for long, and workers that were charged late, must not have moved virtual time away from those that run.
    @Test func aNewcomerNeedNotCatchUpWithThePast() {
        var queue = FairQueue()
        let hogs = (0..<3).map { _ in queue.add(weight: 100) }
        let visitors = (0..<50).map { _ in queue.add(weight: 100) }
        var now: UInt64 = 0
        for hog in hogs { queue.wake(hog, now: now) }
        for round in 0..<20_000 {
            // Two run side by side; the one that began first is charged last.
            let first = queue.next(now: now)!
            let second = queue.next(now: now)!
            now += 3_000_000
            for (slot, used) in [(second, UInt64(1_000_000)), (first, 3_000_000)] {
                queue.charge(slot, nanoseconds: visitors.contains(slot) ? 50_000 : used, now: now)
                if visitors.contains(slot) { queue.sleep(slot) } else { queue.yield(slot, now: now) }
            }
            let visitor = visitors[round % visitors.count]
            if abs(queue.lagNanoseconds(of: hogs[0])) > 20_000_000 { Issue.record("round \(round): lag"); return }
            if !queue.isActive(visitor) { queue.wake(visitor, now: now) }
        }
        let newcomer = queue.add(weight: 100)
        queue.wake(newcomer, now: now)
        var before = 0
        while let slot = queue.next(now: now), slot != newcomer {
            before += 1
            now += 2_000_000
            queue.charge(slot, nanoseconds: 2_000_000, now: now)
            queue.yield(slot, now: now)
            if before > 100 { break }
        }
        #expect(before <= 3)
    }

    /// Work that cannot be interrupted is charged when it ends, much at once: that must not put everybody else behind newcomers or before them.
    @Test func aLongPieceOfOneDelaysNobodyElse() {
        var queue = FairQueue()
        let hogs = (0..<4).map { _ in queue.add(weight: 100) }
        let short = queue.add(weight: 100)
        var now: UInt64 = 0
        var used: [Int: UInt64] = [:]
        func run(_ slot: FairQueue.Slot, _ nanoseconds: UInt64) {
            now += nanoseconds
            used[slot, default: 0] += nanoseconds
            queue.charge(slot, nanoseconds: nanoseconds, now: now)
        }
        for hog in hogs { queue.wake(hog, now: now) }
        var longest = 0
        for round in 0..<5_000 {
            if round % 10 == 0 { queue.wake(short, now: now) }
            var waited = 0
            while let slot = queue.next(now: now) {
                if slot == short {
                    run(slot, 50_000)
                    queue.sleep(slot)
                    break
                }
                run(slot, slot == hogs[0] ? 400_000_000 : 2_000_000)
                queue.yield(slot, now: now)
                waited += slot == hogs[0] ? 0 : 1
                if round % 10 != 0 { break }
            }
            longest = max(longest, waited)
        }
        #expect(longest <= 3)
        // And the one with the long pieces has had its share, no more than a piece over it.
        let total = used.values.reduce(0, +)
        #expect(used[hogs[0]]! < total / 4 + 800_000_000, "\(used)")
        #expect(used[hogs[1]]! > total / 4 - 800_000_000, "\(used)")
    }

    @Test func shortTurnsNeedNotWaitForARound() {
        #expect(Self.waitOfTheShort(mutation: nil) <= 2)
        #expect(Self.waitOfTheShort(mutation: .deadlinesIgnored) > 5)
    }
}
