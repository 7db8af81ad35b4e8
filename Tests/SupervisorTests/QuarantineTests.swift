import NIOCore
import Policy
import Testing
import Wire

@testable import Supervisor

/// Who gets a cell of its own for what it did, and what that costs.
@Suite(.timeLimit(.minutes(2))) struct QuarantineTests {
    private static let ok = TestExchange.Event.head(status: 200, headers: "", body: "", isComplete: true)

    private func report(_ name: String, of test: TestSupervisor) async throws -> TenantReport {
        try #require(await test.supervisor.tenants().first { $0.tenant == name })
    }

    /// A request of `a` that goes over a limit: the isolate ends, the cell lives.
    private func breach(_ cell: FakeCell, of test: TestSupervisor, _ code: ErrorCode = .cpuLimit) async throws {
        let client = try await test.request("a")
        let (version, request) = try await tenantAndRequest(cell)
        cell.fail(request, code: code.rawValue)
        cell.finish(request)
        cell.send(.isolateEnded, extra: code.rawValue, id: version)
        #expect(try await client.next() == .failed(code, retryAfterSeconds: nil))
        // What comes after the answer has arrived when a further frame of the same cell has.
        try await test.onLoop { _ in }
        while try await test.onLoop({ $0.openRequests.isEmpty }) == false {}
    }

    private func tenantAndRequest(_ cell: FakeCell) async throws -> (version: UInt64, request: UInt64) {
        var frame = try await cell.frames.next()
        while frame.kind != .request { frame = try await cell.frames.next() }
        let version = try frame.payload.withUnsafeReadableBytes { try RequestFrame($0).version }
        return (version, frame.id)
    }

    @Test func whoBreaksLimitsAgainAndAgainGetsACellOfItsOwnAndTheOthersStay() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) { $0.quarantine.limitBreaches = 3 }
        let first = try await test.request("b")
        let shared = try await test.readyCell()
        shared.answer(try await tenantAndRequest(shared).request)
        #expect(try await first.next() == Self.ok)
        for code in [ErrorCode.cpuLimit, .memoryLimit] { try await breach(shared, of: test, code) }
        #expect(try await report("a", of: test).quarantined == false)
        try await breach(shared, of: test)
        while try await report("a", of: test).quarantined == false { try await test.advance(milliseconds: 1) }
        let client = try await test.request("a")
        let own = try await test.readyCell()
        #expect(own.name == "quarantine:a#0")
        own.answer(try await tenantAndRequest(own).request)
        #expect(try await client.next() == Self.ok)
        let found = try await report("a", of: test)
        #expect(found.state == "quarantined" && found.quarantineReason == "limits" && found.quarantinedAt ?? 0 > 1_700_000_000)
        #expect(test.registry.text().contains("cloister_tenants_quarantined_total{reason=\"limits\"} 1"))
        let other = try await test.request("b")
        shared.answer(try await tenantAndRequest(shared).request)
        #expect(try await other.next() == Self.ok)
        #expect(!shared.isKilled)
    }

    @Test func brokenLimitsThatAreRareDoNotCount() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) { $0.quarantine.limitBreaches = 2 }
        let first = try await test.request("b")
        let shared = try await test.readyCell()
        shared.answer(try await tenantAndRequest(shared).request)
        #expect(try await first.next() == Self.ok)
        for _ in 0..<5 {
            try await breach(shared, of: test)
            // Pings are answered, so that the cell does not count as silent.
            for _ in 0..<61 {
                try await test.advance(milliseconds: 1_000)
                try await shared.status()
                try await test.onLoop { _ in }
            }
        }
        #expect(try await report("a", of: test).quarantined == false)
    }

    @Test func whatACellHasBegunEndsThereAndWhatWaitsFollows() async throws {
        let test = try await TestSupervisor([.test("a") { $0.concurrency = 1 }, .test("b")]) { $0.quarantine.limitBreaches = 1 }
        let running = try await test.request("a")
        let waiting = try await test.request("a")
        let shared = try await test.readyCell()
        let (version, request) = try await tenantAndRequest(shared)
        shared.send(.isolateEnded, extra: ErrorCode.memoryLimit.rawValue, id: version)
        while try await report("a", of: test).quarantined == false { try await test.advance(milliseconds: 1) }
        shared.answer(request, "from the old one")
        #expect(try await running.next() == .head(status: 200, headers: "", body: "from the old one", isComplete: true))
        let own = try await test.readyCell()
        #expect(own.name == "quarantine:a#0")
        own.answer(try await tenantAndRequest(own).request)
        #expect(try await waiting.next() == Self.ok)
        // The shared cell is told to end the isolate that nobody asks any more.
        #expect(try await shared.next(.retire).id == version)
        try await test.expectNothingHeld()
    }

    @Test func aQuietTimeBringsItBack() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) {
            $0.quarantine.limitBreaches = 1
            $0.quarantine.quietNanoseconds = 30_000_000_000
        }
        let first = try await test.request("b")
        let shared = try await test.readyCell()
        shared.answer(try await tenantAndRequest(shared).request)
        #expect(try await first.next() == Self.ok)
        try await breach(shared, of: test)
        while try await report("a", of: test).quarantined == false { try await test.advance(milliseconds: 1) }
        let client = try await test.request("a")
        let own = try await test.readyCell()
        own.answer(try await tenantAndRequest(own).request)
        #expect(try await client.next() == Self.ok)
        for _ in 0..<28 {
            try await test.advance(milliseconds: 1_000)
            for cell in [shared, own] { try await cell.status() }
            try await test.onLoop { _ in }
        }
        #expect(try await report("a", of: test).quarantined)
        try await test.advance(milliseconds: 3_000)
        let found = try await report("a", of: test)
        #expect(!found.quarantined && found.quarantineReason == nil && found.state == "registered")
        try await own.expectEnd()
        let again = try await test.request("a")
        shared.answer(try await tenantAndRequest(shared).request)
        #expect(try await again.next() == Self.ok)
    }

    @Test func whoUsesFarMoreThanItsNeighboursIsMoved() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) { $0.quarantine.windowNanoseconds = 2_000_000_000 }
        let cell = try await busy(test, a: 900, b: 10)
        try await test.advance(milliseconds: 2_000)
        #expect(try await report("a", of: test).quarantineReason == "cpu")
        #expect(!cell.isKilled)
    }

    /// A request that lasted for ten windows tells at its end what it used in all of them.
    @Test func aLongRequestThatTookLittleIsNotTakenForBurning() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) { $0.wallMilliseconds = 60_000 } }) {
            $0.quarantine.windowNanoseconds = 2_000_000_000
        }
        let first = try await test.request("a")
        let cell = try await test.readyCell()
        let long = try await tenantAndRequest(cell).request
        for _ in 0..<20 {
            try await test.advance(milliseconds: 1_000)
            try await cell.status()
            try await test.onLoop { _ in }
        }
        // Who is alone is far above nobody.
        let second = try await test.request("b")
        try await test.advance(milliseconds: 10)
        cell.answer(try await tenantAndRequest(cell).request, cpuMilliseconds: 10)
        cell.answer(long, cpuMilliseconds: 2_000)
        _ = try await (first.next(), second.next())
        while try await test.onLoop({ $0.openRequests.isEmpty }) == false {}
        try await test.advance(milliseconds: 2_000)
        #expect(try await report("a", of: test).quarantined == false)
    }

    @Test func whoUsesMuchBesideOthersThatDoIsNot() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) { $0.quarantine.windowNanoseconds = 2_000_000_000 }
        _ = try await busy(test, a: 900, b: 500)
        try await test.advance(milliseconds: 2_000)
        #expect(try await report("a", of: test).quarantined == false)
    }

    private func busy(_ test: TestSupervisor, a: UInt64, b: UInt64) async throws -> FakeCell {
        try await test.advance(milliseconds: 1_000)
        let first = try await test.request("a")
        let cell = try await test.readyCell()
        // A request cannot have used more than the time it took.
        try await test.advance(milliseconds: a)
        cell.answer(try await tenantAndRequest(cell).request, cpuMilliseconds: a)
        _ = try await first.next()
        let second = try await test.request("b")
        try await test.advance(milliseconds: b)
        cell.answer(try await tenantAndRequest(cell).request, cpuMilliseconds: b)
        _ = try await second.next()
        while try await test.onLoop({ $0.openRequests.isEmpty }) == false {}
        return cell
    }

    @Test func aLossWithSeveralSuspectsMovesNobodyTheFirstTimeAndSuspendsNobody() async throws {
        let test = try await TestSupervisor(["a", "b", "c"].map { .test($0) })
        var lost = 0
        for _ in 0..<2 {
            let clients = [try await test.request("a"), try await test.request("b")]
            let cell = try await test.readyCell()
            for _ in clients { cell.send(.entered, id: try await tenantAndRequest(cell).request) }
            // The frames have arrived before its end.
            cell.die()
            for client in clients { #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil)) }
            lost += 1
            for name in ["a", "b"] { #expect(try await report(name, of: test).quarantined == (lost == 2)) }
        }
        #expect(try await report("c", of: test).quarantined == false)
        for name in ["a", "b"] { #expect(try await report(name, of: test).suspendedSeconds == nil) }
    }

    @Test func beyondTheLimitTheyShareACellWithEachOtherOnly() async throws {
        let names = ["a", "b", "c"]
        let test = try await TestSupervisor((names + ["good"]).map { .test($0) }) { $0.quarantineCells = 1 }
        for name in names {
            let client = try await test.request(name)
            let cell = try await test.readyCell()
            #expect(cell.name.hasPrefix("standard#"))
            cell.send(.entered, id: try await tenantAndRequest(cell).request)
            cell.die()
            #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        }
        _ = try await test.readyCell()
        var homes: [String] = []
        for name in names {
            _ = try await test.request(name)
            homes.append(try await report(name, of: test).cell ?? "")
        }
        #expect(homes == ["quarantine:a#0", "quarantine-standard#0", "quarantine-standard#0"])
    }

    @Test func beyondTheLimitTenantsOfDifferentCordonsDoNotShareACell() async throws {
        let test = try await TestSupervisor([.test("a"), .test("t", cordon: .trusted)]) { $0.quarantineCells = 0 }
        for name in ["a", "t"] {
            let client = try await test.request(name)
            let cell = try await test.readyCell()
            cell.send(.entered, id: try await tenantAndRequest(cell).request)
            cell.die()
            #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        }
        var homes: [String] = []
        for name in ["a", "t"] {
            _ = try await test.request(name)
            homes.append(try await report(name, of: test).cell ?? "")
        }
        #expect(homes == ["quarantine-standard#0", "quarantine-trusted#0"])
    }

    /// It would have a cell that nobody ends, and its last version would be uncounted twice.
    @Test(arguments: [false, true]) func aTenantThatWasRemovedIsNotMoved(isChangedBefore: Bool) async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) })
        let client = try await test.request("a")
        let cell = try await test.readyCell()
        cell.send(.entered, id: try await tenantAndRequest(cell).request)
        if isChangedBefore { try await test.apply(["a", "b"].map { .test($0) }, code: "2") }
        try await test.apply([.test("b")], code: isChangedBefore ? "2" : "1")
        cell.die()
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        let counts = try await test.onLoop { supervisor in supervisor.versionCounts.map { "\($0.key.cordon) \($0.value)" } }
        #expect(counts == ["standard 1"])
    }

    @Test func aTenantThatKillsItsCellEachTimeCostsFewCells() async throws {
        let test = try await TestSupervisor([.test("a") { $0.concurrency = 1 }, .test("b")])
        var answers: [ErrorCode: Int] = [:]
        var clients: [TestExchange] = []
        for _ in 0..<200 { clients.append(try await test.request("a")) }
        let killer = Task {
            var started = 0
            while !Task.isCancelled {
                let cell = try await test.spawner.cells.next()
                started += 1
                try await cell.becomeReady()
                // Only the shared cell, which is kept for `b`, gets nothing.
                Task {
                    let frame = try await tenantAndRequest(cell)
                    _ = frame
                    cell.die()
                }
            }
            return started
        }
        for client in clients {
            guard case .failed(let code, _) = try await client.next() else {
                Issue.record("no refusal")
                continue
            }
            answers[code, default: 0] += 1
        }
        killer.cancel()
        let cells = try await test.onLoop { supervisor in supervisor.cellNumber.values.reduce(0, +) }
        // The first one is lost, its request is tried once more in a cell of the tenant's own, and then it is suspended.
        #expect(answers[.suspended] ?? 0 >= 198, "\(answers)")
        #expect(cells <= 4, "\(cells) cells were started")
        try await test.expectNothingHeld()
    }
}
