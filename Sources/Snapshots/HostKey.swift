import Crypto
import Foundation

/// The host's secret: authenticates snapshots and yields V8's hash seed. Kept in the state folder, readable by its owner only.
/// Sendable, since the library's key is an immutable value, though it does not say so.
public struct HostKey: @unchecked Sendable {
    static let byteCount = 32
    let key: SymmetricKey

    /// Reads the key or, where there is none, makes one from the kernel's randomness.
    public init(folder: String) throws(StateError) {
        let path = folder + "/host.key"
        if let data = try Self.contents(path) {
            guard data.count == Self.byteCount else {
                throw StateError("\(path) has \(data.count) bytes instead of \(Self.byteCount); remove it to have a new key made")
            }
            key = SymmetricKey(data: data)
            return
        }
        let fresh = SymmetricKey(size: .bits256)
        try AtomicFile.write(fresh.withUnsafeBytes { Data($0) }, to: path)
        key = fresh
    }

    /// nil: there is no such file. One that cannot be read is not to be replaced.
    private static func contents(_ path: String) throws(StateError) -> Data? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw AtomicFile.failure("read", path) }
            return nil
        }
        defer { close(descriptor) }
        // More than a key has.
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw AtomicFile.failure("read", path) }
        return Data(bytes[..<count])
    }

    init(bytes: [UInt8]) { key = SymmetricKey(data: bytes) }

    /// V8's hash seed: secret, since a known one lets tenants provoke collisions (CVE-2017-11499), and the same for builder and cells.
    public var hashSeed: UInt32 {
        let code = HMAC<SHA256>.authenticationCode(for: Data("cloister hash seed".utf8), using: key)
        let seed = code.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        // 0 means "choose one yourself" to V8, and its flag is a signed integer.
        return max(seed & 0x7fff_ffff, 1)
    }
}

/// Why the state folder cannot be used.
public struct StateError: Error, CustomStringConvertible {
    /// What could not be done, with the path and the reason.
    public var description: String
    /// The kernel's reason, if it is one.
    public var errorNumber: Int32
    /// Without `errorNumber` the reason is not the kernel's.
    public init(_ description: String, errorNumber: Int32 = 0) {
        self.description = description
        self.errorNumber = errorNumber
    }
    /// The user has not the right.
    public var isPermission: Bool { errorNumber == EACCES || errorNumber == EPERM }
}

/// Files that are there in full or not at all.
enum AtomicFile {
    static func write(_ data: Data, to path: String) throws(StateError) {
        let temporary = "\(path).\(getpid()).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        var isWritten = data.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
        isWritten = isWritten && fsync(descriptor) == 0
        let problem = failure("write", temporary)
        close(descriptor)
        guard isWritten else {
            unlink(temporary)
            throw problem
        }
        guard rename(temporary, path) == 0 else {
            let problem = failure("rename", path)
            unlink(temporary)
            throw problem
        }
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    fileprivate static func failure(_ what: String, _ path: String) -> StateError {
        StateError("cannot \(what) \(path): \(String(cString: strerror(errno)))", errorNumber: errno)
    }
}
