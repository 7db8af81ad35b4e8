import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// A client that speaks TLS, for tests that look at what comes out of it.
final class TLSClient: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    /// What came, piece by piece; used by one task at a time.
    private final class Inbox: @unchecked Sendable {
        var events: AsyncThrowingStream<[UInt8], any Error>.Iterator
        var pending: [UInt8] = []
        init(_ stream: AsyncThrowingStream<[UInt8], any Error>) { events = stream.makeAsyncIterator() }
    }

    struct Failure: Error { var what: String }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation
        let ready: EventLoopPromise<String?>
        private var problem: (any Error)?

        init(_ continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation, _ ready: EventLoopPromise<String?>) {
            self.continuation = continuation
            self.ready = ready
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Array(unwrapInboundIn(data).readableBytesView))
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated) = event { ready.succeed(negotiated) }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            problem = error
            ready.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            ready.fail(Failure(what: "closed within the handshake"))
            continuation.finish(throwing: problem)
        }
    }

    /// What the two sides agreed on by ALPN.
    let negotiated: String?

    private init(_ channel: any Channel, _ inbox: Inbox, _ negotiated: String?) {
        self.channel = channel
        self.inbox = inbox
        self.negotiated = negotiated
    }

    /// Connects and shakes hands; any certificate will do.
    static func connect(
        port: Int, group: any EventLoopGroup, maximum: TLSVersion? = nil, protocols: [String] = ["h2", "http/1.1"]
    ) async throws -> TLSClient {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = protocols
        configuration.minimumTLSVersion = .tlsv1
        configuration.maximumTLSVersion = maximum
        let context = try NIOSSLContext(configuration: configuration)
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: [UInt8].self, throwing: (any Error).self)
        let ready = group.next().makePromise(of: String?.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                        try channel.pipeline.syncOperations.addHandler(Collector(continuation, ready))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        } catch {
            ready.fail(error)
            throw error
        }
        let negotiated = try await ready.futureResult.get()
        return TLSClient(channel, Inbox(stream), negotiated)
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// The certificate that the server showed.
    func certificate() async throws -> NIOSSLCertificate? { try await channel.nioSSL_peerCertificate().get() }

    /// Closes without TLS's farewell.
    func cut() async {
        try? await channel.eventLoop.submit { [channel] in
            let handler = try channel.pipeline.syncOperations.context(handlerType: NIOSSLClientHandler.self)
            handler.close(promise: nil)
        }.get()
        try? await channel.closeFuture.get()
    }

    func close() async { try? await channel.close() }

    /// The next bytes up to `end`.
    func receive(until end: String) async throws -> String {
        let end = Array(end.utf8)
        while true {
            if let index = inbox.pending.indices.first(where: { inbox.pending[$0...].starts(with: end) }) {
                defer { inbox.pending.removeFirst(index + end.count) }
                return String(decoding: inbox.pending[..<(index + end.count)], as: UTF8.self)
            }
            guard let bytes = try await inbox.events.next() else {
                throw Failure(what: "the end came before \(end): \(String(decoding: inbox.pending, as: UTF8.self))")
            }
            inbox.pending += bytes
        }
    }

    func receive(count: Int) async throws -> [UInt8] {
        while inbox.pending.count < count {
            guard let bytes = try await inbox.events.next() else { throw Failure(what: "the end came too early") }
            inbox.pending += bytes
        }
        defer { inbox.pending.removeFirst(count) }
        return Array(inbox.pending[..<count])
    }

    /// Everything up to TLS's farewell; throws where the connection ends without it.
    func receiveAll() async throws -> String {
        while let bytes = try await inbox.events.next() { inbox.pending += bytes }
        return String(decoding: inbox.pending, as: UTF8.self)
    }
}
