import Crypto
import Glibc
import Policy
import Synchronization

/// Keeps the code of all tenants in files, so that a registered tenant takes no memory beyond the kernel's cache of them. Equal bundles are
/// kept once, for as long as somebody has them. What the disk does not take is kept in memory. Any thread; blocks for the disk.
public final class BundleStore: Sendable {
    /// Bundles that are kept.
    public struct Usage: Sendable, Equatable {
        /// What they take on the disk.
        public var diskBytes = 0
        /// What those take that the disk did not take.
        public var memoryBytes = 0
    }

    struct Content: Sendable {
        var modules: [(name: String, kind: ModuleKind, byteCount: Int)]
        var byteCount: Int
        var place: Place
    }

    enum Place: Sendable {
        /// The path of its file.
        case disk(String)
        case memory([UInt8])
    }

    private struct State: Sendable {
        var bundles: [[UInt8]: (content: Content, owners: Int)] = [:]
        var files: UInt64 = 0
        var usage = Usage()
    }

    /// nil: all of it is kept in memory.
    private let folder: String?
    private let state = Mutex(State())

    /// Makes the folder, where it is missing, and removes what an earlier process has left there.
    /// - Parameter folder: this store's alone.
    public init(folder: String) throws(BundleStoreError) {
        self.folder = folder
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST, let entries = opendir(folder) else {
            throw BundleStoreError("bundles cannot be kept in \(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            withUnsafePointer(to: &entry.pointee.d_name.0) { _ = unlinkat(dirfd(entries), $0, 0) }
        }
    }

    /// Keeps all in memory: for tests, and for who does not keep it for long.
    public init() { folder = nil }

    /// What is kept now.
    public var usage: Usage { state.withLock { $0.usage } }

    /// Keeps a bundle, which must not be empty, for as long as what it returns is there.
    public func keep(_ modules: [BundleModule]) -> StoredBundle {
        let digest = StoredBundle.digest(modules)
        if let known = share(digest, nil) { return StoredBundle(digest, known, self) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(modules.reduce(0) { $0 + $1.data.count })
        for module in modules { bytes += module.data }
        let content = Content(
            modules: modules.map { ($0.name, $0.kind, $0.data.count) }, byteCount: bytes.count,
            place: write(bytes).map(Place.disk) ?? .memory(bytes))
        guard let earlier = share(digest, content) else { return StoredBundle(digest, content, self) }
        // Somebody else has brought the same meanwhile.
        remove(content)
        return StoredBundle(digest, earlier, self)
    }

    /// Makes the caller an owner of what is kept with this digest, or else of `content`.
    /// - Returns: what was there.
    private func share(_ digest: [UInt8], _ content: Content?) -> Content? {
        state.withLock { state in
            if let known = state.bundles[digest]?.content {
                state.bundles[digest]!.owners += 1
                return known
            }
            if let content { state.bundles[digest] = (content, 1) }
            return nil
        }
    }

    fileprivate func release(_ digest: [UInt8]) {
        let unowned: Content? = state.withLock { state in
            state.bundles[digest]!.owners -= 1
            return state.bundles[digest]!.owners == 0 ? state.bundles.removeValue(forKey: digest)!.content : nil
        }
        if let unowned { remove(unowned) }
    }

    private func remove(_ content: Content) {
        if case .disk(let path) = content.place { unlink(path) }
        state.withLock { state in
            switch content.place {
            case .disk: state.usage.diskBytes -= content.byteCount
            case .memory: state.usage.memoryBytes -= content.byteCount
            }
        }
    }

    /// The path of its file; nil: there is none.
    private func write(_ bytes: [UInt8]) -> String? {
        if let folder {
            let number = state.withLock { state in
                state.files += 1
                return state.files
            }
            let path = "\(folder)/\(number)"
            if Self.write(bytes, to: path) {
                state.withLock { $0.usage.diskBytes += bytes.count }
                return path
            }
            unlink(path)
        }
        state.withLock { $0.usage.memoryBytes += bytes.count }
        return nil
    }

    private static func write(_ bytes: [UInt8], to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return false }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            written += count
        }
        return close(file) == 0 && written == bytes.count
    }
}

/// A bundle that a store keeps. Any thread.
public final class StoredBundle: Sendable {
    /// SHA-256 of everything that is in it: bundles with the same one are the same.
    public let digest: [UInt8]
    /// All modules together.
    public var byteCount: Int { content.byteCount }
    private let content: BundleStore.Content
    private let store: BundleStore

    init(_ digest: [UInt8], _ content: BundleStore.Content, _ store: BundleStore) {
        self.digest = digest
        self.content = content
        self.store = store
    }

    deinit { store.release(digest) }

    /// The modules, main first. Blocks for the disk.
    /// - Throws: when the disk does not give back what it was given.
    public func read() throws(BundleStoreError) -> [BundleModule] {
        let bytes: [UInt8]
        switch content.place {
        case .memory(let kept): bytes = kept
        case .disk(let path): bytes = try Self.contents(path, byteCount)
        }
        var rest = bytes[...]
        let read = content.modules.map { module in
            defer { rest = rest.dropFirst(module.byteCount) }
            return BundleModule(name: module.name, kind: module.kind, data: Array(rest.prefix(module.byteCount)))
        }
        guard Self.digest(read) == digest else { throw BundleStoreError("the bundle is not what was written") }
        return read
    }

    private static func contents(_ path: String, _ count: Int) throws(BundleStoreError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw BundleStoreError("\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = Glibc.read(file, buffer.baseAddress! + filled, count - filled)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got < 0 ? errno : EIO
                    return
                }
                filled += got
            }
        }
        if let failure { throw BundleStoreError("\(path): \(String(cString: strerror(failure)))") }
        return bytes
    }

    /// Of names, kinds and contents, each with its length before it.
    static func digest(_ modules: [BundleModule]) -> [UInt8] {
        var hash = SHA256()
        func add(_ bytes: UnsafeRawBufferPointer) {
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hash.update(bufferPointer: $0) }
            hash.update(bufferPointer: bytes)
        }
        for module in modules {
            Array(module.name.utf8).withUnsafeBytes(add)
            withUnsafeBytes(of: module.kind.rawValue, add)
            module.data.withUnsafeBytes(add)
        }
        return Array(hash.finalize())
    }
}

/// Why a bundle cannot be kept or read.
public struct BundleStoreError: Error, CustomStringConvertible {
    /// What went wrong, with what the kernel said.
    public let description: String
    init(_ description: String) { self.description = description }
}
