import Foundation
import Testing

@testable import Scheduling

/// What must hold of the scheduler, in simulated machines. A failure names its seed; CLOISTER_SEED=N runs that one alone.
@Suite struct SchedulerSimulationTests {
    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["CLOISTER_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? Array(1...12)

    private static func run(seed: UInt64, events: Int, faults: SchedulerSimulation.Faults) throws -> SchedulerSimulation {
        var simulation = try SchedulerSimulation.randomMachine(seed: seed, faults: faults)
        try simulation.run(events: events)
        try simulation.checkAnswers()
        try simulation.checkNothingIsLeft()
        return simulation
    }

    @Test(arguments: seeds, [SchedulerSimulation.Faults.churn, .all])
    func theInvariantsHoldOnRandomMachines(seed: UInt64, faults: SchedulerSimulation.Faults) {
        #expect(throws: Never.self) { try Self.run(seed: seed, events: 20_000, faults: faults) }
    }

    @Test func theInvariantsHoldOverAMillionEvents() throws {
        let seed = Self.seeds.count == 1 ? Self.seeds[0] : 1_000
        let simulation = try Self.run(seed: seed, events: 1_000_000, faults: .all)
        // Not every machine is as lively as the usual one.
        guard Self.seeds.count > 1 else { return }
        #expect(simulation.sharesChecked > 30)
        for happening in SchedulerSimulation.Happening.allCases {
            #expect(simulation.happened[happening, default: 0] > 100, "\(happening)")
        }
    }

    /// Between one worker and four, tenants of random weights that always have something to do.
    @Test(arguments: seeds.prefix(4)) func sharesAreWithinOnePercentOfWeights(seed: UInt64) throws {
        var simulation = try SchedulerSimulation.busyMachine(seed: seed)
        // How many events a window has depends on how long requests are.
        while simulation.sharesChecked == 0, simulation.eventCount < 400_000 { try simulation.run(events: simulation.eventCount + 10_000) }
        #expect(simulation.sharesChecked > 0 && simulation.largestShareError < 0.01, "seed \(seed)")
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

    /// One of two workers was another's to use, while one with more weight than a worker ran beside it: that is not held against it.
    @Test func whatNobodyElseCouldUseIsNotPaidBack() {
        var queue = FairQueue()
        let (light, heavy, newcomer) = (queue.add(weight: 100), queue.add(weight: 1000), queue.add(weight: 100))
        var now: UInt64 = 0
        func run(for nanoseconds: UInt64) -> [FairQueue.Slot: UInt64] {
            var used: [FairQueue.Slot: UInt64] = [:]
            let end = now + nanoseconds
            while now < end {
                let running = [queue.next(now: now), queue.next(now: now)].compactMap { $0 }
                now += 2_000_000
                for slot in running {
                    used[slot, default: 0] += 2_000_000
                    queue.charge(slot, nanoseconds: 2_000_000, now: now)
                }
                for slot in running { queue.yield(slot, now: now) }
            }
            return used
        }
        queue.wake(light, now: now)
        queue.wake(heavy, now: now)
        _ = run(for: 10_000_000_000)
        queue.wake(newcomer, now: now)
        let used = run(for: 2_000_000_000)
        #expect(used[heavy, default: 0] > 1_900_000_000, "\(used)")
        #expect(used[light, default: 0] > 900_000_000 && used[newcomer, default: 0] > 900_000_000, "\(used)")
    }

    @Test func slicesShrinkSoThatARoundThroughAllTakesNoLonger() {
        var queue = FairQueue()
        var slices: [UInt64] = []
        for _ in 0..<100 {
            slices.append(queue.sliceNanoseconds)
            queue.wake(queue.add(weight: 100), now: 0)
        }
        #expect(slices[0] == 2_000_000 && slices[9] == 2_000_000 && slices[19] == 1_000_000 && slices[99] == 500_000)
        #expect(zip(slices, slices.dropFirst()).allSatisfy { $0 >= $1 })
    }

    @Test func shortTurnsNeedNotWaitForARound() {
        #expect(Self.waitOfTheShort(mutation: nil) <= 2)
        #expect(Self.waitOfTheShort(mutation: .deadlinesIgnored) > 5)
    }
}
