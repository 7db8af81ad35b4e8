import Crypto
import Foundation
import SnapshotDelta
import Synchronization

/// Keeps tenants' snapshots in the state folder, as deltas against the base snapshot, by the content they were made from. What is read is
/// authenticated with the host's key; what is not whole is removed and made again. When it is full, what was not read for longest goes.
/// Any thread; blocks for the disk.
public final class TenantSnapshotStore: Sendable {
    /// A snapshot as it is kept.
    public struct Entry: Sendable, Equatable {
        /// The size of the blob that the delta yields.
        public var blobBytes: Int
        /// What `SnapshotDelta.compress` made of the blob.
        public var delta: [UInt8]
        /// The blob itself is not kept.
        public init(blobBytes: Int, delta: [UInt8]) {
            self.blobBytes = blobBytes
            self.delta = delta
        }
    }

    /// Names a snapshot: a hash of all that goes into it.
    public struct Key: Sendable, Hashable {
        let name: String
    }

    private struct State: Sendable {
        var sizes: [String: Int] = [:]
        var lastReads: [String: UInt64] = [:]
        var clock: UInt64 = 0
        var total = 0
    }

    private let folder: String
    private let key: HostKey
    private let identity: String
    private let limitBytes: Int
    private let state = Mutex(State())
    private let writeFile: @Sendable (Data, String) throws(StateError) -> Void

    /// Finds what is there, oldest access first.
    /// - Parameters:
    ///   - identity: what the base snapshot depends on, from the cell's executable.
    ///   - limitBytes: what all files together may take.
    public convenience init(_ folder: StateFolder, key: HostKey, identity: String, limitBytes: Int) throws(StateError) {
        try self.init(folder, key: key, identity: identity, limitBytes: limitBytes) { (data, path) throws(StateError) in
            try AtomicFile.write(data, to: path)
        }
    }

    /// - Parameter writeFile: makes a file that is there in full or not at all; tests have their own.
    init(
        _ folder: StateFolder, key: HostKey, identity: String, limitBytes: Int,
        writeFile: @escaping @Sendable (Data, String) throws(StateError) -> Void
    ) throws(StateError) {
        self.writeFile = writeFile
        self.folder = folder.path + "/tenants"
        self.key = key
        self.identity = identity
        self.limitBytes = limitBytes
        do {
            try FileManager.default.createDirectory(
                atPath: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw StateError("the folder \(self.folder) cannot be made: \(error.localizedDescription)") }
        scan()
    }

    private func scan() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        var found: [(name: String, size: Int, modified: Date)] = []
        for name in names {
            let path = folder + "/" + name
            guard name.hasSuffix(Self.suffix) else {
                // A write that did not end.
                if name.hasSuffix(".new") { unlink(path) }
                continue
            }
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { continue }
            found.append((name, attributes[.size] as? Int ?? 0, attributes[.modificationDate] as? Date ?? .distantPast))
        }
        state.withLock { state in
            for file in found.sorted(by: { $0.modified < $1.modified }) {
                state.clock += 1
                state.sizes[file.name] = file.size
                state.lastReads[file.name] = state.clock
                state.total += file.size
            }
        }
        makeRoom(for: 0)
    }

    private static let suffix = ".snapshot"

    /// The name of the snapshot of a bundle.
    /// - Parameter parts: the hash of the bundle, and what else goes into it.
    public func key(jit: Bool, parts: some Sequence<[UInt8]>) -> Key {
        var hash = SHA256()
        func add(_ bytes: [UInt8]) {
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hash.update(bufferPointer: $0) }
            bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        }
        add(Array(identity.utf8))
        add([jit ? 1 : 0])
        add(Array("\(key.hashSeed)".utf8))
        for part in parts { add(part) }
        return Key(name: hash.finalize().map { String(format: "%02x", $0) }.joined() + Self.suffix)
    }

    /// Whether it is kept, without a look at the disk; whether it is whole, `read` finds out.
    public func contains(_ key: Key) -> Bool { state.withLock { $0.sizes[key.name] != nil } }

    /// What all kept snapshots take on the disk.
    public var totalBytes: Int { state.withLock { $0.total } }
    /// How many are kept.
    public var count: Int { state.withLock { $0.sizes.count } }

    /// The snapshot, if there is one that is whole and this host's.
    public func read(_ key: Key) -> Entry? {
        guard contains(key) else { return nil }
        guard let data = FileManager.default.contents(atPath: folder + "/" + key.name), let entry = open(data, key) else {
            remove(key.name)
            return nil
        }
        state.withLock {
            $0.clock += 1
            $0.lastReads[key.name] = $0.clock
        }
        // The next daemon goes by the files' times.
        utimensat(AT_FDCWD, folder + "/" + key.name, nil, 0)
        return entry
    }

    private func open(_ data: Data, _ key: Key) -> Entry? {
        guard data.count > SHA256.byteCount + 4 else { return nil }
        let code = data.prefix(SHA256.byteCount)
        let content = data.dropFirst(SHA256.byteCount)
        guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Data(key.name.utf8) + content, using: self.key.key) else {
            return nil
        }
        let bytes = Array(content)
        let blobBytes = bytes[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        return Entry(blobBytes: blobBytes, delta: Array(bytes[4...]))
    }

    /// Keeps a snapshot; what was not read for longest makes room.
    public func write(_ entry: Entry, as key: Key) throws(StateError) {
        var content = withUnsafeBytes(of: UInt32(entry.blobBytes).littleEndian) { Data($0) }
        content.append(contentsOf: entry.delta)
        var data = Data(HMAC<SHA256>.authenticationCode(for: Data(key.name.utf8) + content, using: self.key.key))
        data.append(content)
        guard data.count <= limitBytes else { throw StateError("a snapshot of \(data.count) bytes does not fit the store's \(limitBytes)") }
        makeRoom(for: data.count)
        try writeFile(data, folder + "/" + key.name)
        state.withLock {
            $0.clock += 1
            $0.total += data.count - ($0.sizes[key.name] ?? 0)
            $0.sizes[key.name] = data.count
            $0.lastReads[key.name] = $0.clock
        }
    }

    /// Forgets a snapshot.
    public func remove(_ key: Key) { remove(key.name) }

    /// Over the limit, so much of it is kept: whom to remove is looked for among all.
    private static let watermark = 0.95

    private func makeRoom(for bytes: Int) {
        let full = state.withLock { $0.total + bytes > limitBytes ? $0 : nil }
        guard let full else { return }
        var left = full.total + bytes - Int(Double(limitBytes) * Self.watermark)
        for (name, _) in full.lastReads.sorted(by: { $0.value < $1.value }) where left > 0 {
            left -= full.sizes[name] ?? 0
            remove(name)
        }
    }

    private func remove(_ name: String) {
        unlink(folder + "/" + name)
        state.withLock {
            $0.total -= $0.sizes.removeValue(forKey: name) ?? 0
            $0.lastReads[name] = nil
        }
    }
}
