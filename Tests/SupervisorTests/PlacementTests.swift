import NIOCore
import NIOPosix
import Policy
import Scheduling
import Synchronization
import Testing
import Wire

@testable import Supervisor

/// Which cell a tenant lives in.
@Suite(.timeLimit(.minutes(2))) struct PlacementTests {
    /// Sends a request of each tenant and has its cell answer.
    private func answer(_ tenants: [String], of test: TestSupervisor, by cell: FakeCell) async throws {
        for tenant in tenants {
            let client = try await test.request(tenant)
            cell.answer(try await cell.nextRequest().id, tenant)
            #expect(try await client.next() == .head(status: 200, headers: "", body: tenant, isComplete: true))
        }
    }

    private func homes(_ test: TestSupervisor) async throws -> [String: String] {
        try await test.onLoop { supervisor in supervisor.tenants.compactMapValues { $0.version?.home?.name } }
    }

    @Test func cellsAreAddedAsTenantsComeAndTenantsStay() async throws {
        let names = ["a", "b", "c", "d", "e"]
        let test = try await TestSupervisor(names.map { .test($0) }) { $0.isolatesPerCell = 2 }
        var cells: [FakeCell] = []
        for (index, name) in names.enumerated() {
            let client = try await test.request(name)
            if index % 2 == 0 { cells.append(try await test.readyCell()) }
            let cell = cells[index / 2]
            cell.answer(try await cell.nextRequest().id, name)
            #expect(try await client.next() == .head(status: 200, headers: "", body: name, isComplete: true))
        }
        let before = try await homes(test)
        #expect(
            before == ["a": "standard#0", "b": "standard#0", "c": "standard#1", "d": "standard#1", "e": "standard#2"])
        for (index, name) in names.enumerated().reversed() { try await answer([name], of: test, by: cells[index / 2]) }
        #expect(try await homes(test) == before)
        try await test.expectNothingHeld()
    }

    /// Its old cell knows when it was called: it goes back there, wherever hashing says by now that it belongs.
    @Test func whoWasMadeColdComesBackWhereItWas() async throws {
        let names = (0..<8).map { "t\($0)" }
        let test = try await TestSupervisor(names.map { .test($0) }) { $0.isolatesPerCell = 6 }
        for name in names { _ = try await test.request(name) }
        let first = try await test.readyCell()
        _ = try await test.readyCell()
        for _ in 0..<6 { first.answer(try await first.nextRequest().id) }
        while try await test.onLoop({ $0.openRequests.count > 2 }) { await Task.yield() }
        let before = try await homes(test)
        #expect(before.values.count { $0 == "standard#0" } == 6 && before.values.count { $0 == "standard#1" } == 2, "\(before)")
        let there = before.filter { $0.value == "standard#0" }.keys.sorted()
        try await test.onLoop { supervisor in there.forEach { supervisor.chill(supervisor.tenants[$0]!) } }
        for name in there { _ = try await test.request(name) }
        #expect(try await homes(test) == before)
    }

    /// The oldest first, and the next when that has its successor.
    @Test func cellsAreReplacedWhenTheyHaveRunForLongEnough() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) {
            $0.isolatesPerCell = 1
            $0.cellAgeHours = 2
            $0.cellSilenceSeconds = 100_000
            $0.cellStartSeconds = 100_000
        }
        var old: [FakeCell] = []
        for name in ["a", "b"] {
            let client = try await test.request(name)
            old.append(try await test.readyCell())
            old.last!.answer(try await old.last!.nextRequest().id)
            _ = try await client.next()
            try await test.advance(milliseconds: 60_000)
        }
        try await test.advance(milliseconds: 7_000_000)
        #expect(try await test.onLoop { $0.allCells.count } == 2)
        // Both are due by now; one has a successor at a time.
        try await test.advance(milliseconds: 200_000)
        try await test.advance(milliseconds: 1_100)
        #expect(try await test.onLoop { $0.allCells.count } == 3)
        _ = try await test.readyCell()
        try await old[0].expectEnd()
        #expect(!old[1].isKilled)
        try await test.advance(milliseconds: 1_100)
        #expect(try await test.onLoop { $0.allCells.count } == 2)
        try await test.advance(milliseconds: 600_000)
        _ = try await test.readyCell()
        try await old[1].expectEnd()
        try await test.advance(milliseconds: 1_100)
        #expect(try await test.onLoop { $0.allCells.count } == 2)
    }

    @Test func cellsWhoseSuccessorsDoNotStartGoOnAndAreNamed() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let old = try await test.readyCell()
        old.answer(try await old.nextRequest().id)
        let outcome = Task { try await test.supervisor.replaceCells() }
        try await test.spawner.cells.next().die()
        #expect(try await outcome.value == CellReplacement(replaced: [], kept: ["standard#0"]))
        // The old one serves: nobody need be sent elsewhere.
        #expect(await test.supervisor.readiness().ready)
        let again = Task { try await test.supervisor.replaceCells() }
        try await test.advance(milliseconds: 1_000)
        _ = try await test.readyCell()
        _ = try await again.value
    }

    @Test func aCellThatDoesNotStartCountsForAWhile() async throws {
        let test = try await TestSupervisor([.test("a", cordon: .private)])
        let client = try await test.request()
        try await test.spawner.cells.next().die()
        _ = try await client.next()
        #expect(await !test.supervisor.readiness().ready)
        // Nobody asks: a load balancer that heeds this would never send anybody again.
        try await test.advance(milliseconds: 31_000)
        #expect(await test.supervisor.readiness().ready)
    }

    /// Of four cells three have room at once.
    @Test func aNewTenantGoesWhereRendezvousHashingSaysAmongTheCellsWithRoom() async throws {
        let founders = ["w", "x", "y", "z"]
        let newcomers = ["a", "d", "e", "h", "m"]
        let test = try await TestSupervisor((founders + newcomers).map { .test($0) }) { $0.isolatesPerCell = 1 }
        var cells: [FakeCell] = []
        var versions: [UInt64] = []
        for name in founders {
            _ = try await test.request(name)
            let cell = try await test.readyCell()
            versions.append(try await cell.next(.tenant).id)
            cell.answer(try await cell.next(.request).id)
            cells.append(cell)
        }
        // The first stays full.
        for (cell, version) in zip(cells, versions).dropFirst() { cell.send(.isolateEnded, id: version) }
        while try await homes(test).count > 1 { try await Task.sleep(for: .milliseconds(1)) }
        let places = cells.dropFirst().map(\.name)
        var chosen: Set<String> = []
        for name in newcomers {
            _ = try await test.request(name)
            let home = try await homes(test)[name]
            let index = try #require(RendezvousHash.choose(for: name, among: places))
            #expect(home == places[index], "\(name)")
            let cell = try #require(cells.first { $0.name == home })
            chosen.insert(cell.name)
            let version = try await cell.next(.tenant).id
            cell.answer(try await cell.next(.request).id)
            // The next one finds room in all three again.
            cell.send(.isolateEnded, id: version)
            while try await homes(test)[name] != nil { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(chosen == Set(places))
    }

    @Test func atTheLimitOfCellsTheLeastFullTakesMore() async throws {
        let test = try await TestSupervisor(["a", "b", "c"].map { .test($0) }) {
            $0.isolatesPerCell = 1
            $0.cellsPerCordon = 1
        }
        _ = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        try await answer(["b", "c"], of: test, by: cell)
        #expect(try await homes(test).values.allSatisfy { $0 == "standard#0" })
    }

    /// A cell keeps a limited number of versions, and one more would end it.
    @Test func nearTheLimitOfVersionsTheLeastRecentlyUsedAreRetired() async throws {
        let test = try await TestSupervisor(["a", "b", "c", "d", "e"].map { .test($0) }) {
            $0.versionsPerCell = 4
            $0.cellSilenceSeconds = 1_000
        }
        let first = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        _ = try await first.next()
        try await test.advance(milliseconds: 1)
        let busy = try await test.request("b")
        let open = try await cell.nextRequest().id
        var versions: [String: UInt64] = [:]
        for name in ["c", "d"] {
            try await test.advance(milliseconds: 1)
            let client = try await test.request(name)
            versions[name] = try await cell.next(.tenant).id
            cell.answer(try await cell.next(.request).id)
            _ = try await client.next()
        }
        try await test.advance(milliseconds: 1)
        try await answer(["a"], of: test, by: cell)
        // Of those without requests `c` is the one that was not used for longest.
        for (newcomer, leaves) in [("e", "c"), ("c", "d")] {
            try await test.advance(milliseconds: 1)
            let client = try await test.request(newcomer)
            #expect(try await cell.next(.retire).id == versions[leaves])
            #expect(try await cell.next(.tenant).id != versions[newcomer])
            cell.answer(try await cell.next(.request).id, newcomer)
            #expect(try await client.next() == .head(status: 200, headers: "", body: newcomer, isComplete: true))
        }
        cell.answer(open, "b")
        #expect(try await busy.next() == .head(status: 200, headers: "", body: "b", isComplete: true))
        #expect(!cell.isKilled)
        try await test.expectNothingHeld()
    }

    @Test func aCellThatKeepsWhatItIsToRetireIsEnded() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) })
        let first = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        _ = try await first.next()
        try await test.onLoop { supervisor in
            let version = supervisor.tenants["a"]!.version!
            for id in 0..<UInt64(TenantBundle.cellLimit) {
                let retired = TenantVersionRecord(id: id + 1_000, key: version.key, version.loaded)
                retired.isRetired = true
                version.home!.versions[retired.id] = retired
            }
        }
        #expect(try await test.request("b").next() == .failed(.overloaded, retryAfterSeconds: 1))
        try await cell.expectEnd()
        try await test.expectNothingHeld()
    }

    @Test func aTenantWhoseIsolateEndedMakesRoom() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) { $0.isolatesPerCell = 1 }
        _ = try await test.request("a")
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.answer(try await cell.next(.request).id)
        cell.send(.isolateEnded, id: version)
        while try await homes(test)["a"] != nil { try await Task.sleep(for: .milliseconds(1)) }
        try await answer(["b"], of: test, by: cell)
    }

    @Test func aLostCellsTenantsFindAnother() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) })
        _ = try await test.request("a")
        let first = try await test.readyCell()
        first.answer(try await first.nextRequest().id)
        try await answer(["b"], of: test, by: first)
        first.die()
        let second = try await test.readyCell()
        try await answer(["a", "b"], of: test, by: second)
        try await test.expectNothingHeld()
    }

    @Test func aReplacedCellFinishesWhatItHasAndGetsNothingNew() async throws {
        let test = try await TestSupervisor()
        let running = try await test.request()
        let old = try await test.readyCell()
        let request = try await old.nextRequest()
        old.send(.entered, id: request.id)
        let replaced = try await test.onLoop { $0.replaceCells() }
        // Until its successor is ready the old one goes on.
        let before = try await test.request()
        let second = try await old.nextRequest()
        let new = try await test.readyCell()
        try await replaced.get()
        try await answer(["a"], of: test, by: new)
        #expect(!old.isKilled)
        old.answer(second.id, "second")
        old.answer(request.id, "first")
        #expect(try await before.next() == .head(status: 200, headers: "", body: "second", isComplete: true))
        #expect(try await running.next() == .head(status: 200, headers: "", body: "first", isComplete: true))
        try await old.expectEnd()
        #expect(!new.isKilled)
        try await answer(["a"], of: test, by: new)
        try await test.expectNothingHeld()
    }

    @Test func whatIsInstalledMeanwhileIsWhatTheNextCellStartsFrom() async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let updated = FakeSpawner(eventLoop: eventLoop)
        let asked = Mutex(0)
        let test = try await TestSupervisor {
            $0.cellSilenceSeconds = 1_000
            $0.renewedOrigin = {
                let times = asked.withLock { times in
                    times += 1
                    return times
                }
                switch times {
                case 1: return nil
                // An update that is under way.
                case 2: throw CancellationError()
                case 3: return CellOrigin(spawner: updated, snapshot: [7], jitlessSnapshot: [8], snapshots: nil)
                default: return nil
                }
            }
        }
        _ = try await test.request()
        let old = try await test.readyCell()
        old.answer(try await old.nextRequest().id)
        func awaitAsked(_ times: Int) async throws {
            while asked.withLock({ $0 }) < times { try await Task.sleep(for: .milliseconds(1)) }
            // What came of it is there when one that comes after it is done.
            try await test.onLoop { $0.originRenewal ?? $0.eventLoop.makeSucceededVoidFuture() }.get()
        }
        try await test.advance(milliseconds: 1_000)
        try await awaitAsked(1)
        try await test.advance(milliseconds: 1_000)
        await #expect(throws: CancellationError.self) { try await awaitAsked(2) }
        try await test.advance(milliseconds: 1_000)
        #expect(asked.withLock { $0 } == 2, "what failed is asked for again at once")
        #expect(try await test.onLoop { $0.originNumber } == 0)
        try await test.advance(milliseconds: 30_000)
        try await awaitAsked(3)
        #expect(try await test.onLoop { $0.originNumber } == 1)
        // The cell that runs goes on; what comes in its place is of the new kind.
        try await answer(["a"], of: test, by: old)
        old.die()
        let new = try await updated.cells.next()
        let configuration = try await new.next(.configure)
        #expect(configuration.payload.readableBytesView.firstRange(of: [1, 0, 0, 0, 7]) != nil)
    }

    @Test func aReplacedCellThatDoesNotGetDoneIsEnded() async throws {
        let test = try await TestSupervisor { $0.cellDrainSeconds = 5 }
        let client = try await test.request()
        let old = try await test.readyCell()
        old.send(.entered, id: try await old.nextRequest().id)
        let replaced = try await test.onLoop { $0.replaceCells() }
        _ = try await test.readyCell()
        try await replaced.get()
        try await test.advance(milliseconds: 6_000)
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        try await old.expectEnd()
    }

    @Test func aTenantThatCostACellGetsOneOfItsOwn() async throws {
        let test = try await TestSupervisor(["a", "b"].map { .test($0) })
        let client = try await test.request("a")
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.send(.entered, id: try await cell.next(.request).id)
        cell.send(.poisoned, id: version, ByteBuffer(string: "out of memory"))
        #expect(try await client.next() == .failed(.cellLost, retryAfterSeconds: nil))
        let shared = try await test.readyCell()
        try await answer(["b"], of: test, by: shared)
        _ = try await test.request("a")
        let own = try await test.readyCell()
        #expect(own.name == "quarantine:a#0")
        own.answer(try await own.nextRequest().id)
        // A new version is given another chance.
        try await test.apply(["a", "b"].map { .test($0) }, code: "2")
        try await shared.next(.retire)
        try await answer(["a"], of: test, by: shared)
    }
}
