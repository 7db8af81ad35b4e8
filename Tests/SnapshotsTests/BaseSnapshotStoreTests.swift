import Foundation
import TestSupport
import Testing

@testable import Snapshots

@Suite struct BaseSnapshotStoreTests {
    private let folder: ScratchFolder
    private let state: StateFolder
    private let store: BaseSnapshotStore
    private let blob = (0..<5_000).map { UInt8(truncatingIfNeeded: $0 * 7) }

    init() throws {
        folder = try ScratchFolder()
        state = try StateFolder(path: folder.path)
        store = BaseSnapshotStore(state, key: HostKey(bytes: [UInt8](repeating: 1, count: 32)))
    }

    private func data() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: store.path(identity: "v", jit: true))) }

    private func replace(_ data: Data) throws { try data.write(to: URL(fileURLWithPath: store.path(identity: "v", jit: true))) }

    @Test func whatWasWrittenIsReadBack() throws {
        #expect(store.read(identity: "v", jit: true) == nil)
        try store.write(blob, identity: "v", jit: true)
        #expect(store.read(identity: "v", jit: true) == blob)
        try store.write([1], identity: "v", jit: true)
        #expect(store.read(identity: "v", jit: true) == [1])
    }

    @Test func anotherIdentityOrAnotherJITHasAnotherSnapshot() throws {
        try store.write(blob, identity: "v", jit: true)
        #expect(store.read(identity: "w", jit: true) == nil)
        #expect(store.read(identity: "v", jit: false) == nil)
        try store.write([9], identity: "v", jit: false)
        #expect(store.read(identity: "v", jit: true) == blob)
        #expect(store.read(identity: "v", jit: false) == [9])
    }

    @Test func anIdentityCannotStandForTheOtherKind() throws {
        try store.write(blob, identity: "vjit", jit: false)
        #expect(store.read(identity: "vjit", jit: true) == nil)
        #expect(store.read(identity: "v", jit: true) == nil)
    }

    @Test func aChangedByteIsRefusedWhereverItIs() throws {
        try store.write(blob, identity: "v", jit: true)
        let whole = try data()
        for index in [0, 1, 31, 32, 33, 2_500, whole.count - 1] {
            for bit in [0x01, 0x80] as [UInt8] {
                var changed = whole
                changed[index] ^= bit
                try replace(changed)
                #expect(store.read(identity: "v", jit: true) == nil, "byte \(index), bit \(bit)")
            }
        }
        try replace(whole)
        #expect(store.read(identity: "v", jit: true) == blob)
    }

    @Test func aTruncatedOrAnExtendedSnapshotIsRefused() throws {
        try store.write(blob, identity: "v", jit: true)
        let whole = try data()
        for count in [0, 1, 31, 32, 33, whole.count / 2, whole.count - 1] {
            try replace(whole.prefix(count))
            #expect(store.read(identity: "v", jit: true) == nil, "\(count) bytes")
        }
        try replace(whole + [0])
        #expect(store.read(identity: "v", jit: true) == nil)
    }

    @Test func anotherHostsSnapshotIsRefused() throws {
        let other = BaseSnapshotStore(state, key: HostKey(bytes: [UInt8](repeating: 2, count: 32)))
        try other.write(blob, identity: "v", jit: true)
        #expect(store.read(identity: "v", jit: true) == nil)
        // Also when it is put where this host looks.
        try FileManager.default.copyItem(atPath: other.path(identity: "v", jit: true), toPath: store.path(identity: "v", jit: true))
        #expect(store.read(identity: "v", jit: true) == nil)
        #expect(other.read(identity: "v", jit: true) == blob)
    }

    @Test func whatOtherBuildsOfTheCellHaveLeftGoes() throws {
        for identity in ["old", "older", "v"] {
            for jit in [true, false] { try store.write(blob, identity: identity, jit: jit) }
        }
        try folder.write("snapshots/x.base.1.new", "half")
        try folder.write("snapshots/README", "somebody's")
        store.removeOthers(than: "v")
        #expect(try folder.names("snapshots").count == 3 && folder.names("snapshots").contains("README"))
        #expect(store.read(identity: "v", jit: true) == blob && store.read(identity: "v", jit: false) == blob)
    }

    @Test func snapshotsAreTheOwnersAndLeaveNoTemporaryFiles() throws {
        try store.write(blob, identity: "v", jit: true)
        let names = try folder.names("snapshots")
        #expect(names.count == 1)
        let name = try #require(names.first)
        #expect(name.hasSuffix(".base"))
        #expect(try folder.permissions("snapshots/\(name)") == 0o600)
    }

    @Test func aFolderThatWentAwayIsAnError() throws {
        try FileManager.default.removeItem(atPath: folder.path + "/snapshots")
        #expect(throws: StateError.self) { try store.write(blob, identity: "v", jit: true) }
        #expect(store.read(identity: "v", jit: true) == nil)
    }
}
