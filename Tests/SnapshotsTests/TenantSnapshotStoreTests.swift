import Foundation
import SnapshotDelta
import TestSupport
import Testing

@testable import Snapshots

@Suite struct TenantSnapshotStoreTests {
    private let folder: ScratchFolder
    private let state: StateFolder
    private let key = HostKey(bytes: [UInt8](repeating: 1, count: 32))

    init() throws {
        folder = try ScratchFolder()
        state = try StateFolder(path: folder.path)
    }

    private func store(identity: String = "v", limitBytes: Int = 1 << 20) throws -> TenantSnapshotStore {
        try TenantSnapshotStore(state, key: key, identity: identity, limitBytes: limitBytes)
    }

    private func entry(_ number: Int, bytes: Int = 1_000) -> TenantSnapshotStore.Entry {
        TenantSnapshotStore.Entry(blobBytes: 5_000 + number, delta: (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) })
    }

    private func key(_ store: TenantSnapshotStore, _ number: Int) -> TenantSnapshotStore.Key {
        store.key(jit: true, parts: [[UInt8(number)]])
    }

    private func path(_ key: TenantSnapshotStore.Key) -> String { "\(folder.path)/tenants/\(key.name)" }

    @Test func whatWasWrittenIsReadBackAlsoByTheNextDaemon() throws {
        let store = try store()
        let key = key(store, 1)
        #expect(store.read(key) == nil && !store.contains(key))
        try store.write(entry(1), as: key)
        #expect(store.read(key) == entry(1))
        let next = try self.store()
        #expect(next.read(self.key(next, 1)) == entry(1))
        #expect(next.totalBytes == store.totalBytes && next.count == 1)
    }

    @Test func theNameDependsOnAllThatGoesIn() throws {
        let store = try store()
        let names = [
            store.key(jit: true, parts: [[1], [2, 3]]), store.key(jit: true, parts: [[1, 2], [3]]),
            store.key(jit: false, parts: [[1], [2, 3]]),
            store.key(jit: true, parts: [[1], [2, 3], []]), try self.store(identity: "w").key(jit: true, parts: [[1], [2, 3]]),
        ].map(\.name)
        #expect(Set(names).count == names.count)
        #expect(store.key(jit: true, parts: [[1], [2, 3]]).name == names[0])
    }

    @Test(arguments: [0, 20, 34, 40, 500]) func aFileWithAChangedByteIsRemovedAndNeverRead(at place: Int) throws {
        let store = try store()
        let key = key(store, 1)
        try store.write(entry(1), as: key)
        var data = try Data(contentsOf: URL(fileURLWithPath: path(key)))
        data[place] ^= 1
        try data.write(to: URL(fileURLWithPath: path(key)))
        #expect(store.read(key) == nil)
        #expect(!store.contains(key) && store.totalBytes == 0 && !FileManager.default.fileExists(atPath: path(key)))
        try store.write(entry(2), as: key)
        #expect(store.read(key) == entry(2))
    }

    @Test(arguments: [0, 10, 36, 900]) func aTruncatedFileIsRemovedAndNeverRead(to bytes: Int) throws {
        let store = try store()
        let key = key(store, 1)
        try store.write(entry(1), as: key)
        try Data(contentsOf: URL(fileURLWithPath: path(key))).prefix(bytes).write(to: URL(fileURLWithPath: path(key)))
        #expect(store.read(key) == nil && !store.contains(key))
    }

    @Test func oneSnapshotCannotStandForAnother() throws {
        let store = try store()
        let (a, b) = (key(store, 1), key(store, 2))
        try store.write(entry(1), as: a)
        try store.write(entry(2), as: b)
        try FileManager.default.removeItem(atPath: path(b))
        try FileManager.default.copyItem(atPath: path(a), toPath: path(b))
        #expect(store.read(b) == nil)
        #expect(store.read(a) == entry(1))
    }

    @Test func anotherHostsSnapshotIsNotRead() throws {
        let store = try store()
        let key = key(store, 1)
        try store.write(entry(1), as: key)
        let other = try TenantSnapshotStore(
            state, key: HostKey(bytes: [UInt8](repeating: 2, count: 32)), identity: "v", limitBytes: 1 << 20)
        // Its own name for the same bundle is another; under this name it finds a file that it did not make.
        #expect(other.key(jit: true, parts: [[1]]).name != key.name)
        #expect(other.read(key) == nil)
    }

    @Test func whenItIsFullWhatWasNotReadForLongestGoes() throws {
        let store = try store(limitBytes: 3_500)
        for number in 1...3 { try store.write(entry(number), as: key(store, number)) }
        #expect(store.read(key(store, 1)) == entry(1))
        try store.write(entry(4), as: key(store, 4))
        #expect(store.contains(key(store, 1)) && !store.contains(key(store, 2)) && store.contains(key(store, 3)))
        #expect(store.totalBytes <= 3_500)
        // A lower limit takes effect when the store is opened.
        let smaller = try self.store(limitBytes: 1_200)
        #expect(smaller.count == 1 && smaller.totalBytes <= 1_200)
        let files = try folder.names("tenants")
        #expect(files.count == 1)
    }

    @Test func theNextDaemonKnowsWhatWasNotReadForLongest() throws {
        let first = try store()
        for number in 1...2 {
            try first.write(entry(number), as: key(first, number))
            let old = Date(timeIntervalSince1970: 1_000_000 + Double(number))
            try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: path(key(first, number)))
        }
        #expect(first.read(key(first, 1)) != nil)
        let second = try store(limitBytes: 1_500)
        #expect(second.contains(key(second, 1)) && !second.contains(key(second, 2)))
    }

    @Test func whatIsLargerThanTheStoreIsRefusedAndNothingGoesForIt() throws {
        let store = try store(limitBytes: 2_000)
        try store.write(entry(1), as: key(store, 1))
        #expect(throws: StateError.self) { try store.write(entry(2, bytes: 3_000), as: key(store, 2)) }
        #expect(store.read(key(store, 1)) == entry(1))
    }

    @Test func aFullDiskLeavesWhatIsThereAsItIs() throws {
        let isFull = Flag()
        let store = try TenantSnapshotStore(state, key: key, identity: "v", limitBytes: 1 << 20) { (data, path) throws(StateError) in
            guard !isFull.value else { throw StateError("cannot write \(path): No space left on device") }
            try AtomicFile.write(data, to: path)
        }
        try store.write(entry(1), as: key(store, 1))
        isFull.value = true
        #expect(throws: StateError.self) { try store.write(entry(2), as: key(store, 2)) }
        #expect(store.read(key(store, 1)) == entry(1) && !store.contains(key(store, 2)))
        isFull.value = false
        try store.write(entry(2), as: key(store, 2))
        #expect(store.read(key(store, 2)) == entry(2))
    }

    @Test func aWriteThatWasCutOffLeavesNothing() throws {
        try folder.write("tenants/abc.snapshot.123.new", "half")
        try folder.write("tenants/notes.txt", "not ours")
        let store = try store()
        #expect(try folder.names("tenants") == ["notes.txt"])
        #expect(store.count == 0)
    }

    /// Read and written by one thread.
    private final class Flag: @unchecked Sendable { var value = false }
}

@Suite struct SnapshotDeltaTests {
    private let base = (0..<200_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }

    private func compress(_ blob: [UInt8]) throws -> [UInt8] {
        try blob.withUnsafeBytes { blob in try base.withUnsafeBytes { try SnapshotDelta.compress(blob, base: $0) } }
    }

    private func decompress(_ delta: [UInt8], count: Int, base: [UInt8]? = nil) throws -> [UInt8] {
        var blob = [UInt8](repeating: 0, count: count)
        try delta.withUnsafeBytes { delta in
            try (base ?? self.base).withUnsafeBytes { base in
                try blob.withUnsafeMutableBytes { try SnapshotDelta.decompress(delta, base: base, into: $0) }
            }
        }
        return blob
    }

    @Test(arguments: [0, 1, 1_000, 210_000]) func aBlobComesBackFromItsDelta(count: Int) throws {
        var blob = Array((base + base).prefix(count))
        for place in stride(from: 0, to: count, by: 777) { blob[place] ^= 0x55 }
        #expect(try decompress(try compress(blob), count: count) == blob)
    }

    @Test func whatTheBaseHasTakesNoRoom() throws {
        // Bytes that do not compress by themselves.
        var random: UInt64 = 1
        let noise = (0..<100_000).map { _ -> UInt8 in
            random = random &* 6_364_136_223_846_793_005 &+ 1
            return UInt8(random >> 56)
        }
        // In another place: zstd takes what lies where the input does for overwritten.
        var copy = noise
        copy[0] ^= 1
        let delta = try noise.withUnsafeBytes { noise in try copy.withUnsafeBytes { try SnapshotDelta.compress(noise, base: $0) } }
        #expect(delta.count < 1_000)
    }

    @Test func aDeltaThatIsNotWholeOrNotOfThisBaseIsRefused() throws {
        var blob = base
        blob[5] ^= 1
        let delta = try compress(blob)
        #expect(throws: SnapshotDelta.Failure.self) { try decompress(Array(delta.dropLast(3)), count: blob.count) }
        #expect(throws: SnapshotDelta.Failure.self) { try decompress(delta, count: blob.count - 1) }
        #expect(throws: SnapshotDelta.Failure.self) { try decompress(delta, count: blob.count + 1) }
        var changed = delta
        changed[changed.count / 2] ^= 0x10
        #expect(throws: SnapshotDelta.Failure.self) { try decompress(changed, count: blob.count) }
        var other = base
        for place in stride(from: 0, to: other.count, by: 100) { other[place] ^= 1 }
        #expect(throws: SnapshotDelta.Failure.self) { try decompress(delta, count: blob.count, base: other) }
    }
}
