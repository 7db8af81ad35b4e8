import Foundation
import Gateway
import Logging
import Policy
import PolicyFiles

/// The front's certificate as its files say now.
struct FrontCertificate: Sendable {
    let files: CertificateFiles

    /// nil: no TLS.
    init?(_ configuration: DaemonConfiguration) {
        guard configuration.listenTLS != nil, let certificate = configuration.certificateFile, let key = configuration.keyFile else {
            return nil
        }
        files = CertificateFiles(certificate: certificate, key: key)
    }

    /// What is configured for TLS and does not go together; nil: nothing.
    static func problem(_ configuration: DaemonConfiguration) -> String? {
        let hasFiles = configuration.certificateFile != nil && configuration.keyFile != nil
        if configuration.listenTLS != nil, !hasFiles { return "listen_tls needs a certificate and its key (tls.certificate and tls.key)" }
        if configuration.listenTLS == nil, configuration.certificateFile != nil || configuration.keyFile != nil {
            return "a certificate needs an address to be served on (listen_tls)"
        }
        return nil
    }

    /// - Throws: what is wrong, with the file's name.
    func load() throws(PolicyErrors) -> GatewayCertificate {
        let (certificate, key) = try files.read()
        do throws(GatewayCertificateError) { return try GatewayCertificate(certificates: certificate, key: key) } catch {
            throw PolicyErrors([PolicyError(file: error.part == .certificate ? files.certificate : files.key, error.problem)])
        }
    }

    /// As `load`, but a certificate that has expired is refused too: the one in force cannot be worse.
    func loadAnew() throws(PolicyErrors) -> GatewayCertificate {
        let certificate = try load()
        if let expiry = expiry(of: certificate) { throw PolicyErrors([expiry]) }
        return certificate
    }

    /// That it has expired; nil: it has not.
    func expiry(of certificate: GatewayCertificate) -> PolicyError? {
        guard Date(timeIntervalSince1970: Double(certificate.expiresUnixSeconds)) <= Date() else { return nil }
        return PolicyError(file: files.certificate, "the certificate expired on \(Self.date(certificate))")
    }

    /// Says in the log what is served from now on, and what is doubtful about it.
    func announce(_ certificate: GatewayCertificate, _ logger: Logger) {
        logger.info("certificate loaded", metadata: ["file": "\(files.certificate)", "expires": "\(Self.date(certificate))"])
        if expiry(of: certificate) != nil { logger.warning("the certificate has expired", metadata: ["file": "\(files.certificate)"]) }
        if files.keyIsOpen { logger.warning("every user of this machine can read the key", metadata: ["file": "\(files.key)"]) }
    }

    private static func date(_ certificate: GatewayCertificate) -> String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(certificate.expiresUnixSeconds)))
    }
}
