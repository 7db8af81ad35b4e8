import Policy
import Testing
import Wire

@testable import Supervisor

/// What part of the machine cells have while they compete, and what they and the front are told of it.
@Suite(.timeLimit(.minutes(2))) struct SharesTests {
    /// Two cells of one tenant each, with a request that goes on.
    private func twoCells(_ change: (inout SupervisorConfiguration) -> Void = { _ in }) async throws -> (TestSupervisor, FakeCell, FakeCell)
    {
        let test = try await TestSupervisor([.test("a", weight: 3_000), .test("b", weight: 1_000)]) {
            $0.isolatesPerCell = 1
            change(&$0)
        }
        _ = try await test.request("a")
        let first = try await test.readyCell()
        _ = try await test.request("b")
        let second = try await test.readyCell()
        try await first.nextRequest()
        try await second.nextRequest()
        return (test, first, second)
    }

    /// Lets a tenth of a second pass, after which cells say what weight is runnable in them and what they have used.
    private func step(
        _ number: UInt64, of test: TestSupervisor, _ cells: [(cell: FakeCell, weight: UInt64, cpuMicroseconds: UInt64)]
    ) async throws {
        try await test.advance(milliseconds: 100)
        // The kernel is told on another thread, and of nothing new meanwhile.
        while try await test.onLoop({ $0.isTellingShares }) { await Task.yield() }
        for (cell, weight, cpuMicroseconds) in cells {
            try await cell.status {
                $0.turns = number
                $0.runnableWeight = weight
                $0.cpuMicroseconds = cpuMicroseconds
            }
        }
        // All have been heard before the next step.
        while try await test.onLoop({ supervisor in supervisor.allCells.contains { $0.status.turns != number } }) { await Task.yield() }
    }

    @Test func sharesFollowTheWeightThatIsRunnable() async throws {
        let (test, first, second) = try await twoCells()
        #expect(first.share == nil && second.share == nil)
        for number in 1...40 as ClosedRange<UInt64> {
            try await step(number, of: test, [(first, 3_000, number * 75_000), (second, 1_000, number * 25_000)])
        }
        let (larger, smaller) = (try #require(first.share), try #require(second.share))
        #expect(abs(larger - 0.75) < 0.01 && abs(smaller - 0.25) < 0.01, "\(larger) \(smaller)")
        // Five seconds after they competed last, neither has a part of its own.
        for number in UInt64(41)...160 where first.share != nil || second.share != nil {
            try await step(number, of: test, [(first, 3_000, 0), (second, 0, 0)])
        }
        #expect(first.share == nil && second.share == nil)
    }

    /// A cell's word counts for no more than those can weigh that have requests there.
    @Test func aCellThatClaimsMoreWeightThanItsTenantsHaveGetsNoMore() async throws {
        let (test, honest, liar) = try await twoCells()
        for number in 1...40 as ClosedRange<UInt64> {
            try await step(number, of: test, [(honest, 3_000, number * 73_170), (liar, 100_000_000, number * 26_830)])
        }
        let (larger, smaller) = (try #require(honest.share), try #require(liar.share))
        #expect(larger > 0.6 && smaller < 0.4, "\(larger) \(smaller)")
    }

    /// A cell runs no more workers than its part of the processors, and the front comes before all of them.
    @Test func whileCellsCompeteTheyRunFewerWorkersAndTheFrontIsUrgent() async throws {
        let urgency = Mailbox<Bool>()
        let (test, first, second) = try await twoCells {
            $0.workersPerCell = 8
            $0.processors = 4
            $0.setFrontUrgency = { urgency.put($0) }
        }
        #expect(urgency.rest.isEmpty)
        for number in 1...10 as ClosedRange<UInt64> {
            try await step(number, of: test, [(first, 3_000, number * 75_000), (second, 1_000, number * 25_000)])
        }
        #expect(urgency.rest == [true])
        #expect(try await first.next(.workers).header.extra == 3)
        #expect(try await second.next(.workers).header.extra == 1)
        // They have nothing to do any more, but might again.
        var peaceSteps = 0
        for number in UInt64(11)...200 where peaceSteps < Supervisor.peaceSteps {
            #expect(urgency.rest == [true], "after \(peaceSteps) steps")
            try await step(number, of: test, [(first, 0, 750_000), (second, 0, 250_000)])
            let competes = try await test.onLoop { supervisor in supervisor.allCells.contains { $0.shares.weightShare != nil } }
            peaceSteps = competes ? 0 : peaceSteps + 1
        }
        #expect(peaceSteps == Supervisor.peaceSteps && urgency.rest == [true, false])
        // Each was told of a change only.
        for cell in [first, second] {
            #expect(try await cell.next(.workers).header.extra == 8)
            #expect(cell.frames.rest.isEmpty)
        }
    }
}
