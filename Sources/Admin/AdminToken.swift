import Glibc

/// The secret that callers over TCP show: made at the daemon's first start and kept in its state folder, readable by its owner only.
public struct AdminToken: Sendable {
    /// The file it is kept in.
    public let path: String
    private let text: [UInt8]

    /// 256 bits in hexadecimal.
    private static let length = 64

    /// Reads `admin.token` of a folder that nobody else uses meanwhile, or makes it.
    /// - Throws: when the file cannot be read or made, holds something else, or is open to others.
    public init(folder: String) throws(AdminTokenError) {
        path = folder + "/admin.token"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        if descriptor < 0 {
            guard errno == ENOENT else { throw Self.failure("read", path) }
            text = try Self.make(path)
        } else {
            defer { close(descriptor) }
            text = try Self.read(descriptor, path)
        }
    }

    private static func read(_ descriptor: Int32, _ path: String) throws(AdminTokenError) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read", path) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw AdminTokenError("\(path) is not a file that only its owner can read; remove it to have a new token made")
        }
        var bytes = [UInt8](repeating: 0, count: length + 2)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= length, count <= length + 1, bytes[..<length].allSatisfy(isHexadecimal) else {
            throw AdminTokenError("\(path) holds no token; remove it to have a new one made")
        }
        return Array(bytes[..<length])
    }

    private static func make(_ path: String) throws(AdminTokenError) -> [UInt8] {
        // The kernel's randomness, on Linux.
        var generator = SystemRandomNumberGenerator()
        let random = (0..<(length / 2)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let digits = Array("0123456789abcdef".utf8)
        let text = random.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        let temporary = "\(path).\(getpid()).new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("make", temporary) }
        let line = text + [UInt8(ascii: "\n")]
        let isWritten = write(descriptor, line, line.count) == line.count && fsync(descriptor) == 0
        let problem = failure("write", temporary)
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else {
            unlink(temporary)
            throw problem
        }
        return text
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func failure(_ what: String, _ path: String) -> AdminTokenError {
        AdminTokenError("cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }

    /// Whether an `authorization` field shows it. Takes the same time wherever the two differ.
    func isShown(by field: String) -> Bool {
        let scheme = "bearer "
        guard field.utf8.count == scheme.utf8.count + text.count, field.lowercased().hasPrefix(scheme) else { return false }
        return zip(field.utf8.suffix(text.count), text).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// Why there is no token.
public struct AdminTokenError: Error, CustomStringConvertible {
    /// What is wrong, with the file's path.
    public var description: String
    init(_ description: String) { self.description = description }
}
