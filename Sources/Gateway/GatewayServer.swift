import NIOCore
import NIOPosix
import Supervisor
import Telemetry

/// Where TLS is served, and with what.
public struct GatewayTLS: Sendable {
    /// An address or a name of this machine.
    public var host: String
    /// 0: any free one.
    public var port: Int
    /// What is served at first; see `GatewayServer.replaceCertificate`.
    public var certificate: GatewayCertificate

    /// For `GatewayServer.start`, which binds.
    public init(host: String, port: Int, certificate: GatewayCertificate) {
        self.host = host
        self.port = port
        self.certificate = certificate
    }
}

/// The HTTP/1.1 front: listens on one address, and on another for TLS, and serves all of it on one event loop.
///
/// To the tenant's side it passes only what it has checked: framing is unambiguous, hop-by-hop fields are gone, `x-real-ip` is the peer's
/// address whatever the client sent, and `forwarded` and `x-forwarded-*` are dropped unless `GatewayLimits.trustsForwardedHeaders`.
/// Every answer carries `x-request-id`; refusals carry `cloister-error` too.
public final class GatewayServer: Sendable {
    /// Where it listens; tells the port when 0 was asked for.
    public let address: SocketAddress
    /// Where it listens for TLS.
    public let tlsAddress: SocketAddress?
    /// With so much unsent NIO calls a connection unwritable: a client that does not keep up.
    static let unwritableBytes = 64 << 10
    private let listeners: [any Channel]
    private let eventLoop: any EventLoop
    private let core: NIOLoopBound<GatewayCore>

    private init(listeners: [any Channel], addresses: [SocketAddress], eventLoop: any EventLoop, core: NIOLoopBound<GatewayCore>) {
        self.listeners = listeners
        self.eventLoop = eventLoop
        self.core = core
        address = addresses[0]
        tlsAddress = addresses.count > 1 ? addresses[1] : nil
    }

    /// Begins to listen.
    /// - Parameters:
    ///   - host: an address or a name of this machine.
    ///   - port: 0: any free one.
    ///   - tls: where TLS is served besides.
    ///   - eventLoop: of a `MultiThreadedEventLoopGroup`; the dispatcher's.
    ///   - dispatcher: called once, on the event loop.
    /// - Throws: what binding threw, such as an address in use.
    public static func start(
        host: String, port: Int, tls: GatewayTLS? = nil, eventLoop: any EventLoop, limits: GatewayLimits = GatewayLimits(),
        metrics: MetricsRegistry, dispatcher: @escaping @Sendable () -> any RequestDispatcher
    ) async throws -> GatewayServer {
        let gatewayMetrics = GatewayMetrics(metrics)
        let core = try await eventLoop.submit {
            let core = GatewayCore(limits: limits, dispatcher: dispatcher(), metrics: gatewayMetrics)
            core.certificate = tls?.certificate
            gatewayMetrics.certificateExpires.set(Double(tls?.certificate.expiresUnixSeconds ?? 0))
            return NIOLoopBound(core, eventLoop: eventLoop)
        }.get()
        var listeners = [try await bind(host, port, .http, core, eventLoop)]
        do {
            if let tls { listeners.append(try await bind(tls.host, tls.port, .https, core, eventLoop)) }
        } catch {
            try? await listeners[0].close()
            throw error
        }
        let tick = TimeAmount.milliseconds(Int64(limits.tickMilliseconds))
        let ticking = eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in core.value.tick() }
        // The clock stops when the listeners and the last connection are gone.
        EventLoopFuture.andAllComplete(listeners.map(\.closeFuture), on: eventLoop).whenComplete { _ in
            let empty = eventLoop.makePromise(of: Void.self)
            empty.futureResult.whenComplete { _ in ticking.cancel() }
            core.value.beginDraining(empty)
        }
        return GatewayServer(listeners: listeners, addresses: listeners.map { $0.localAddress! }, eventLoop: eventLoop, core: core)
    }

    private static func bind(
        _ host: String, _ port: Int, _ scheme: URLScheme, _ core: NIOLoopBound<GatewayCore>, _ eventLoop: any EventLoop
    ) async throws -> any Channel {
        let listener = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // One read, then a look at whether more is wanted.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: Self.unwritableBytes / 2, high: Self.unwritableBytes))
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: 64 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(channel, scheme, core.value) }
            }
            .bind(host: host, port: port).get()
        guard listener.localAddress != nil else {
            try await listener.close()
            throw ChannelError.unknownLocalAddress
        }
        return listener
    }

    private static func addHandlers(_ channel: any Channel, _ scheme: URLScheme, _ core: GatewayCore) throws {
        let connection = GatewayConnection(core: core, peer: channel.remoteAddress, scheme: scheme)
        let pipeline = channel.pipeline.syncOperations
        if scheme == .https {
            try pipeline.addHandler(PlainTextGuard(connection))
            try pipeline.addHandler(core.certificate!.makeHandler())
        }
        try pipeline.addHandler(connection)
    }

    /// Serves new TLS connections with another certificate; those that are open go on with theirs.
    public func replaceCertificate(_ certificate: GatewayCertificate) async {
        let core = self.core
        try? await eventLoop.submit {
            core.value.certificate = certificate
            core.value.metrics.certificateExpires.set(Double(certificate.expiresUnixSeconds))
        }.get()
    }

    /// Stops accepting, closes idle connections, answers what is in flight with `connection: close`; at the deadline, closes what is left.
    /// Returns when no connection is left.
    public func drain(withinMilliseconds milliseconds: Int) async {
        let core = self.core
        let eventLoop = self.eventLoop
        for listener in listeners { try? await listener.close() }
        try? await eventLoop.flatSubmit {
            let empty = eventLoop.makePromise(of: Void.self)
            let deadline = eventLoop.scheduleTask(in: .milliseconds(Int64(milliseconds))) { core.value.closeAll() }
            empty.futureResult.whenComplete { _ in deadline.cancel() }
            core.value.beginDraining(empty)
            return empty.futureResult
        }.get()
    }

    /// Closes the listener and every connection at once.
    public func close() async {
        await drain(withinMilliseconds: 0)
    }
}
