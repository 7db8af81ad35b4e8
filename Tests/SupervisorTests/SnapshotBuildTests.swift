import Bundles
import Dispatch
import NIOCore
import Policy
import Scheduling
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Snapshots
@testable import Supervisor

/// When tenants' snapshots are built.
@Suite(.timeLimit(.minutes(2))) struct SnapshotBuildTests {
    /// Counts who is built; what is built is nowhere kept, unless a test says that it is there already.
    private final class CountedSnapshots: TenantSnapshots {
        let built = Mutex<[String]>([])
        let areKept: Bool
        let outcome: SnapshotBuildOutcome
        /// Each build waits for one.
        let mayGoOn: DispatchSemaphore?

        init(
            areKept: Bool = false, outcome: SnapshotBuildOutcome = .built(SnapshotFrame(blobBytes: 9, delta: [1, 2, 3])),
            mayGoOn: DispatchSemaphore? = nil
        ) {
            self.areKept = areKept
            self.outcome = outcome
            self.mayGoOn = mayGoOn
        }

        func key(of bundle: StoredBundle, eval: Bool, jit: Bool) -> TenantSnapshotStore.Key {
            TenantSnapshotStore.Key(name: "\(bundle.digest)")
        }
        func contains(_ key: TenantSnapshotStore.Key) -> Bool { areKept }
        func remove(_ key: TenantSnapshotStore.Key) {}
        func read(_ key: TenantSnapshotStore.Key) -> SnapshotFrame? { nil }
        func build(_ bundle: TenantBundle, jit: Bool, as key: TenantSnapshotStore.Key) -> SnapshotBuildOutcome {
            built.withLock { $0.append(bundle.tenant) }
            mayGoOn?.wait()
            return outcome
        }
        var storeBytes: Int { 0 }
    }

    /// A supervisor that knows that a build takes eight seconds, and has no time for those that are not worth it.
    private func poor(_ snapshots: CountedSnapshots, _ tenants: [String] = ["a"]) async throws -> TestSupervisor {
        let test = try await TestSupervisor(tenants.map { .test($0) }) { $0.snapshots = snapshots }
        try await test.onLoop {
            $0.wantedSnapshots = BuildQueue(creditPart: 0.1, creditLimitNanoseconds: 1_000_000_000, now: $0.now)
            $0.wantedSnapshots.built(nanoseconds: 10_000_000_000)
            // The one that takes the credit.
            $0.wantedSnapshots.add($0.tenants[tenants[0]]!.version!, startNanoseconds: 1)
            _ = $0.wantedSnapshots.next(now: $0.now)
            $0.wantedSnapshots.built(nanoseconds: 1_000_000_000)
        }
        return test
    }

    /// Has a tenant start from its source, for as much CPU time.
    private func start(
        _ tenant: String = "a", milliseconds: [UInt64], by test: TestSupervisor, in known: FakeCell? = nil
    ) async throws -> FakeCell {
        let exchange = try await test.request(tenant)
        let cell: FakeCell = if let known { known } else { try await test.readyCell() }
        let version = try await cell.next(.tenant).id
        for time in milliseconds {
            var payload = ByteBuffer()
            // How long it waited for a processor does not matter.
            payload.append(integer: (1_000 - time) * 1_000_000)
            payload.append(integer: time * 1_000_000)
            cell.send(.started, extra: StartKind.source.rawValue, id: version, payload)
        }
        cell.answer(try await cell.next(.request).id)
        _ = exchange
        return cell
    }

    private func snapshot(of tenant: String = "a", _ test: TestSupervisor) async throws -> String {
        try Task.checkCancellation()
        let report = await test.supervisor.tenants().first(where: { $0.tenant == tenant })
        return try #require(report).snapshot
    }

    @Test func whoseStartsTookMostGetsItsSnapshotFirst() async throws {
        let mayGoOn = DispatchSemaphore(value: 0)
        let snapshots = CountedSnapshots(outcome: .refused("no"), mayGoOn: mayGoOn)
        let starts: [(tenant: String, milliseconds: [UInt64])] = [("a", [1]), ("d", [5, 5]), ("b", [3]), ("c", [9])]
        let test = try await TestSupervisor(starts.map { .test($0.tenant) }) { $0.snapshots = snapshots }
        var cell: FakeCell?
        for start in starts { cell = try await self.start(start.tenant, milliseconds: start.milliseconds, by: test, in: cell) }
        func states() async throws -> [String] {
            try Task.checkCancellation()
            return await test.supervisor.tenants().map(\.snapshot)
        }
        while try await states().contains(where: { $0 != "building" }) {}
        #expect(test.registry.text().contains("cloister_snapshot_builds_waiting 4"))
        for _ in starts { mayGoOn.signal() }
        while try await states().contains(where: { $0 != "refused" }) {}
        #expect(snapshots.built.withLock { $0 } == ["a", "d", "c", "b"])
        #expect(test.registry.text().contains("cloister_snapshot_builds_waiting 0"))
    }

    @Test func oneThatIsNotWorthItWaitsForAPartOfTheTime() async throws {
        let snapshots = CountedSnapshots()
        let test = try await poor(snapshots)
        _ = try await start(milliseconds: [1], by: test)
        while try await snapshot(test) != "building" {}
        #expect(snapshots.built.withLock { $0 } == [])
        // There is some of it again, which is enough to begin with one.
        try await test.advance(milliseconds: 2_000)
        while try await snapshot(test) != "kept" {}
        #expect(snapshots.built.withLock { $0 } == ["a"])
    }

    @Test func oneThatIsWorthItDoesNot() async throws {
        let snapshots = CountedSnapshots()
        let test = try await poor(snapshots, ["a", "b"])
        let cell = try await start("a", milliseconds: [1], by: test)
        _ = try await start("b", milliseconds: Array(repeating: 300, count: 40), by: test, in: cell)
        while try await snapshot(of: "b", test) != "kept" {}
        #expect(snapshots.built.withLock { $0 } == ["b"])
        #expect(try await snapshot(of: "a", test) == "building")
    }

    @Test func whatIsThereAlreadyNeedsNoBuild() async throws {
        let snapshots = CountedSnapshots(areKept: true)
        let test = try await poor(snapshots)
        _ = try await start(milliseconds: [1], by: test)
        while try await snapshot(test) != "kept" {}
        // Reading it says nothing of what a build takes.
        #expect(
            try await test.onLoop {
                $0.wantedSnapshots.add($0.tenants["a"]!.version!, startNanoseconds: 1_000_000_000)
                return $0.wantedSnapshots.next(now: $0.now) == nil
            })
    }

    @Test func aTenantThatMovesTakesItsPlaceAlong() async throws {
        let test = try await poor(CountedSnapshots())
        _ = try await start(milliseconds: [1], by: test)
        while try await snapshot(test) != "building" {}
        for state in [TenantVersionRecord.SnapshotState.queued, .unknown] {
            #expect(
                try await test.onLoop {
                    let tenant = $0.tenants["a"]!
                    tenant.version!.snapshot = state
                    $0.move(tenant, to: Supervisor.sharedKey)
                    return $0.wantedSnapshots.count == 1 && $0.wantedSnapshots.contains(tenant.version!)
                })
        }
    }
}
