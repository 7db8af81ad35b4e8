import Bundles
import Foundation
import Policy
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Snapshots
@testable import Supervisor

/// A tenant's code is read from the disk before a cell gets it, while everything else goes on.
@Suite(.timeLimit(.minutes(2))) struct CodeReadingTests {
    /// No snapshot is found, after as long a time as the test wants.
    private final class SlowSnapshots: TenantSnapshots {
        func contains(_ key: TenantSnapshotStore.Key) -> Bool { false }
        private let (asked, answers) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))

        func key(of bundle: StoredBundle, eval: Bool, jit: Bool) -> TenantSnapshotStore.Key {
            TenantSnapshotStore.Key(name: "\(bundle.digest)")
        }
        func remove(_ key: TenantSnapshotStore.Key) {}
        func read(_ key: TenantSnapshotStore.Key) -> SnapshotFrame? {
            asked.signal()
            answers.wait()
            return nil
        }
        func build(_ bundle: TenantBundle, jit: Bool, as key: TenantSnapshotStore.Key) -> SnapshotBuildOutcome { .failed("no") }
        var storeBytes: Int { 0 }

        /// Waits until somebody reads.
        func isAsked() async {
            await withCheckedContinuation { done in
                Thread {
                    self.asked.wait(); done.resume()
                }.start()
            }
        }
        /// Lets so many readers go on.
        func answer(_ count: Int = 1) { for _ in 0..<count { answers.signal() } }
    }

    /// So large that its snapshot is looked for before its first start.
    private static let code = String(repeating: " ", count: TenantBundle.smallBytes + 1)

    private func slow(_ tenants: [TenantPolicy] = [.test("a")]) async throws -> (TestSupervisor, SlowSnapshots, FakeCell) {
        let snapshots = SlowSnapshots()
        let test = try await TestSupervisor([]) { $0.snapshots = snapshots }
        try await test.apply(tenants, code: Self.code)
        try await test.onLoop { $0.start() }
        return (test, snapshots, try await test.readyCell())
    }

    @Test func whatComesMeanwhileGoesOnWithIt() async throws {
        let (test, snapshots, cell) = try await slow()
        let first = try await test.request(body: "begun, ", isComplete: false)
        await snapshots.isAsked()
        let second = try await test.request()
        try await first.sendBody("gone on")
        try await first.endBody()
        snapshots.answer()
        #expect(try await cell.next(.tenant).payload.readableBytes > Self.code.utf8.count)
        #expect(try await cell.next(.request).id == first.id)
        #expect(String(buffer: try await cell.next(.requestBody).payload) == "gone on")
        try await cell.next(.requestBody)
        #expect(try await cell.next(.request).id == second.id)
        for client in [first, second] {
            cell.answer(client.id)
            _ = try await client.next()
        }
        try await test.expectNothingHeld()
        // From now on the cell has it.
        let third = try await test.request()
        #expect(try await cell.next(.request).id == third.id)
        cell.answer(third.id)
        _ = try await third.next()
    }

    @Test func whoLeavesMeanwhileIsNotSent() async throws {
        let (test, snapshots, cell) = try await slow()
        let first = try await test.request()
        await snapshots.isAsked()
        let second = try await test.request()
        try await first.leave()
        snapshots.answer()
        try await cell.next(.tenant)
        #expect(try await cell.next(.request).id == second.id)
        cell.answer(second.id)
        _ = try await second.next()
        // All of them: nobody is left to send it for.
        try await test.apply([.test("a")], code: Self.code + " ")
        let third = try await test.request()
        await snapshots.isAsked()
        try await third.leave()
        snapshots.answer()
        try await test.expectNothingHeld()
    }

    @Test func aVersionThatIsReplacedMeanwhileServesWhoBeganOnIt() async throws {
        let (test, snapshots, cell) = try await slow()
        let first = try await test.request()
        await snapshots.isAsked()
        try await test.apply([.test("a")], code: Self.code + "new")
        let second = try await test.request()
        snapshots.answer(2)
        var codes: [UInt64: Int] = [:]
        for _ in 0..<2 {
            let tenant = try await cell.next(.tenant)
            let request = try await cell.next(.request)
            codes[request.id] = tenant.payload.readableBytes
            cell.answer(request.id)
        }
        #expect(codes[second.id]! - codes[first.id]! == 3)
        _ = try await (first.next(), second.next())
        try await test.expectNothingHeld()
    }

    @Test func whoseTenantIsMovedMeanwhileGoesWhereItIs() async throws {
        let (test, snapshots, cell) = try await slow([.test("a"), .test("b")])
        let client = try await test.request()
        await snapshots.isAsked()
        try await test.onLoop { $0.move($0.tenants["a"]!, to: CellKey(cordon: "elsewhere", jit: true)) }
        snapshots.answer(2)
        let next = try await test.readyCell()
        #expect(try await next.nextRequest().id == client.id)
        next.answer(client.id)
        _ = try await client.next()
        try await test.expectNothingHeld()
        let other = try await test.request("b")
        snapshots.answer()
        #expect(try await cell.nextRequest().id == other.id)
    }

    /// A tenant that costs cells has its requests refused wherever they wait.
    @Test func whoIsSuspendedMeanwhileIsNotSent() async throws {
        let (test, snapshots, cell) = try await slow([.test("a"), .test("b")])
        let client = try await test.request()
        await snapshots.isAsked()
        try await test.onLoop { for _ in 0..<2 { $0.noteLoss(of: $0.tenants["a"]!, isCertain: true) } }
        snapshots.answer()
        if case .failed(.suspended, _) = try await client.next() {} else { Issue.record("it was sent") }
        try await test.expectNothingHeld()
        let other = try await test.request("b")
        snapshots.answer()
        #expect(try await cell.nextRequest().id == other.id)
    }

    /// Nobody else's answer hangs on it, its owner sees why, and a reload mends it.
    @Test func aBundleThatTheDiskDoesNotGiveBackIsAnErrorUntilTheNextReload() async throws {
        let folder = try ScratchFolder()
        let bundles = try BundleStore(folder: folder.path + "/bundles")
        let test = try await TestSupervisor([]) { $0.bundles = bundles }
        try await test.apply([.test("a")], code: "of a")
        try await test.onLoop { $0.start() }
        let cell = try await test.readyCell()
        try FileManager.default.removeItem(atPath: "\(folder.path)/bundles/\(try folder.names("bundles")[0])")
        let clients = try await [test.request(), test.request()]
        for client in clients { #expect(try await client.next() == .failed(.startupFailed, retryAfterSeconds: nil)) }
        try await test.expectNothingHeld()
        #expect(await test.supervisor.tenants().first?.startError?.contains("a reload brings it again") == true)
        #expect(try await test.apply([.test("a")], code: "of a").changed.isEmpty)
        let again = try await test.request()
        #expect(try await cell.nextRequest().id == again.id)
        cell.answer(again.id)
        _ = try await again.next()
        try await test.expectNothingHeld()
    }
}
