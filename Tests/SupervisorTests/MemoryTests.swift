import Bundles
import Foundation
import NIOCore
import Policy
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Sandbox
@testable import Snapshots
@testable import Supervisor

/// Budgets, tenants' snapshots, and tenants that a cell has no room for.
@Suite(.timeLimit(.minutes(2))) struct MemoryTests {
    private static let gibibyte: UInt64 = 1 << 30

    // MARK: The budget

    /// A supervisor with two cells of one tenant each.
    private func twoCells(_ machine: MachineMemory) async throws -> (TestSupervisor, [FakeCell]) {
        let memory = Mutex(machine)
        let test = try await TestSupervisor(["a", "b"].map { .test($0) }) {
            $0.isolatesPerCell = 1
            $0.memoryBudgetBytes = 1 << 50
            $0.machineMemory = { memory.withLock { $0 } }
        }
        var cells: [FakeCell] = []
        for name in ["a", "b"] {
            _ = try await test.request(name)
            let cell = try await test.readyCell()
            cell.answer(try await cell.nextRequest().id)
            cells.append(cell)
        }
        return (test, cells)
    }

    /// Lets seconds pass until cells have told what they hold and were told what they may, and returns that.
    private func budgets(
        _ test: TestSupervisor, _ cells: [FakeCell], holding: [UInt64], values: [UInt64] = [0, 0]
    ) async throws -> [UInt64] {
        var last: [UInt64] = []
        for _ in 0..<3 {
            try await test.advance(milliseconds: 1_100)
            // What is measured on other threads counts in the next second.
            while try await test.onLoop({ $0.ownMemoryBytes == 0 || $0.machineMemory.limitBytes == 0 }) { await Task.yield() }
            last = []
            for (index, cell) in cells.enumerated() {
                try await cell.status {
                    $0.isolateBytes = holding[index]
                    $0.marginalValue = values[index]
                }
                last.append(try await cell.budgets.next())
            }
        }
        return last
    }

    @Test func whatIsTooMuchIsTakenFromCellsByWhatTheyHold() async throws {
        let (test, cells) = try await twoCells(MachineMemory(limitBytes: 1 << 50, availableBytes: 1 << 49, pressure: 0))
        // Of the budget the test's own process takes a part, too, which changes as it runs.
        let holding = [3_000 * Self.gibibyte, 1_000 * Self.gibibyte]
        let before = try await budgets(test, cells, holding: holding)
        #expect(before.allSatisfy { $0 > holding[0] }, "nothing is short: \(before)")
        try await test.onLoop { $0.setMemoryBudget(2_000 * Self.gibibyte) }
        let after = try await budgets(test, cells, holding: holding)
        #expect(abs(Double(after[0]) / Double(after[1]) - 3) < 0.001, "\(after)")
        #expect(after[0] < holding[0] && after[1] < holding[1])
    }

    /// Each second a little goes where evictions cost more.
    @Test func roomGoesToTheCellWhereItIsWorthMore() async throws {
        let (test, cells) = try await twoCells(MachineMemory(limitBytes: 1 << 50, availableBytes: 1 << 49, pressure: 0))
        let holding = [2_000 * Self.gibibyte, 2_000 * Self.gibibyte]
        _ = try await budgets(test, cells, holding: holding)
        try await test.onLoop { $0.setMemoryBudget(2_000 * Self.gibibyte) }
        // What they were told before comes first.
        _ = try await budgets(test, cells, holding: holding, values: [1_000, 3_000])
        let after = try await budgets(test, cells, holding: holding, values: [1_000, 3_000])
        #expect(after[0] < after[1], "\(after)")
        #expect(after[0] + after[1] <= 2_000 * Self.gibibyte && Double(after[1]) < 1.06 * 1_000 * Double(Self.gibibyte), "\(after)")
        #expect(test.registry.text().contains("cloister_memory_marginal_value{cell="))
    }

    /// A new cell where another has taken everything: what it may hold is not in proportion to nothing.
    @Test func whoHoldsNothingMayBegin() async throws {
        let (test, cells) = try await twoCells(MachineMemory(limitBytes: 1 << 50, availableBytes: 1 << 49, pressure: 0))
        let holding = [3_000 * Self.gibibyte, 0]
        _ = try await budgets(test, cells, holding: holding)
        try await test.onLoop { $0.setMemoryBudget(2_000 * Self.gibibyte) }
        let after = try await budgets(test, cells, holding: holding)
        #expect(after[1] > 50 * Self.gibibyte && after[0] + after[1] <= 2_000 * Self.gibibyte, "\(after)")
    }

    /// Most of what V8 commits is not touched: what the kernel says is what counts against the budget.
    @Test func whatIsNotTouchedDoesNotCount() async throws {
        let (test, cells) = try await twoCells(MachineMemory(limitBytes: 1 << 50, availableBytes: 1 << 49, pressure: 0))
        let holding = [3_000 * Self.gibibyte, 3_000 * Self.gibibyte]
        _ = try await budgets(test, cells, holding: holding)
        try await test.onLoop {
            $0.setMemoryBudget(4_000 * Self.gibibyte)
            $0.allCells.forEach { $0.memoryBytes = 1_500 * Self.gibibyte }
            $0.shareMemory()
        }
        for cell in cells {
            var told: UInt64 = 0
            // What they were told before comes first.
            for _ in 0..<10 where told == 0 || told < 3_500 * Self.gibibyte { told = try await cell.budgets.next() }
            // A part of 2,000 each, of which they hold 1,500 and account for 3,000.
            #expect(abs(Double(told) / Double(4_000 * Self.gibibyte) - 1) < 0.01, "\(told)")
        }
    }

    @Test func aMachineThatIsShortOfMemoryCutsTheBudget() async throws {
        let (test, cells) = try await twoCells(MachineMemory(limitBytes: 8 << 30, availableBytes: 0, pressure: 0))
        let holding = [3 * Self.gibibyte, Self.gibibyte]
        let told = try await budgets(test, cells, holding: holding)
        #expect(told[0] < holding[0] && told[1] < holding[1], "\(told)")
    }

    @Test func underPressureCellsMayHoldLessEachSecondAndMoreWhenItIsOver() async throws {
        let pressure = Mutex(0.5)
        let test = try await TestSupervisor([.test("a")]) {
            $0.memoryBudgetBytes = 1 << 40
            $0.machineMemory = { MachineMemory(limitBytes: 1 << 41, availableBytes: 1 << 40, pressure: pressure.withLock { $0 }) }
        }
        // It follows at once: what it is told to hold is what it holds the next second.
        let held = Mutex(UInt64(1 << 39))
        _ = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        func second() async throws -> Double {
            try await test.advance(milliseconds: 1_100)
            try await cell.status { $0.isolateBytes = held.withLock { $0 } }
            let told = try await cell.budgets.next()
            held.withLock { if told > 0 { $0 = min($0, told) } }
            return try await test.onLoop { supervisor in
                supervisor.allCells.forEach { $0.memoryBytes = held.withLock { $0 } }
                return supervisor.memoryFactor
            }
        }
        func measured(_ value: Double) async throws {
            pressure.withLock { $0 = value }
            while try await test.onLoop({ $0.machineMemory.pressure }) != value { _ = try await second() }
        }
        try await measured(0.5)
        var factors: [Double] = []
        for _ in 0..<8 { factors.append(try await second()) }
        #expect(factors == factors.sorted(by: >) && abs(factors.last! - 0.3) < 0.001, "\(factors)")
        // Of what it held when it began, however long that lasts.
        for _ in 0..<8 { _ = try await second() }
        #expect(abs(Double(held.withLock { $0 }) / Double(UInt64(1 << 39)) - 0.3) < 0.02, "\(held.withLock { $0 })")
        try await measured(0)
        factors = []
        for _ in 0..<40 { factors.append(try await second()) }
        #expect(factors == factors.sorted() && factors.last == 1, "\(factors)")
    }

    @Test func pressureDoesNotCountBeforeItIsKnownWhatCellsHold() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        let factors = try await test.onLoop { supervisor in
            supervisor.machineMemory = MachineMemory(limitBytes: 1 << 41, availableBytes: 1 << 40, pressure: 0.5)
            return [0, 1 << 30].map { (bytes: UInt64) in
                supervisor.allCells.forEach { $0.memoryBytes = bytes }
                supervisor.shareMemory()
                return supervisor.memoryFactor
            }
        }
        #expect(factors == [1, 0.9])
    }

    @Test func theKernelIsToldOfANewBudgetForCellsThatRunAndThatCome() async throws {
        let margin: UInt64 = 512 << 20
        let test = try await TestSupervisor {
            $0.memoryBudgetBytes = Self.gibibyte
            $0.cellSilenceSeconds = 1_000
        }
        _ = try await test.request()
        let cell = try await test.readyCell()
        func second() async throws {
            try await test.advance(milliseconds: 1_000)
            while try await test.onLoop({ $0.isLimitingMemory }) { await Task.yield() }
        }
        try await test.onLoop { $0.setMemoryBudget(4 * Self.gibibyte) }
        while try await test.onLoop({ $0.isLimitingMemory }) { await Task.yield() }
        #expect(cell.memoryLimit == 4 * Self.gibibyte + margin && test.spawner.memoryLimit == cell.memoryLimit)
        // It holds more than it is to have: the kernel would end it.
        cell.hold(3 * Self.gibibyte)
        try await test.onLoop { $0.setMemoryBudget(2 * Self.gibibyte) }
        try await second()
        #expect(cell.memoryLimit == 4 * Self.gibibyte + margin && test.spawner.memoryLimit == 2 * Self.gibibyte + margin)
        cell.hold(Self.gibibyte)
        try await second()
        #expect(cell.memoryLimit == 2 * Self.gibibyte + margin)
    }

    @Test(arguments: [("0::/\n", "memory.max", "memory.current"), ("4:memory:/\n", "memory.limit_in_bytes", "memory.usage_in_bytes")])
    func aGroupsLimitChangesAndIsNeverBelowWhatIsUsed(own: String, limit: String, use: String) throws {
        let root = try ScratchFolder()
        let parent = own.hasPrefix("0") ? "" : "memory/"
        try root.write(parent + "cgroup.procs", "")
        let group = CgroupPlacement(root: root.path, own: own).group(name: "x", memoryLimitBytes: 1 << 30)
        let path = try #require(group.paths.first).dropFirst(root.path.count + 1)
        try root.write("\(path)/\(limit)", "")
        try root.write("\(path)/\(use)", "\(3 << 30)\n")
        func text() throws -> String { try String(contentsOfFile: "\(root.path)/\(path)/\(limit)", encoding: .utf8) }
        #expect(group.setMemoryLimit(4 << 30))
        #expect(try text() == "\(4 << 30)")
        #expect(!group.setMemoryLimit(2 << 30))
        #expect(try text() == "\(4 << 30)")
    }

    /// What all have left, the C library's heap may keep: a new cell does not.
    @Test func aCellThatAllHaveLeftIsReplacedWhenItHoldsMoreThanWhenItWasNew() async throws {
        let test = try await TestSupervisor { $0.memoryBudgetBytes = 64 * Self.gibibyte }
        func seconds(_ count: Int, holding bytes: UInt64) async throws {
            try await test.onLoop { supervisor in
                for _ in 0..<count {
                    supervisor.allCells.forEach { ($0.memoryBytes, $0.newMemoryBytes) = (bytes, 40 << 20) }
                    supervisor.shareMemory()
                }
            }
        }
        func started() async throws -> Int { try await test.onLoop { $0.allCells.count } }
        func chill() async throws { try await test.onLoop { supervisor in supervisor.tenants.values.forEach(supervisor.chill) } }
        _ = try await test.request()
        let old = try await test.readyCell()
        old.answer(try await old.nextRequest().id)
        while try await test.onLoop({ $0.allCells[0].requests.count > 0 }) { await Task.yield() }
        // Somebody is still there.
        try await seconds(60, holding: 50 << 20)
        #expect(try await started() == 1)
        try await chill()
        old.send(.isolateEnded, id: try await old.next(.retire).id)
        while try await test.onLoop({ !$0.allCells[0].versions.isEmpty }) { await Task.yield() }
        try await seconds(60, holding: 41 << 20)
        #expect(try await started() == 1)
        try await seconds(29, holding: 50 << 20)
        #expect(try await started() == 1)
        try await seconds(1, holding: 50 << 20)
        #expect(try await started() == 2)
        _ = try await test.readyCell()
        try await old.expectEnd()
        // One that nobody has been in yet is as it was made.
        try await seconds(60, holding: 50 << 20)
        #expect(try await started() == 1)
    }

    @Test func aCellThatHoldsFarMoreThanItAccountsForIsReplacedWithoutALostRequest() async throws {
        let test = try await TestSupervisor { $0.memoryBudgetBytes = 64 * Self.gibibyte }
        let first = try await test.request()
        let old = try await test.readyCell()
        let underWay = try await old.nextRequest().id
        // It accounts for nothing: what a cell takes by itself is 96 MiB, and 1.6 times that is too much.
        func seconds(_ count: Int, holding bytes: UInt64) async throws {
            try await test.onLoop { supervisor in
                for _ in 0..<count {
                    supervisor.allCells.forEach { $0.memoryBytes = bytes }
                    supervisor.shareMemory()
                }
            }
        }
        func started() async throws -> Int { try await test.onLoop { $0.allCells.count } }
        try await seconds(29, holding: 160 << 20)
        try await seconds(1, holding: 150 << 20)
        try await seconds(29, holding: 160 << 20)
        #expect(try await started() == 1)
        try await seconds(1, holding: 160 << 20)
        #expect(try await started() == 2)
        #expect(test.registry.text().contains("cloister_cells_drifted_total 1\n"))
        let new = try await test.readyCell()
        while try await test.onLoop({ supervisor in supervisor.leavingCells.isEmpty }) { await Task.yield() }
        let second = try await test.request()
        new.answer(try await new.nextRequest().id, "new")
        #expect(try await second.next() == .head(status: 200, headers: "", body: "new", isComplete: true))
        old.answer(underWay, "old")
        #expect(try await first.next() == .head(status: 200, headers: "", body: "old", isComplete: true))
        try await old.expectEnd()
        try await test.expectNothingHeld()
    }

    /// A cell that runs out of mappings is lost with all its tenants.
    @Test func aCellGetsNoMoreIsolatesThanTheKernelHasMappingsFor() async throws {
        let test = try await TestSupervisor { $0.isolatesPerCell = 1_000_000 }
        _ = try await test.request()
        let cell = try await test.spawner.cells.next()
        let limit = try await cell.next(.configure).payload.withUnsafeReadableBytes {
            var reader = ByteReader($0)
            return try CellConfiguration(from: &reader).isolateLimit
        }
        let mappings = try #require(MachineMemory.number(MachineMemory.text("/proc/sys/vm/max_map_count")))
        #expect(limit == MappingLimit.isolates && limit * 20 <= Int(mappings), "\(limit)")
        #expect(MappingLimit.isolates(mappings: 65_530) == 2_826 && MappingLimit.isolates(mappings: 100) == 1)
    }

    // MARK: Cold tenants

    @Test func aTenantThatACellHasNoRoomForIsGivenToItAgainWhenItIsUsed() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        let first = try await cell.next(.request).id
        // Not while a request is under way.
        cell.send(.cold, id: version)
        cell.answer(first)
        let second = try await test.request()
        cell.answer(try await cell.next(.request).id, "same")
        #expect(try await second.next() == .head(status: 200, headers: "", body: "same", isComplete: true))
        cell.send(.cold, id: version)
        #expect(try await cell.next(.retire).id == version)
        cell.send(.isolateEnded, id: version)
        let third = try await test.request()
        let again = try await cell.next(.tenant).id
        #expect(again != version)
        cell.answer(try await cell.next(.request).id, "again")
        #expect(try await third.next() == .head(status: 200, headers: "", body: "again", isComplete: true))
        try await test.expectNothingHeld()
    }

    /// What has begun ends in the cell as it is; what comes afterwards has the code given anew.
    @Test func aTenantIsForgottenByItsCellWhenAskedAlsoWhileARequestIsUnderWay() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        let first = try await cell.next(.request).id
        #expect(await test.supervisor.evict("nobody", cold: true) == false)
        #expect(await test.supervisor.evict("a", cold: true))
        let second = try await test.request()
        #expect(try await cell.next(.tenant).id != version)
        cell.answer(try await cell.next(.request).id, "anew")
        #expect(try await second.next() == .head(status: 200, headers: "", body: "anew", isComplete: true))
        cell.answer(first, "as before")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "as before", isComplete: true))
        #expect(try await cell.next(.retire).id == version)
        cell.send(.isolateEnded, id: version)
        // All of them, of whom no cell knows any more after that.
        #expect(await test.supervisor.evict(nil, cold: true))
        _ = try await cell.next(.retire)
        #expect(await test.supervisor.evict(nil, cold: true))
        try await test.expectNothingHeld()
    }

    /// The isolate is evicted while its version is being retired: the cell says both.
    @Test func anEvictionMayCrossARetirement() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.answer(try await cell.next(.request).id)
        cell.send(.cold, id: version)
        #expect(try await cell.next(.retire).id == version)
        cell.send(.isolateEnded, extra: EvictionReason.pressure.rawValue, id: version)
        cell.send(.isolateEnded, id: version)
        let client = try await test.request()
        cell.answer(try await cell.nextRequest().id, "again")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "again", isComplete: true))
        #expect(!cell.isKilled)
        try await test.expectNothingHeld()
    }

    /// It has moved to another cell and is hot there: what the one that it left has no room for is not its matter.
    @Test func aCellThatATenantHasLeftDoesNotMakeItCold() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let first = try await test.request()
        let old = try await test.readyCell()
        let version = try await old.next(.tenant).id
        old.answer(try await old.next(.request).id)
        _ = try await first.next()
        // For this one the old cell stays.
        let stream = try await test.request("b")
        let open = try await old.nextRequest().id
        let replaced = try await test.onLoop { $0.replaceCells() }
        let new = try await test.readyCell()
        try await replaced.get()
        let second = try await test.request()
        #expect(try await new.next(.tenant).id == version)
        new.answer(try await new.next(.request).id)
        _ = try await second.next()
        old.send(.cold, id: version)
        // The supervisor has read what came before it.
        old.answer(open)
        _ = try await stream.next()
        let third = try await test.request()
        // Not retired and given again.
        new.answer(try await new.next(.request).id, "still there")
        #expect(try await third.next() == .head(status: 200, headers: "", body: "still there", isComplete: true))
        try await test.expectNothingHeld()
    }

    @Test func aVersionThatACellDoesNotHaveCannotBeCold() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        try await cell.nextRequest()
        cell.send(.cold, id: 77)
        try await cell.expectEnd()
    }

    // MARK: Snapshots

    private final class FakeSnapshots: TenantSnapshots {
        let outcome: SnapshotBuildOutcome
        let kept = Mutex<[TenantSnapshotStore.Key: SnapshotFrame]>([:])
        let builds = Atomic<Int>(0)

        init(_ outcome: SnapshotBuildOutcome) { self.outcome = outcome }

        func key(of bundle: StoredBundle, eval: Bool, jit: Bool) -> TenantSnapshotStore.Key {
            TenantSnapshotStore.Key(name: "\(bundle.digest)")
        }
        func contains(_ key: TenantSnapshotStore.Key) -> Bool { kept.withLock { $0[key] != nil } }
        func remove(_ key: TenantSnapshotStore.Key) { kept.withLock { $0[key] = nil } }
        func read(_ key: TenantSnapshotStore.Key) -> SnapshotFrame? { kept.withLock { $0[key] } }
        func build(_ bundle: TenantBundle, jit: Bool, as key: TenantSnapshotStore.Key) -> SnapshotBuildOutcome {
            builds.add(1, ordering: .sequentiallyConsistent)
            if case .built(let frame) = outcome { kept.withLock { $0[key] = frame } }
            return outcome
        }
        var storeBytes: Int { kept.withLock { $0.values.reduce(0) { $0 + $1.delta.count } } }
    }

    /// A cell that has answered the first request of its first version.
    private func served(by test: TestSupervisor) async throws -> (cell: FakeCell, version: UInt64) {
        _ = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        cell.answer(try await cell.next(.request).id)
        return (cell, version)
    }

    private func started(_ kind: StartKind, _ version: UInt64, in cell: FakeCell) {
        cell.send(.started, extra: kind.rawValue, id: version, Self.times(2_000_000, cpu: 1_000_000))
    }

    private static func times(_ nanoseconds: UInt64, cpu: UInt64) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.append(integer: nanoseconds)
        payload.append(integer: cpu)
        return payload
    }

    private func report(_ test: TestSupervisor) async throws -> TenantReport {
        try Task.checkCancellation()
        return try #require(await test.supervisor.tenants().first)
    }

    @Test func aTenantThatHasStartedGetsASnapshotAndItsNextCellHasItAtOnce() async throws {
        let snapshots = FakeSnapshots(.built(SnapshotFrame(blobBytes: 9, delta: [1, 2, 3])))
        let test = try await TestSupervisor { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        #expect(try await report(test).snapshot == "none")
        started(.source, version, in: cell)
        let frame = try await cell.next(.tenantSnapshot)
        #expect(frame.id == version)
        #expect(try await report(test).snapshot == "kept")
        // A second start from the source builds none. Nobody waits for it, nor for the first.
        started(.source, version, in: cell)
        #expect(try await report(test).starts == 0)
        cell.die()
        try await cell.expectEnd()
        let next = try await test.readyCell()
        _ = try await test.request()
        try await next.next(.tenant)
        try await next.next(.tenantSnapshot)
        next.answer(try await next.next(.request).id)
        #expect(snapshots.builds.load(ordering: .sequentiallyConsistent) == 1)
    }

    /// It was damaged, had to make room, or never had a place on the disk.
    @Test func aSnapshotThatIsNotKeptAnyMoreIsBuiltAgain() async throws {
        let snapshots = FakeSnapshots(.built(SnapshotFrame(blobBytes: 9, delta: [1, 2, 3])))
        let test = try await TestSupervisor { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        started(.source, version, in: cell)
        try await cell.next(.tenantSnapshot)
        snapshots.kept.withLock { $0 = [:] }
        cell.die()
        try await cell.expectEnd()
        let next = try await test.readyCell()
        _ = try await test.request()
        let again = try await next.next(.tenant).id
        next.answer(try await next.next(.request).id)
        #expect(try await report(test).snapshot == "none")
        started(.source, again, in: next)
        #expect(try await next.next(.tenantSnapshot).id == again)
        #expect(snapshots.builds.load(ordering: .sequentiallyConsistent) == 2)
    }

    @Test func whyThereIsNoneIsShownAndItIsNotTriedAgain() async throws {
        let snapshots = FakeSnapshots(.refused("a module looks at the clock"))
        let test = try await TestSupervisor { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        started(.source, version, in: cell)
        while try await report(test).snapshot != "refused" {}
        #expect(try await report(test).snapshotReason == "a module looks at the clock")
        started(.source, version, in: cell)
        _ = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(snapshots.builds.load(ordering: .sequentiallyConsistent) == 1)
    }

    @Test func aCallThatEndsABuilderIsCounted() async throws {
        let call = DeniedCall(architecture: 0xc000_003e, number: 41, arguments: [2, 1, 0], thread: 7, threadName: "worker 0")
        let snapshots = FakeSnapshots(.refused("the builder ended", call))
        let test = try await TestSupervisor { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        started(.source, version, in: cell)
        while try await report(test).snapshot != "refused" {}
        let metrics = test.registry.text()
        #expect(metrics.contains(#"cloister_builder_denied_calls_total{call="socket"} 1"#))
        // That is what an operator is woken for; any tenant's code can end a builder.
        #expect(!metrics.contains("cloister_denied_calls_total{"))
    }

    @Test func aSnapshotThatACellCannotUseLeavesTheStore() async throws {
        let snapshots = FakeSnapshots(.built(SnapshotFrame(blobBytes: 9, delta: [1, 2, 3])))
        let test = try await TestSupervisor { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        started(.source, version, in: cell)
        try await cell.next(.tenantSnapshot)
        cell.send(.snapshotRefused, id: version, ByteBuffer(string: "does not fit"))
        while try await report(test).snapshot != "refused" {}
        #expect(try await report(test).snapshotReason == "a cell cannot use it: does not fit")
        #expect(snapshots.storeBytes == 0)
    }

    @Test func aPolicyCanDoWithout() async throws {
        let snapshots = FakeSnapshots(.built(SnapshotFrame(blobBytes: 9, delta: [1, 2, 3])))
        var policy = TenantPolicy.test("a")
        policy.snapshot = .off
        let test = try await TestSupervisor([policy]) { $0.snapshots = snapshots }
        let (cell, version) = try await served(by: test)
        started(.source, version, in: cell)
        _ = try await test.request()
        cell.answer(try await cell.next(.request).id)
        #expect(try await report(test).snapshot == "off")
        #expect(snapshots.builds.load(ordering: .sequentiallyConsistent) == 0)
    }

    @Test func startsThatSomebodyWaitsForAreCounted() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        let request = try await cell.next(.request).id
        for kind in [StartKind.source, .snapshot, .sourceOfWarm] { started(kind, version, in: cell) }
        while try await report(test).starts != 3 {}
        cell.answer(request)
        while try await report(test).inFlight != 0 {}
        started(.snapshot, version, in: cell)
        cell.send(.isolateEnded, extra: EvictionReason.idle.rawValue, id: version)
        while try await report(test).state == "active" {}
        #expect(try await report(test).starts == 3)
    }
}
