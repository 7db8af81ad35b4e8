import Crypto
import Glibc
import Policy
import Synchronization

/// Keeps the code of all tenants in files, so that a registered tenant takes no memory beyond the kernel's cache of them. Equal bundles are
/// kept once, for as long as somebody has them, and found again by the next process. What the disk does not take is kept in memory,
/// up to a limit, until it is brought again and the disk takes it. Any thread; blocks for the disk, but for the end of a `StoredBundle`.
public final class BundleStore: Sendable {
    /// Bundles that are kept.
    public struct Usage: Sendable, Equatable {
        /// What they take on the disk.
        public var diskBytes = 0
        /// What those take that the disk did not take.
        public var memoryBytes = 0
    }

    fileprivate enum Place: Sendable {
        /// The name of its file.
        case disk(String)
        case memory([UInt8])
        case nowhere

        /// Of two places of the same bundle the one with the higher rank is kept.
        var rank: Int {
            switch self {
            case .disk: 2
            case .memory: 1
            case .nowhere: 0
            }
        }
    }

    fileprivate struct Entry: Sendable {
        var place: Place
        var byteCount: Int
        var owners = 1
        /// It could not be read: whoever brings it next is taken at their word.
        var isLost = false
    }

    fileprivate struct State: Sendable {
        var entries: [[UInt8]: Entry] = [:]
        var usage = Usage()
        /// No file has the number of another one of the folder.
        var files = 0
        /// Files that nobody needs.
        var unneeded: [String] = []
        /// Files of an earlier process that nobody has asked for yet, by their digests.
        var leftovers: [Substring: String] = [:]
        /// The disk did not take the last bundle that it was given.
        var isFailing = false
    }

    /// nil: nothing is kept on the disk.
    private let folder: String?
    private let keepsNothing: Bool
    private let memoryLimitBytes: Int
    private let onFailure: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// Makes the folder, where it is missing. What an earlier process has left there is used again until `removeLeftovers`.
    /// - Parameters:
    ///   - folder: this store's alone.
    ///   - memoryLimitBytes: of what the disk does not take; further bundles are not kept.
    ///   - onFailure: told why the disk does not take a bundle, once until it has taken one again. On the thread that brought the bundle.
    public init(
        folder: String, memoryLimitBytes: Int = 1 << 30, onFailure: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(BundleStoreError) {
        self.folder = folder
        self.memoryLimitBytes = memoryLimitBytes
        self.onFailure = onFailure
        keepsNothing = false
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST, let entries = opendir(folder) else {
            throw BundleStoreError("bundles cannot be kept in \(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(entries) }
        var state = State()
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            // Named by its digest and a number.
            guard let dot = name.firstIndex(of: "."), let number = Int(name[name.index(after: dot)...]), number >= 0 else { continue }
            state.files = max(state.files, number)
            if let other = state.leftovers.updateValue(name, forKey: name[..<dot]) { state.unneeded.append(other) }
        }
        self.state.withLock { [state] in $0 = state }
    }

    /// Keeps all in memory, for tests; or nothing, for who only wants to know whether a bundle can be read.
    public init(keepsNothing: Bool = false) {
        folder = nil
        memoryLimitBytes = .max
        onFailure = { _ in }
        self.keepsNothing = keepsNothing
    }

    /// What is kept now.
    public var usage: Usage { state.withLock { $0.usage } }

    /// Keeps a bundle, which must not be empty, for as long as what it returns is there.
    public func keep(_ modules: [BundleModule]) -> StoredBundle {
        let digest = StoredBundle.digest(modules)
        let bundle = StoredBundle(digest, modules.map { ($0.name, $0.kind, $0.data.count) }, self)
        let isKnown = state.withLock { state in
            guard let entry = state.entries[digest], !entry.isLost else { return false }
            // What is not on the disk may find room there by now.
            if folder != nil { guard case .disk = entry.place else { return false } }
            state.entries[digest]!.owners += 1
            return true
        }
        if isKnown { return bundle }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(bundle.byteCount)
        for module in modules { bytes += module.data }
        put(write(bytes, digest), digest, bundle.byteCount)
        return bundle
    }

    /// Makes it the place of what has this digest, where there is none that is any good, and the caller one of its owners.
    private func put(_ place: Place, _ digest: [UInt8], _ byteCount: Int) {
        state.withLock { state in
            var entry = Entry(place: place, byteCount: byteCount)
            if let earlier = state.entries[digest] {
                // Somebody else may have brought it meanwhile.
                let staysThere = !earlier.isLost && earlier.place.rank >= place.rank
                if staysThere { entry.place = earlier.place }
                state.discard(staysThere ? place : earlier.place)
                entry.owners = earlier.owners + 1
                state.usage.count(earlier, -1)
            }
            if case .memory = entry.place, byteCount > memoryLimitBytes - state.usage.memoryBytes { entry.place = .nowhere }
            state.entries[digest] = entry
            state.usage.count(entry, 1)
        }
    }

    private func write(_ bytes: [UInt8], _ digest: [UInt8]) -> Place {
        guard let folder else { return keepsNothing ? .nowhere : .memory(bytes) }
        let hex = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        if let leftover = state.withLock({ $0.leftovers.removeValue(forKey: hex[...]) }) {
            // The machine may have ended before the disk had all of it.
            if let kept = try? Self.contents("\(folder)/\(leftover)", bytes.count), kept == bytes { return .disk(leftover) }
            state.withLock { $0.unneeded.append(leftover) }
        }
        let name = state.withLock { state in
            state.files += 1
            return "\(hex).\(state.files)"
        }
        let code = Self.write(bytes, to: "\(folder)/\(name)")
        let isFirstFailure = state.withLock { state in
            defer { state.isFailing = code != 0 }
            return code != 0 && !state.isFailing
        }
        guard code != 0 else { return .disk(name) }
        unlink("\(folder)/\(name)")
        if isFirstFailure { onFailure("\(folder)/\(name): \(String(cString: strerror(code)))") }
        return .memory(bytes)
    }

    /// - Returns: why it is not there in full; 0: it is.
    private static func write(_ bytes: [UInt8], to path: String) -> Int32 {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return errno }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = count < 0 ? errno : EIO
                close(file)
                return code
            }
            written += count
        }
        return close(file) == 0 ? 0 : errno
    }

    /// Why a bundle is not kept, by now; nil: it is, or nothing is meant to be.
    fileprivate func problem(_ bundle: StoredBundle) -> BundleStoreError? {
        guard !keepsNothing, case .nowhere? = state.withLock({ $0.entries[bundle.digest]?.place }) else { return nil }
        return BundleStoreError(
            "the bundle cannot be kept: the disk does not take it, and other such bundles fill the \(memoryLimitBytes >> 20) MiB of memory "
                + "that there are for them")
    }

    fileprivate func release(_ digest: [UInt8]) {
        state.withLock { state in
            state.entries[digest]!.owners -= 1
            guard let entry = state.entries[digest], entry.owners == 0 else { return }
            state.entries[digest] = nil
            state.usage.count(entry, -1)
            state.discard(entry.place)
        }
    }

    /// Removes the files of bundles that nobody has any more.
    public func removeUnneeded() {
        let names = state.withLock { state in
            defer { state.unneeded = [] }
            return state.unneeded
        }
        if let folder { for name in names { unlink("\(folder)/\(name)") } }
    }

    /// Removes the files of an earlier process that nobody has asked for until now.
    public func removeLeftovers() {
        state.withLock { state in
            state.unneeded += state.leftovers.values
            state.leftovers = [:]
        }
        removeUnneeded()
    }

    fileprivate func read(_ bundle: StoredBundle) throws(BundleStoreError) -> [BundleModule] {
        let place = state.withLock { $0.entries[bundle.digest]!.place }
        do throws(BundleStoreError) {
            let bytes: [UInt8] =
                switch place {
                case .memory(let kept): kept
                case .disk(let name): try Self.contents("\(folder!)/\(name)", bundle.byteCount)
                case .nowhere: throw problem(bundle) ?? BundleStoreError("the bundle was not kept")
                }
            let modules = bundle.modules(bytes)
            guard StoredBundle.digest(modules) == bundle.digest else { throw BundleStoreError("the bundle is not what was written") }
            return modules
        } catch {
            state.withLock { state in
                // Unless somebody has brought it meanwhile.
                guard case .disk(let lost) = place, case .disk(lost)? = state.entries[bundle.digest]?.place else { return }
                state.entries[bundle.digest]!.isLost = true
            }
            throw error
        }
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
}

extension BundleStore.State {
    /// Files go when somebody has the time.
    fileprivate mutating func discard(_ place: BundleStore.Place) { if case .disk(let name) = place { unneeded.append(name) } }
}

extension BundleStore.Usage {
    fileprivate mutating func count(_ entry: BundleStore.Entry, _ sign: Int) {
        switch entry.place {
        case .disk: diskBytes += sign * entry.byteCount
        case .memory: memoryBytes += sign * entry.byteCount
        case .nowhere: break
        }
    }
}

/// A bundle that a store keeps. Any thread.
public final class StoredBundle: Sendable {
    /// SHA-256 of everything that is in it: bundles with the same one are the same.
    public let digest: [UInt8]
    /// All modules together.
    public let byteCount: Int
    private let index: [(name: String, kind: ModuleKind, byteCount: Int)]
    private let store: BundleStore

    init(_ digest: [UInt8], _ index: [(name: String, kind: ModuleKind, byteCount: Int)], _ store: BundleStore) {
        self.digest = digest
        self.index = index
        self.store = store
        byteCount = index.reduce(0) { $0 + $1.byteCount }
    }

    deinit { store.release(digest) }

    /// The modules, main first. Blocks for the disk.
    /// - Throws: when the disk does not give back what it was given; then whoever brings the same to the store mends it.
    public func read() throws(BundleStoreError) -> [BundleModule] { try store.read(self) }

    /// Why it can be read only when somebody has brought it to the store again; nil: it can.
    public var problem: BundleStoreError? { store.problem(self) }

    fileprivate func modules(_ bytes: [UInt8]) -> [BundleModule] {
        var rest = bytes[...]
        return index.map { module in
            defer { rest = rest.dropFirst(module.byteCount) }
            return BundleModule(name: module.name, kind: module.kind, data: Array(rest.prefix(module.byteCount)))
        }
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
