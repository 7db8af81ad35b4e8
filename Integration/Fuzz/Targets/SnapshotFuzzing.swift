import Foundation
import SnapshotDelta

@testable import Snapshots

/// The state folder: whatever its files hold, a read yields what was written or nothing, and never a blob of another's.
final class SnapshotFuzzing: Sendable {
    static let shared = SnapshotFuzzing()

    private let folder = FuzzFolder("snapshots")
    private let state: StateFolder
    private let key: HostKey
    private static let base = [UInt8]((0..<8_192).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 5)) })
    private static let blob = [UInt8](base.reversed() + base)

    private init() {
        state = try! StateFolder(path: folder.path)
        key = HostKey(bytes: [UInt8](repeating: 7, count: HostKey.byteCount))
    }

    /// The first byte says which file is meant and what is done to it; the rest is its content, or what is changed in it.
    func run(_ input: [UInt8]) {
        var bytes = FuzzBytes(input)
        switch bytes.number(upTo: 4) {
        case 0: tenantFile(bytes.takeRest())
        case 1: changedTenantFile(&bytes)
        case 2: baseFile(bytes.takeRest())
        case 3: hostKey(bytes.takeRest())
        default: delta(bytes.takeRest())
        }
    }

    private func store(limitBytes: Int = 1 << 20) -> (TenantSnapshotStore, TenantSnapshotStore.Key) {
        let store = try! TenantSnapshotStore(state, key: key, identity: "fuzz", limitBytes: limitBytes)
        return (store, store.key(jit: true, parts: [Array("bundle".utf8)]))
    }

    private func tenantFile(_ content: [UInt8]) {
        let (first, key) = store()
        let name = "tenants/\(key.name)"
        folder.write(name, content)
        hold(!first.contains(key), "found before it was there")
        // A store that is opened on it finds it, and gives it away only when it is this host's.
        let (second, _) = store()
        hold(second.contains(key) && second.totalBytes == content.count, "not found")
        hold(second.read(key) == nil, "a file that this host did not write was taken")
        hold(!second.contains(key) && second.totalBytes == 0, "what cannot be used is still counted")
        hold(access("\(folder.path)/\(name)", F_OK) != 0, "what cannot be used is still there")
    }

    /// A file of the store's own, then bytes of it changed, its end cut off or prolonged.
    private func changedTenantFile(_ bytes: inout FuzzBytes) {
        let (store, key) = store()
        let path = "\(folder.path)/tenants/\(key.name)"
        let entry = TenantSnapshotStore.Entry(blobBytes: Int(bytes.short()), delta: [1] + bytes.take(bytes.number(upTo: 255)))
        try! store.write(entry, as: key)
        hold(store.read(key) == entry, "what was written is not what is read")
        let original = [UInt8](FileManager.default.contents(atPath: path)!)
        var changed = original
        while !bytes.isEmpty {
            let at = Int(bytes.short()) % max(changed.count, 1)
            switch bytes.number(upTo: 3) {
            case 0: changed = Array(changed.prefix(at))
            case 1: changed += bytes.take(8)
            default: if at < changed.count { changed[at] ^= bytes.byte() }
            }
        }
        folder.write("tenants/\(key.name)", changed)
        hold(store.read(key) == (changed == original ? entry : nil), "a changed file was taken")
        unlink(path)
    }

    private func baseFile(_ content: [UInt8]) {
        let store = BaseSnapshotStore(state, key: key)
        let path = store.path(identity: "fuzz", jit: true)
        folder.write("snapshots/\((path as NSString).lastPathComponent)", content)
        hold(store.read(identity: "fuzz", jit: true) == nil, "a file that this host did not write was taken")
    }

    private func hostKey(_ content: [UInt8]) {
        folder.write("host.key", content)
        do throws(StateError) {
            let key = try HostKey(folder: folder.path)
            hold(content.count == HostKey.byteCount && key.hashSeed > 0 && key.hashSeed <= 0x7FFF_FFFF, "a key of another length")
        } catch { hold(content.count != HostKey.byteCount && error.description.contains("host.key"), "\(error)") }
    }

    /// A delta from anywhere yields as many bytes as are asked for, or fails; one of our own yields what went in.
    private func delta(_ content: [UInt8]) {
        Self.base.withUnsafeBytes { base in
            let out = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.blob.count, alignment: 16)
            defer { out.deallocate() }
            content.withUnsafeBytes { try? SnapshotDelta.decompress($0, base: base, into: out) }
            guard content.count < 4_096 else { return }
            let own = try! content.withUnsafeBytes { try SnapshotDelta.compress($0, base: base) }
            let back = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
            defer { back.deallocate() }
            try! own.withUnsafeBytes { try SnapshotDelta.decompress($0, base: base, into: back) }
            hold(back.elementsEqual(content), "a delta does not yield what it was made from")
        }
    }
}
