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
        try simulation.run(events: 60_000)
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
        #expect(try Self.shareError(seed: 1, mutation: mutation) > 0.01)
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

    @Test func shortTurnsNeedNotWaitForARound() {
        #expect(Self.waitOfTheShort(mutation: nil) <= 2)
        #expect(Self.waitOfTheShort(mutation: .deadlinesIgnored) > 5)
    }
}
