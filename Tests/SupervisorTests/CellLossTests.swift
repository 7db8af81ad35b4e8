import NIOCore
import Policy
import Testing
import Wire

@testable import Supervisor

/// What becomes of requests whose cell is lost.
@Suite(.timeLimit(.minutes(2))) struct CellLossTests {
    @Test func anAnswerComesFromTheCell() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest()
        cell.answer(request.id, "hello")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "hello", isComplete: true))
        try await test.expectNothingHeld()
    }

    @Test func aRequestOfWhichNothingCameBackIsTriedOnceMore() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let first = try await test.readyCell()
        let request = try await first.nextRequest()
        first.die()
        let second = try await test.readyCell()
        #expect(try await second.nextRequest().id == request.id)
        second.die()
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        try await test.expectNothingHeld()
    }

    @Test func aCellThatDoesNotStartIsTriedAgainAfterAMoment() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let first = try await test.spawner.cells.next()
        try await first.next(.configure)
        first.die()
        // A cell that failed at its start is tried again after a moment.
        #expect(try await client.next() == .failed(.overloaded, retryAfterSeconds: 5))
        try await test.advance(milliseconds: 200)
        let again = try await test.request()
        let second = try await test.readyCell()
        second.answer(try await second.nextRequest().id)
        #expect(try await again.next() == .head(status: 200, headers: "", body: "", isComplete: true))
        try await test.expectNothingHeld()
    }

    @Test(arguments: ["entered", "log", "credit"])
    func aRequestOfWhichAnythingCameBackIsNotTriedAgain(_ sign: String) async throws {
        let test = try await TestSupervisor()
        let client = try await test.request(body: "x")
        let cell = try await test.readyCell()
        let tenant = try await cell.next(.tenant)
        let request = try await cell.next(.request)
        switch sign {
        case "entered": cell.send(.entered, id: request.id)
        case "log": cell.log(version: tenant.id, request: request.id, "line")
        default: cell.credit(request.id, 0)
        }
        cell.die()
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        try await test.expectNothingHeld()
    }

    @Test func anAnswerThatItsHandlerBreaksOffIsCounted() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest().id
        cell.head(request, body: "part")
        cell.send(.responseBroken, id: request)
        #expect(try await client.next() == .head(status: 200, headers: "", body: "part", isComplete: false))
        #expect(try await client.next() == .broken)
        #expect(test.registry.text().contains(#"cloister_responses_broken_total{tenant="a",code="exception"} 1"#))
    }

    /// What is left of it, such as a promise given to `waitUntil` that never settles, has the wall limit like any other.
    @Test(arguments: [false, true]) func whatIsLeftOfAStreamThatBrokeOffHasAnEnd(isFailure: Bool) async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest().id
        cell.head(request, body: "part")
        if isFailure { cell.fail(request, code: ErrorCode.exception.rawValue) } else { cell.send(.responseBroken, id: request) }
        #expect(try await client.next() == .head(status: 200, headers: "", body: "part", isComplete: false))
        #expect(try await client.next() == .broken)
        for _ in 0..<8 {
            try await test.advance(milliseconds: 4_000)
            try await cell.status()
            try await test.onLoop { _ in }
        }
        let abort = try await cell.next(.abort)
        #expect(abort.id == request && abort.header.extra == AbortReason.wallLimit.rawValue)
        cell.finish(request)
        _ = try await test.request()
        cell.answer(try await cell.nextRequest().id)
        while try await test.onLoop({ !$0.openRequests.isEmpty }) { await Task.yield() }
        try await test.expectNothingHeld()
    }

    @Test func anAnswerThatHasBegunIsBrokenOff() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        cell.head(try await cell.nextRequest().id, body: "part")
        cell.die()
        #expect(try await client.next() == .head(status: 200, headers: "", body: "part", isComplete: false))
        #expect(try await client.next() == .broken)
        #expect(test.registry.text().contains(#"cloister_responses_broken_total{tenant="a",code="cell_lost"} 1"#))
        try await test.expectNothingHeld()
    }

    @Test func aBodyThatWasStreamedIsNotSentTwice() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request(body: "first", isComplete: false)
        let cell = try await test.readyCell()
        try await cell.nextRequest()
        try await client.sendBody("second")
        try await cell.next(.requestBody)
        cell.die()
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        try await test.expectNothingHeld()
    }

    @Test func aBodyThatIsHeldIsSentAgainInFull() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request(body: "first")
        let first = try await test.readyCell()
        try await first.nextRequest()
        first.die()
        let second = try await test.readyCell()
        let request = try await second.nextRequest()
        let body = try request.payload.withUnsafeReadableBytes { String(decoding: try RequestFrame($0).body, as: UTF8.self) }
        #expect(body == "first" && request.header.flags.contains(.end))
        second.answer(request.id)
        #expect(try await client.next() == .head(status: 200, headers: "", body: "", isComplete: true))
    }

    @Test func aClientThatLeftIsNotAnsweredWhenItsCellDies() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        try await cell.nextRequest()
        try await client.leave()
        try await cell.next(.abort)
        cell.die()
        _ = try await test.request("a")
        _ = try await test.spawner.cells.next()
        #expect(client.answerCount == 0)
    }

    @Test func whoLosesCellsIsSuspendedAndOnlyThey() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        var shared: FakeCell?
        for _ in 0..<2 {
            let client = try await test.request("a")
            let cell = try await test.readyCell()
            cell.send(.entered, id: try await cell.nextRequest().id)
            cell.die()
            #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
            // The second time it has lost one of its own.
            if shared == nil { shared = try await test.readyCell() }
        }
        #expect(try await test.request("a").next() == .failed(.suspended, retryAfterSeconds: 2))
        let other = try await test.request("b")
        shared!.answer(try await shared!.nextRequest().id)
        #expect(try await other.next() == .head(status: 200, headers: "", body: "", isComplete: true))
        try await test.advance(milliseconds: 1001)
        let again = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        #expect(try await again.next() == .head(status: 200, headers: "", body: "", isComplete: true))
    }

    @Test func aPoisonedCellIsReplacedAndOnlyTheTenantItNamesIsToBlame() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let first = try await test.request("a")
        let culprit = try await test.request("b")
        let shared = try await test.readyCell()
        let request = try await shared.nextRequest()
        let version = try await shared.next(.tenant)
        for id in [request.id, try await shared.next(.request).id] { shared.send(.entered, id: id) }
        shared.send(.poisoned, id: version.id)
        for client in [first, culprit] { #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil)) }
        #expect(shared.isKilled)
        let next = try await test.readyCell()
        // The culprit has a cell of its own by now, and loses it, too.
        let again = try await test.request("b")
        let own = try await test.readyCell()
        own.send(.entered, id: try await own.nextRequest().id)
        own.send(.poisoned, id: version.id)
        #expect(try await again.next() == .failed(.cellLost, retryAfterSeconds: nil))
        #expect(try await test.request("b").next() == .failed(.suspended, retryAfterSeconds: 2))
        let bystander = try await test.request("a")
        next.answer(try await next.nextRequest().id)
        #expect(try await bystander.next() == .head(status: 200, headers: "", body: "", isComplete: true))
    }

    /// A successor that does not come up is tried again, and what lost a thread is not kept meanwhile for good.
    @Test func aCellThatHasLostAThreadIsReplacedAlsoWhenItsSuccessorFails() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")]) { $0.cellSilenceSeconds = 1_000 }
        let client = try await test.request("a")
        let bystander = try await test.request("b")
        let shared = try await test.readyCell()
        let version = try await shared.next(.tenant)
        for _ in 0..<2 { shared.send(.entered, id: try await shared.nextRequest().id) }
        shared.send(.abandoned, extra: ErrorCode.memoryLimit.rawValue, id: version.id, ByteBuffer(string: "out of memory"))
        #expect(try await client.next() == .failed(.memoryLimit, retryAfterSeconds: nil))
        let failed = try await test.spawner.cells.next()
        failed.die()
        try await failed.expectEnd()
        for _ in 0..<3 { try await test.advance(milliseconds: 1_000) }
        _ = try await test.readyCell()
        shared.die()
        #expect(try await bystander.next() == .failed(.cellLost, retryAfterSeconds: nil))
    }

    @Test func aTurnThatIsGivenUpCostsItsTenantAndNobodyElse() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let client = try await test.request("a")
        let culprit = try await test.request("b")
        let shared = try await test.readyCell()
        let request = try await shared.nextRequest()
        let version = try await shared.next(.tenant)
        for id in [request.id, try await shared.next(.request).id] { shared.send(.entered, id: id) }
        shared.send(.abandoned, extra: ErrorCode.memoryLimit.rawValue, id: version.id, ByteBuffer(string: "out of memory"))
        #expect(try await culprit.next() == .failed(.memoryLimit, retryAfterSeconds: nil))
        // A successor comes, and the other's request goes on to its end where it is.
        let next = try await test.readyCell()
        #expect(next.name == "standard#1" && !shared.isKilled)
        // Its turn may come to an end after all; nobody wants to know.
        shared.send(.isolateEnded, extra: ErrorCode.memoryLimit.rawValue, id: version.id)
        shared.send(.isolateEnded, id: version.id)
        shared.answer(request.id, "a")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "a", isComplete: true))
        try await shared.expectEnd()
        let again = try await test.request("b")
        let own = try await test.readyCell()
        #expect(own.name == "quarantine:b#0")
        own.answer(try await own.nextRequest().id)
        #expect(try await again.next() == .head(status: 200, headers: "", body: "", isComplete: true))
        try await test.expectNothingHeld()
    }

    @Test func aTurnThatIsGivenUpInACellOfItsOwnEndsTheCell() async throws {
        let test = try await TestSupervisor([.test("a", cordon: .private)])
        let client = try await test.request("a")
        let own = try await test.readyCell()
        let version = try await own.next(.tenant).id
        own.send(.entered, id: try await own.next(.request).id)
        own.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: version)
        #expect(try await client.next() == .failed(.cpuLimit, retryAfterSeconds: nil))
        try await own.expectEnd()
        let again = try await test.request("a")
        let next = try await test.readyCell()
        next.answer(try await next.nextRequest().id)
        #expect(try await again.next() == .head(status: 200, headers: "", body: "", isComplete: true))
    }

    /// What waited for the places of those that were given up goes on elsewhere, not where nothing of its tenant runs any more.
    @Test func whatWaitsForATurnThatIsGivenUpGoesToAnotherCell() async throws {
        let test = try await TestSupervisor([.test("a", cordon: .private) { $0.concurrency = 1 }])
        let stuck = try await test.request("a")
        let waiting = try await test.request("a")
        let old = try await test.readyCell()
        let version = try await old.next(.tenant).id
        old.send(.entered, id: try await old.next(.request).id)
        old.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: version)
        #expect(try await stuck.next() == .failed(.cpuLimit, retryAfterSeconds: nil))
        let new = try await test.readyCell()
        new.answer(try await new.nextRequest().id, "new")
        #expect(try await waiting.next() == .head(status: 200, headers: "", body: "new", isComplete: true))
        try await old.expectEnd()
        try await test.expectNothingHeld()
    }

    /// Whoever comes while a damaged cell has no successor yet waits for that.
    @Test func aDamagedCellTakesNobodyNew() async throws {
        let names = (0..<8).map { "t\($0)" }
        let test = try await TestSupervisor(names.map { .test($0) })
        let client = try await test.request("t0")
        let old = try await test.readyCell()
        let version = try await old.next(.tenant).id
        old.send(.entered, id: try await old.next(.request).id)
        // Somebody else lives there, or it would be ended at once.
        _ = try await test.request("t1")
        _ = try await old.nextRequest()
        old.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: version)
        #expect(try await client.next() == .failed(.cpuLimit, retryAfterSeconds: nil))
        for name in names[2...] { _ = try await test.request(name) }
        let homes = try await test.onLoop { supervisor in names[2...].map { supervisor.tenants[$0]!.version!.home!.name } }
        #expect(homes.allSatisfy { $0 == "standard#1" }, "\(homes)")
    }

    /// A cell that names all its tenants, again and again, has them neither confined nor suspended.
    @Test func onlyWhoHasSomethingUnderWayIsBlamedForATurnThatIsGivenUp() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) })
        let (first, second) = (try await test.request("a"), try await test.request("b"))
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.answer(try await cell.next(.request).id)
        let other = try await cell.next(.tenant).id
        let request = try await cell.next(.request).id
        _ = try await first.next()
        for _ in 0..<20 {
            for id in [other, version] { cell.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: id) }
        }
        #expect(try await second.next() == .failed(.cpuLimit, retryAfterSeconds: nil))
        cell.finish(request)
        _ = try await test.readyCell()
        let found = try await test.onLoop { supervisor in
            ["a", "b"].map { supervisor.tenants[$0]! }.map {
                ($0.isQuarantined, $0.backoff.remainingNanoseconds(now: supervisor.now) != nil)
            }
        }
        #expect(found.map(\.0) == [false, true] && found.map(\.1) == [false, false], "\(found)")
    }

    /// So many bundles at once are no reason to take a cell for one that does not read.
    @Test func aBurstOfBundlesIsRefusedInPartAndCostsNoCell() async throws {
        let names = (0..<24).map { "t\($0)" }
        let test = try await TestSupervisor([])
        try await test.apply(names.map { .test($0) }, code: String(repeating: "x", count: 10 << 20))
        var clients: [TestExchange] = []
        for name in names { clients.append(try await test.request(name)) }
        let cell = try await test.readyCell()
        var events: [TestExchange.Event] = []
        let served = Task {
            while true {
                let frame = try await cell.frames.next()
                if frame.kind == .request { cell.answer(frame.id) }
            }
        }
        defer { served.cancel() }
        for client in clients { events.append(try await client.next()) }
        let refused = events.count { $0 == .failed(.overloaded, retryAfterSeconds: 1) }
        #expect(refused > 0 && refused < 24 && !cell.isKilled, "\(refused)")
        try await test.expectNothingHeld()
    }

    /// It answers pings, and so does not count as silent.
    @Test func aCellThatDoesNotListItsIsolatesIsEnded() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        let listing = Task { await test.supervisor.isolates() }
        try await cell.next(.list)
        for second in 1...20 where !cell.isKilled {
            try await test.advance(milliseconds: 1_000)
            if !cell.isKilled { try await cell.status() }
            _ = second
        }
        try await cell.expectEnd()
        #expect(await listing.value.isEmpty)
    }

    @Test func aCellThatDoesNotBecomeReadyIsEnded() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.spawner.cells.next()
        try await test.advance(seconds: 19)
        #expect(!cell.isKilled)
        try await test.advance(seconds: 2)
        #expect(try await client.next() == .failed(.overloaded, retryAfterSeconds: 5))
        #expect(cell.isKilled)
    }

    /// Its cells could not answer, and their tenants are not to blame.
    @Test func aDaemonThatStoodStillEndsNoCell() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b", cordon: .trusted)])
        _ = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        _ = try await test.request("b")
        let starting = try await test.spawner.cells.next()
        let listing = Task { await test.supervisor.isolates() }
        let query = try await cell.next(.list).id
        try await test.advance(milliseconds: 60_000)
        #expect(!cell.isKilled && !starting.isKilled)
        cell.send(.isolates, flags: .end, id: query)
        #expect(await listing.value.isEmpty)
        try await test.advance(milliseconds: 60_000)
        #expect(!cell.isKilled && !starting.isKilled)
    }

    @Test func aCellThatIsSilentIsEnded() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        cell.send(.entered, id: try await cell.nextRequest().id)
        try await test.advance(seconds: 5)
        try await cell.status()
        // Answered, so that it has been heard of: the next request shows that the answer has arrived.
        let other = try await test.request()
        cell.answer(try await cell.nextRequest().id)
        _ = try await other.next()
        // So has all that came with it.
        try await test.onLoop { _ in }
        try await test.advance(seconds: 9)
        #expect(!cell.isKilled)
        try await test.advance(seconds: 2)
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        #expect(cell.isKilled)
    }

    @Test func aCellWhoseSealIsNotInForceGetsNoTenant() async throws {
        struct NoSeal: Error {}
        let test = try await TestSupervisor(seal: NoSeal())
        let client = try await test.request()
        let cell = try await test.readyCell()
        #expect(try await client.next() == .failed(.overloaded, retryAfterSeconds: 5))
        #expect(cell.isKilled && cell.frames.rest.isEmpty)
        try await test.expectNothingHeld()
    }

    @Test func withoutACellThereIsAnAnswer() async throws {
        struct NoProcess: Error {}
        let test = try await TestSupervisor()
        test.spawner.fail(with: NoProcess())
        #expect(try await test.request().next() == .failed(.overloaded, retryAfterSeconds: 5))
        test.spawner.fail(with: nil)
        #expect(try await test.request().next() == .failed(.overloaded, retryAfterSeconds: 5))
        try await test.advance(milliseconds: 101)
        let client = try await test.request()
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        #expect(try await client.next() == .head(status: 200, headers: "", body: "", isComplete: true))
        try await test.expectNothingHeld()
    }
}
