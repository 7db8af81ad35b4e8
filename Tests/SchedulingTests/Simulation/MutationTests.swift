import Testing

@testable import Scheduling

/// The simulation notices when the algorithm is broken: the first of some machines that fails names the invariant that is broken, its seed replays
/// that, and without the mutation it runs.
@Suite struct MutationTests {
    private typealias Machine = (UInt64, SchedulerSimulation.Mutations) throws -> SchedulerSimulation

    private static func anything(_ seed: UInt64, _ mutations: SchedulerSimulation.Mutations) throws -> SchedulerSimulation {
        try .randomMachine(seed: seed, faults: .churn, mutations: mutations)
    }

    private static func busy(_ seed: UInt64, _ mutations: SchedulerSimulation.Mutations) throws -> SchedulerSimulation {
        try .busyMachine(seed: seed, window: 10_000_000_000, mutations: mutations)
    }

    private static func violation(_ machine: Machine, _ seed: UInt64, _ mutations: SchedulerSimulation.Mutations, events: Int = 20_000)
        throws
        -> InvariantViolation?
    {
        do {
            var simulation = try machine(seed, mutations)
            try simulation.run(events: events)
        } catch let violation as InvariantViolation { return violation }
        return nil
    }

    private func expect(
        _ invariant: Invariant, _ machine: Machine = anything, queue: FairQueue.Mutation? = nil, admission: Admission.Mutation? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let mutations = SchedulerSimulation.Mutations(queue: queue, admission: admission)
        for seed in 1...12 as ClosedRange<UInt64> {
            guard let noticed = try Self.violation(machine, seed, mutations) else { continue }
            #expect(noticed.invariant == invariant, "\(noticed)", sourceLocation: sourceLocation)
            #expect(noticed.seed == seed && noticed.event > 0, sourceLocation: sourceLocation)
            #expect(try Self.violation(machine, seed, mutations)?.description == noticed.description, sourceLocation: sourceLocation)
            #expect(
                try Self.violation(machine, seed, .init(), events: noticed.event) == nil, "seed \(seed)", sourceLocation: sourceLocation)
            return
        }
        Issue.record("nothing is noticed", sourceLocation: sourceLocation)
    }

    // MARK: The queue

    @Test func ignoredWeightsBreakShares() throws { try expect(.shares, Self.busy, queue: .weightsIgnored) }

    @Test func forgottenUsageStarvesTheLight() throws { try expect(.starvation, Self.busy, queue: .usageForgotten) }

    @Test func unboundedLagIsNoticed() throws {
        try expect(.lag, { try .randomMachine(seed: $0, workers: 1, faults: [], mutations: $1) }, queue: .lagUnbounded)
    }

    @Test func aForgottenQuotaIsNoticed() throws { try expect(.quota, queue: .quotaForgotten) }

    @Test func aQuotaThatIsChargedHalfIsNoticed() throws { try expect(.quota, queue: .quotaHalved) }

    @Test func whoIsParkedForGoodStarves() throws { try expect(.starvation, SchedulerSimulation.quotaMachine, queue: .parkedForGood) }

    @Test func whoIsParkedForGoodBesideAnIdleWorkerIsNoticed() throws {
        try expect(.workConservation, { try .quotaMachine(seed: $0, busy: 0, mutations: $1) }, queue: .parkedForGood)
    }

    @Test func slicesThatDoNotShrinkAreNoticed() throws { try expect(.slices, queue: .sliceConstant) }

    // MARK: The admission

    @Test func sheddingTheHeaviestIsNoticed() throws { try expect(.shedding, admission: .heaviestShed) }

    @Test func sheddingByAnEarlierWeightIsNoticed() throws { try expect(.shedding, admission: .firstWeightKept) }

    @Test func anIgnoredLimitOfTheCellIsNoticed() throws { try expect(.limits, admission: .cellLimitIgnored) }

    @Test func aLostWakeUpIsNoticed() throws { try expect(.admission, admission: .wakeUpLost) }

    @Test func waitingForACellThatTheTenantLeftIsNoticed() throws { try expect(.admission, admission: .moveForgotten) }

    @Test func ignoredTurnsAreNoticed() throws { try expect(.turns, admission: .turnsIgnored) }

    @Test func aRequestThatStartsTwiceIsNoticed() throws { try expect(.oneAnswer, admission: .startedTwice) }
}
