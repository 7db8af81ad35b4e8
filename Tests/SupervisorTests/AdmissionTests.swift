import Policy
import Testing
import Wire

@testable import Supervisor

/// Which requests start, wait and are refused, as clients and cells see it.
@Suite(.timeLimit(.minutes(2))) struct AdmissionTests {
    private static let overloaded = TestExchange.Event.failed(.overloaded, retryAfterSeconds: 1)

    private func answered(_ body: String) -> TestExchange.Event { .head(status: 200, headers: "", body: body, isComplete: true) }

    /// How many requests each cell has been given, in the order cells were started.
    private func held(_ test: TestSupervisor) async throws -> [Int] {
        try await test.onLoop { supervisor in supervisor.allCells.map { $0.requests.count + $0.waiting.count } }
    }

    @Test func atTheMachinesLimitAHeavierTenantsRequestWaitsInsteadOfALightersLatest() async throws {
        let test = try await TestSupervisor([.test("light", weight: 1), .test("heavy", weight: 100)]) {
            $0.isolatesPerCell = 1
            $0.machineConcurrency = 1
            $0.machineQueue = 2
        }
        let first = try await test.request("light")
        let cellOfLight = try await test.readyCell()
        let running = try await cellOfLight.nextRequest().id
        let second = try await test.request("light")
        let third = try await test.request("light")
        let heavy = try await test.request("heavy")
        let cellOfHeavy = try await test.readyCell()
        #expect(try await third.next() == Self.overloaded)
        // For one that is no heavier than any that waits, none gives way.
        #expect(try await test.request("light").next() == Self.overloaded)
        #expect(test.registry.text().contains(#"cloister_requests_total{tenant="light",outcome="overloaded"} 2"#))
        // The limit is the machine's: also an empty cell gets nothing.
        #expect(try await held(test) == [1, 0])
        cellOfLight.answer(running, "first")
        #expect(try await first.next() == answered("first"))
        cellOfLight.answer(try await cellOfLight.nextRequest().id, "second")
        #expect(try await second.next() == answered("second"))
        cellOfHeavy.answer(try await cellOfHeavy.nextRequest().id, "heavy")
        #expect(try await heavy.next() == answered("heavy"))
        try await test.expectNothingHeld()
    }

    @Test func aCellGetsNoMoreRequestsAtOnceThanItMayAndTheNextWhenOneIsOver() async throws {
        let test = try await TestSupervisor(["a", "b", "c"].map { .test($0) }) {
            $0.isolatesPerCell = 2
            $0.cellConcurrency = 1
        }
        let first = try await test.request("a")
        let cell = try await test.readyCell()
        let running = try await cell.nextRequest().id
        let second = try await test.request("b")
        // Another cell has room: who lives there does not wait.
        let elsewhere = try await test.request("c")
        let other = try await test.readyCell()
        #expect(other.name == "standard#1")
        other.answer(try await other.nextRequest().id, "c")
        #expect(try await elsewhere.next() == answered("c"))
        #expect(try await held(test) == [1, 0])
        cell.answer(running, "a")
        #expect(try await first.next() == answered("a"))
        cell.answer(try await cell.nextRequest().id, "b")
        #expect(try await second.next() == answered("b"))
        try await test.expectNothingHeld()
    }
}
