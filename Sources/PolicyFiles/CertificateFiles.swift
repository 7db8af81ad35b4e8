import Foundation
import Policy

/// The PEM files that the front's TLS is configured with.
public struct CertificateFiles: Sendable, Equatable {
    /// Path of the file with the server's certificate and those between it and the root.
    public var certificate: String
    /// Path of the file with its private key.
    public var key: String

    /// A chain of a few certificates has some ten thousand bytes.
    private static let bytesLimit = 1 << 20

    /// Remembers the paths; nothing is read yet.
    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }

    /// - Throws: for each file that cannot be read, why.
    public func read() throws(PolicyErrors) -> (certificate: [UInt8], key: [UInt8]) {
        var errors: [PolicyError] = []
        func read(_ path: String, _ what: String) -> [UInt8] {
            do throws(FileContents.Failure) { return Array(try FileContents.read(path, limit: Self.bytesLimit)) } catch {
                errors.append(PolicyError(file: path, "the \(what) cannot be read: \(error)"))
                return []
            }
        }
        let contents = (read(certificate, "certificate"), read(key, "key"))
        guard errors.isEmpty else { throw PolicyErrors(errors) }
        return contents
    }

    /// Whether others than its owner and group may read the key.
    public var keyIsOpen: Bool {
        var status = stat()
        return stat(key, &status) == 0 && status.st_mode & 0o004 != 0
    }
}
