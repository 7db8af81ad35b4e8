import Foundation
import Gateway
import Testing

/// A certificate for localhost that signs itself, made by openssl.
struct TestCertificate {
    let certificate: [UInt8]
    let key: [UInt8]

    /// - Parameter keyPassword: encrypts the key.
    init(days: Int = 1, keyPassword: String? = nil) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cloister-certificate-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificateFile = folder.appending(path: "certificate.pem")
        let keyFile = folder.appending(path: "key.pem")
        try Self.openssl(
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", keyFile.path, "-out",
                certificateFile.path, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            ] + (keyPassword.map { ["-passout", "pass:\($0)"] } ?? ["-nodes"]))
        if days < 1 {
            try Self.openssl([
                "x509", "-in", certificateFile.path, "-signkey", keyFile.path, "-days", "\(days)", "-out", certificateFile.path,
            ])
        }
        certificate = Array(try Data(contentsOf: certificateFile))
        key = Array(try Data(contentsOf: keyFile))
    }

    func load() throws -> GatewayCertificate { try GatewayCertificate(certificates: certificate, key: key) }

    private static func openssl(_ arguments: [String]) throws {
        struct Failure: Error { var arguments: [String] }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(arguments: arguments) }
    }
}
