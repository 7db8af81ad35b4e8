import NIOCore
import NIOSSL

/// A certificate chain and its private key, ready to serve TLS with.
public struct GatewayCertificate: Sendable {
    let context: NIOSSLContext
    /// When the first of the chain's certificates ends, in seconds since 1970.
    public let expiresUnixSeconds: Int

    /// What a connection that is closed waits for its peer's farewell.
    private static let shutdownTimeout = TimeAmount.seconds(2)

    /// - Parameters:
    ///   - certificates: PEM, the server's own first, then those up to (but without) the root.
    ///   - key: PEM, not encrypted.
    public init(certificates: [UInt8], key: [UInt8]) throws(GatewayCertificateError) {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(certificates), !chain.isEmpty else {
            throw GatewayCertificateError(part: .certificate, problem: "it holds no certificates in PEM")
        }
        guard let privateKey = try? NIOSSLPrivateKey(bytes: key, format: .pem) else {
            throw GatewayCertificateError(part: .key, problem: "it holds no private key in PEM, or one that is encrypted")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = Self.shutdownTimeout
        do { context = try NIOSSLContext(configuration: configuration) } catch {
            throw GatewayCertificateError(part: .key, problem: "the key is not the one of the certificate")
        }
        expiresUnixSeconds = chain.map { Int($0.notValidAfter) }.min()!
    }

    /// Between bytes and the connection's handler.
    func makeHandler() -> NIOSSLServerHandler {
        var configuration = NIOSSLHandler.Configuration()
        configuration.maximumPreservedOutboundBufferCapacity = 8 << 10
        return NIOSSLServerHandler(context: context, configuration: configuration)
    }
}

/// Why a certificate cannot be served.
public struct GatewayCertificateError: Error, CustomStringConvertible {
    /// Which of the two files it is about.
    public enum Part: Sendable { case certificate, key }

    /// Which file to put right.
    public var part: Part
    /// What is wrong with it, without its name.
    public var problem: String
    /// The problem alone: whoever read the files knows their names.
    public var description: String { problem }
}
