import Foundation
import Glibc
import NIOCore
import Sandbox
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Snapshots
@testable import Supervisor

/// Builders that do not do as they should, and what becomes of what they send.
@Suite(.timeLimit(.minutes(2))) struct SnapshotBuilderTests {
    /// A builder without a process: a thread speaks for it.
    private final class FakeBuilder: SpawnedCell {
        let pid: Int32 = 0
        let isSandboxed = false
        private let ends: (supervisor: Int32, own: Int32)
        private let isDone = DispatchSemaphore(value: 0)
        private let isKilled = Mutex(false)
        /// It was waited for while it ran.
        let wasAlive = Mutex(false)

        init(_ body: @escaping @Sendable (Int32) -> Void) {
            var pair: [Int32] = [-1, -1]
            precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0)
            ends = (pair[0], pair[1])
            let (own, isDone) = (pair[1], isDone)
            Thread.detachNewThread {
                body(own)
                isDone.signal()
            }
        }

        /// Another test may get the descriptor's number: nobody may write to it any more.
        deinit {
            isDone.wait()
            close(ends.own)
        }

        func takeSocket() -> Int32 { ends.supervisor }
        func verifySealed() throws {}
        func setCPUShare(_ share: Double?) {}
        func kill() { isKilled.withLock { $0 = true } }
        func reap() -> (status: String, diagnostics: String) {
            wasAlive.withLock { $0 = !isKilled.withLock { $0 } }
            return ("signal 9", "")
        }
    }

    private static func send(_ kind: FrameKind, _ payload: [UInt8] = [], to socket: Int32) {
        var frame = ByteWriter()
        FrameHeader(kind, length: payload.count).encode(into: &frame)
        let bytes = frame.bytes + payload
        _ = Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private func run(_ builder: FakeBuilder, onReady: SnapshotBuilder.OnReady = { _, _ in }) throws -> [UInt8] {
        try SnapshotBuilder.run(
            builder, CellConfiguration(cell: "builder", workers: 1, jit: true, hashSeed: 0, buildsSnapshot: true), deadlineSeconds: 1,
            onReady: onReady
        ).get()
    }

    @Test func aBuilderThatHasSentItsSnapshotIsNotWaitedFor() throws {
        let builder = FakeBuilder { Self.send(.snapshot, [1, 2, 3], to: $0) }
        #expect(try run(builder) == [1, 2, 3])
        #expect(builder.wasAlive.withLock { $0 } == false)
    }

    @Test func aBuilderThatDoesNotReadIsGivenUp() throws {
        let builder = FakeBuilder { Self.send(.ready, to: $0) }
        let start = ContinuousClock.now
        let failure = #expect(throws: SnapshotBuilder.Failure.self) {
            try run(builder) { _, send in try send(.tenant, [UInt8](repeating: 0, count: 16 << 20)) }
        }
        #expect(failure?.description == "the builder does not read; the builder ended: signal 9")
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func aBuilderIsReadyOnce() throws {
        let builder = FakeBuilder { for _ in 0..<10 { Self.send(.ready, to: $0) } }
        var times = 0
        let failure = #expect(throws: SnapshotBuilder.Failure.self) { try run(builder) { _, _ in times += 1 } }
        #expect(failure?.description == "the builder sent ready; the builder ended: signal 9" && times == 1)
    }

    @Test(arguments: [[FrameKind.entered], [.ready, .entered, .entered]])
    func aBuilderTakesItsSnapshotOnceAndWhenItIsReady(_ kinds: [FrameKind]) throws {
        let builder = FakeBuilder { socket in kinds.forEach { Self.send($0, to: socket) } }
        let failure = #expect(throws: SnapshotBuilder.Failure.self) { try run(builder) }
        #expect(failure?.description == "the builder sent entered; the builder ended: signal 9")
    }

    // MARK: Snapshots that no frame carries

    private func snapshots(_ folder: ScratchFolder) throws -> (BuiltTenantSnapshots, TenantSnapshotStore) {
        let store = try TenantSnapshotStore(
            try StateFolder(path: folder.path), key: HostKey(bytes: [UInt8](repeating: 1, count: 32)), identity: "v", limitBytes: 1 << 30)
        let launcher = try CellLauncher(executable: try CellExecutable(path: SelfcheckTests.cell), isSandboxed: false)
        return (BuiltTenantSnapshots(store: store, launcher: launcher, base: [], jitlessBase: [], hashSeed: 0), store)
    }

    private static let longest = FrameKind.tenantSnapshot.payloadBytesLimit - 8

    @Test func whatCannotBeCompressedAndFitsNoFrameIsNotKept() throws {
        let folder = try ScratchFolder()
        let (snapshots, store) = try snapshots(folder)
        let key = store.key(jit: true, parts: [[1]])
        let blob = [UInt8](unsafeUninitializedCapacity: SnapshotFrame.blobBytesLimit) { bytes, count in
            arc4random_buf(bytes.baseAddress!, bytes.count)
            count = bytes.count
        }
        guard case .refused(let why, _) = try snapshots.keep(blob, base: [UInt8](repeating: 0, count: 1 << 20), as: key) else {
            Issue.record("it was kept")
            return
        }
        #expect(why.hasSuffix("bytes when it is compressed") && store.count == 0)
    }

    @Test func whatIsTooLongInTheStoreIsAbsentAndRemoved() throws {
        let folder = try ScratchFolder()
        let (snapshots, store) = try snapshots(folder)
        let key = store.key(jit: true, parts: [[1]])
        try store.write(TenantSnapshotStore.Entry(blobBytes: 9, delta: [UInt8](repeating: 0, count: Self.longest)), as: key)
        #expect(snapshots.read(key)?.delta.count == Self.longest)
        try store.write(TenantSnapshotStore.Entry(blobBytes: 9, delta: [UInt8](repeating: 0, count: Self.longest + 1)), as: key)
        #expect(snapshots.read(key) == nil && store.count == 0)
    }
}
