import NIOCore
import Policy
import Testing
import Wire

@testable import Supervisor

/// What a cell says within the protocol, and does not, to harm who lives on.
@Suite(.timeLimit(.minutes(2))) struct HostileCellTests {
    private static let ok = TestExchange.Event.head(status: 200, headers: "", body: "", isComplete: true)

    private func number(_ numbers: UInt64...) -> ByteBuffer {
        var payload = ByteBuffer()
        for number in numbers { payload.append(integer: number) }
        return payload
    }

    /// A supervisor that does not mind silence, with a cell that has answered a request of `a`.
    private func served(_ tenants: [TenantPolicy] = [.test("a")]) async throws -> (TestSupervisor, FakeCell, version: UInt64) {
        let test = try await TestSupervisor(tenants) { $0.cellSilenceSeconds = 1_000 }
        let client = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.answer(try await cell.next(.request).id)
        _ = try await client.next()
        return (test, cell, version)
    }

    // MARK: Numbers

    @Test func aRequestHasNotUsedMoreTimeThanThereWas() async throws {
        let (test, cell, _) = try await served()
        func used(claimed microseconds: UInt64, after milliseconds: UInt64) async throws -> UInt64 {
            let before = try await test.onLoop { $0.tenants["a"]!.cpuNanoseconds }
            let client = try await test.request()
            let id = try await cell.next(.request).id
            try await test.advance(milliseconds: milliseconds)
            cell.head(id, flags: .end)
            cell.send(.finished, id: id, number(microseconds))
            #expect(try await client.next() == Self.ok)
            while try await test.onLoop({ !$0.openRequests.isEmpty }) { await Task.yield() }
            return try await test.onLoop { $0.tenants["a"]!.cpuNanoseconds } - before
        }
        #expect(try await used(claimed: 86_400_000_000, after: 20) == 20_000_000)
        #expect(try await used(claimed: .max, after: 20) == 20_000_000)
        #expect(try await used(claimed: 5_000, after: 20) == 5_000_000)
        // The sum has an end, too.
        try await test.onLoop { $0.tenants["a"]!.cpuNanoseconds = .max - 1 }
        #expect(try await used(claimed: .max, after: 20) == 1)
    }

    @Test func droppedLinesAreCountedToTheLargestNumber() async throws {
        let (test, cell, version) = try await served()
        try await test.onLoop {
            $0.tenants["a"]!.droppedLogLines = .max
            $0.tenants["a"]!.logSecond = $0.now / 1_000_000_000
            $0.tenants["a"]!.logLines = Supervisor.logLinesPerSecondLimit
        }
        var payload = ByteBuffer()
        LogFrame(level: .info, request: 0, dropped: .max, message: "x").encode(into: &payload)
        cell.send(.log, id: version, payload)
        let client = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(try await client.next() == Self.ok)
        #expect(try await test.onLoop { $0.tenants["a"]!.droppedLogLines } == .max)
    }

    // MARK: Requests that do not end

    private static let brief = TenantPolicy.test("a") {
        $0.wallMilliseconds = 1_000
        $0.concurrency = 1
    }
    /// What a cell has to end a request of `brief` that is over its wall limit.
    private static let graceMilliseconds =
        (Supervisor.endOverdueNanoseconds + brief.limits.longestDebtNanoseconds(pieces: 1)) / 1_000_000

    /// A request that is over its wall limit.
    private func overdue(_ test: TestSupervisor, _ cell: FakeCell) async throws -> UInt64 {
        let client = try await test.request()
        let id = try await cell.next(.request).id
        cell.send(.entered, id: id)
        try await test.advance(milliseconds: 1_000)
        #expect(try await client.next() == .failed(.wallLimit, retryAfterSeconds: nil))
        #expect(try await cell.next(.abort).id == id)
        return id
    }

    @Test func aRequestThatItsCellDoesNotEndGivesItsPlaceBackAndTheCellIsReplaced() async throws {
        let (test, cell, _) = try await served([Self.brief])
        let stuck = try await overdue(test, cell)
        let waiting = try await test.request()
        // Its cell has time to end it.
        try await test.advance(milliseconds: 900)
        #expect(try await test.onLoop { $0.admission.running } == 1)
        #expect(Self.graceMilliseconds < 30_000)
        try await test.advance(milliseconds: 100)
        #expect(try await waiting.next() == .failed(.wallLimit, retryAfterSeconds: nil))
        try await test.advance(milliseconds: Self.graceMilliseconds)
        try await test.expectNothingHeld()
        let successor = try await test.spawner.cells.next()
        // The end comes too late to count again.
        cell.finish(stuck)
        let next = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(try await next.next() == Self.ok)
        #expect(!cell.isKilled)
        try await test.expectNothingHeld()
        try await successor.becomeReady()
        try await cell.expectEnd()
        let last = try await test.request()
        successor.answer(try await successor.nextRequest().id)
        #expect(try await last.next() == Self.ok)
        try await test.expectNothingHeld()
    }

    @Test func aCellThatEndsARequestInTimeIsKept() async throws {
        let (test, cell, _) = try await served([Self.brief])
        cell.finish(try await overdue(test, cell))
        while try await test.onLoop({ !$0.openRequests.isEmpty }) { await Task.yield() }
        try await test.advance(milliseconds: Self.graceMilliseconds + 1_000)
        let client = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(try await client.next() == Self.ok)
        #expect(test.spawner.cells.rest.isEmpty && !cell.isKilled)
    }

    /// What is left of a stream after its client has gone has no more time than other requests.
    @Test func theEndOfABodyDoesNotProlongWhatIsOverItsLimit() async throws {
        let (test, cell, _) = try await served([Self.brief])
        let client = try await test.request()
        let id = try await cell.next(.request).id
        cell.head(id)
        #expect(try await client.next() == .head(status: 200, headers: "", body: "", isComplete: false))
        try await client.leave()
        try await test.advance(milliseconds: 1_000)
        try await test.advance(milliseconds: Self.graceMilliseconds - 500)
        cell.send(.responseBody, flags: .end, id: id)
        while try await test.onLoop({ $0.openRequests[id]?.responseEnded == false }) { await Task.yield() }
        try await test.advance(milliseconds: 600)
        try await test.expectNothingHeld()
    }

    /// However often a cell says that a body broke off, what is left has an end.
    @Test func aBodyBreaksOffOnce() async throws {
        let (test, cell, version) = try await served([Self.brief])
        let client = try await test.request()
        let id = try await cell.next(.request).id
        cell.head(id)
        cell.send(.responseBroken, id: id)
        #expect(try await client.next() == .head(status: 200, headers: "", body: "", isComplete: false))
        #expect(try await client.next() == .broken)
        func deadline() async throws -> UInt64? { try await test.onLoop { $0.openRequests[id]?.deadlineNanoseconds } }
        let before = try await deadline()
        try await test.advance(milliseconds: 500)
        cell.send(.responseBroken, id: id)
        cell.log(version: version, "behind it")
        while try await test.onLoop({ $0.tenants["a"]!.logLines }) == 0 { await Task.yield() }
        #expect(try await deadline() == before && before != nil)
    }

    /// The window that is left is all that a cell can send of it.
    @Test func whatComesForAClientThatHasLeftIsNotPaidFor() async throws {
        let (test, cell, _) = try await served()
        let client = try await test.request()
        let id = try await cell.next(.request).id
        cell.head(id)
        _ = try await client.next()
        try await client.leave()
        try await cell.next(.abort)
        for _ in 0..<3 { cell.send(.responseBody, id: id, ByteBuffer(string: "x")) }
        cell.finish(id)
        while try await test.onLoop({ !$0.openRequests.isEmpty }) { await Task.yield() }
        let next = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(try await next.next() == Self.ok)
    }

    /// What is only old has a day to end what it has; what is damaged has not.
    @Test(arguments: [false, true]) func aCellThatLeavesForItsAgeAndIsDamagedLeavesSoon(isGivenUp: Bool) async throws {
        let (test, cell, version) = try await served([Self.brief, .test("b")])
        let stream = try await test.request("b")
        cell.head(try await cell.nextRequest().id)
        #expect(try await stream.next() == .head(status: 200, headers: "", body: "", isComplete: false))
        try await test.advance(milliseconds: 86_400_000)
        let successor = try await test.spawner.cells.next()
        let client = try await test.request()
        cell.send(.entered, id: try await cell.next(.request).id)
        try await successor.becomeReady()
        while try await test.onLoop({ $0.leavingCells.isEmpty }) { await Task.yield() }
        func secondsLeft() async throws -> UInt64 {
            try await test.onLoop { ($0.leavingCells[0].leavesBy! - $0.now) / 1_000_000_000 }
        }
        #expect(try await secondsLeft() > 80_000)
        if isGivenUp {
            try await test.advance(milliseconds: 1_000)
            #expect(try await client.next() == .failed(.wallLimit, retryAfterSeconds: nil))
            try await test.advance(milliseconds: Self.graceMilliseconds + 100)
        } else {
            cell.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: version)
            #expect(try await client.next() == .failed(.cpuLimit, retryAfterSeconds: nil))
        }
        #expect(try await secondsLeft() <= 60)
    }

    // MARK: Pings

    @Test func aCellThatLeavesPingsUnansweredGetsNoMore() async throws {
        let (test, cell, _) = try await served()
        let limit = UInt64(Cell.pingsLimit)
        try await test.advance(seconds: 100)
        #expect(try await test.onLoop { $0.pings } == limit)
        try await cell.status()
        while try await test.onLoop({ $0.allCells[0].unansweredPings == Cell.pingsLimit }) { await Task.yield() }
        try await test.advance(seconds: 2)
        #expect(try await test.onLoop { $0.pings } == limit + 1)
    }

    // MARK: Tenants that have left

    @Test(arguments: [FrameKind.abandoned, .poisoned]) func aCellCannotHaveSomebodyPunishedWhoHasLeftIt(_ kind: FrameKind) async throws {
        let (test, cell, version) = try await served([.test("a"), .test("b")])
        try await test.apply([.test("a"), .test("b")], code: "2")
        try await cell.next(.retire)
        cell.log(version: version, "not by its tenant")
        cell.send(kind, extra: kind == .abandoned ? ErrorCode.cpuLimit.rawValue : 0, id: version)
        try await cell.expectEnd()
        while try await test.onLoop({ supervisor in supervisor.allCells.contains { $0.name == "standard#0" } }) { await Task.yield() }
        let found = try await test.onLoop { supervisor in
            let tenant = supervisor.tenants["a"]!
            return [tenant.quarantine.reason != nil, tenant.isQuarantined, tenant.logLines > 0]
        }
        #expect(found == [false, false, false])
    }

    @Test func whoIsStillThereIsNotToBlameForOneWhoHasLeft() async throws {
        let (test, cell, version) = try await served([.test("a"), .test("b")])
        _ = try await test.request("b")
        _ = try await cell.nextRequest()
        try await test.apply([.test("a"), .test("b")], code: "2")
        try await cell.next(.retire)
        cell.send(.poisoned, id: version)
        try await cell.expectEnd()
        while try await test.onLoop({ supervisor in supervisor.allCells.contains { $0.name == "standard#0" } }) { await Task.yield() }
        #expect(try await test.onLoop { $0.tenants["b"]!.quarantine.reason } == nil)
    }

    // MARK: Quotas

    private func parked(_ test: TestSupervisor, _ cell: FakeCell, _ version: UInt64) async throws {
        cell.send(.parked, id: version, number(.max))
        while try await test.onLoop({ $0.parkedTenants.isEmpty }) { await Task.yield() }
    }

    @Test func aTenantWaitsNoLongerThanItsQuotaCanOwe() async throws {
        let (test, cell, version) = try await served()
        try await parked(test, cell, version)
        let client = try await test.request()
        try await test.advance(milliseconds: 1_000)
        #expect(cell.frames.rest.isEmpty)
        try await test.advance(milliseconds: 10_000)
        cell.answer(try await cell.next(.request).id)
        #expect(try await client.next() == Self.ok)
    }

    @Test func whatACellSaidOfQuotasEndsWithIt() async throws {
        let (test, cell, version) = try await served()
        try await parked(test, cell, version)
        let client = try await test.request()
        cell.die()
        let next = try await test.readyCell()
        try await test.advance(milliseconds: 20)
        next.answer(try await next.nextRequest().id)
        #expect(try await client.next() == Self.ok)
        #expect(try await test.onLoop { $0.parkedTenants.isEmpty })
    }

    @Test func aTenantThatIsMovedIsNotParkedThere() async throws {
        let (test, cell, version) = try await served()
        try await parked(test, cell, version)
        let client = try await test.request()
        try await test.onLoop { $0.move($0.tenants["a"]!, to: CellKey(cordon: "elsewhere", jit: true)) }
        try await test.advance(milliseconds: 20)
        let next = try await test.readyCell()
        next.answer(try await next.nextRequest().id)
        #expect(try await client.next() == Self.ok)
    }

    @Test func whatWaitsOfAParkedTenantGoesOnWhenTheTenantIsRemoved() async throws {
        let (test, cell, version) = try await served([.test("a"), .test("b")])
        try await parked(test, cell, version)
        let clients = [try await test.request(), try await test.request()]
        try await test.apply([.test("b")])
        try await test.advance(milliseconds: 20)
        for client in clients {
            cell.answer(try await cell.next(.request).id)
            #expect(try await client.next() == Self.ok)
        }
        #expect(try await test.onLoop { $0.parkedTenants.isEmpty })
    }

    // MARK: Starts

    @Test func whyCodeDoesNotStartIsShownUntilItDoes() async throws {
        let (test, cell, version) = try await served()
        func startError() async throws -> String? { try #require(await test.supervisor.tenants().first).startError }
        #expect(try await startError() == nil)
        let client = try await test.request()
        let id = try await cell.next(.request).id
        cell.fail(id, code: ErrorCode.startupFailed.rawValue, message: "no module 'x'")
        cell.finish(id)
        #expect(try await client.next() == .failed(.startupFailed, retryAfterSeconds: nil))
        #expect(try await startError() == "no module 'x'")
        cell.send(.started, extra: StartKind.source.rawValue, id: version, number(1, 1))
        while try await startError() != nil { await Task.yield() }
    }
}
