import NIOCore
import NIOPosix
import Supervisor
import Telemetry

/// The HTTP/1.1 front: listens on one address and serves all of it on one event loop.
///
/// To the tenant's side it passes only what it has checked: framing is unambiguous, hop-by-hop fields are gone, `x-real-ip` is the peer's
/// address whatever the client sent, and `forwarded` and `x-forwarded-*` are dropped unless `GatewayLimits.trustsForwardedHeaders`.
/// Every answer carries `x-request-id`; refusals carry `cloister-error` too.
public final class GatewayServer: Sendable {
    /// Where it listens; tells the port when 0 was asked for.
    public let address: SocketAddress
    private let listener: any Channel
    private let core: NIOLoopBound<GatewayCore>

    private init(listener: any Channel, core: NIOLoopBound<GatewayCore>, address: SocketAddress) {
        self.listener = listener
        self.core = core
        self.address = address
    }

    /// Begins to listen.
    /// - Parameters:
    ///   - host: an address or a name of this machine.
    ///   - port: 0: any free one.
    ///   - eventLoop: of a `MultiThreadedEventLoopGroup`; the dispatcher's.
    ///   - dispatcher: called once, on the event loop.
    /// - Throws: what binding threw, such as an address in use.
    public static func start(
        host: String, port: Int, eventLoop: any EventLoop, limits: GatewayLimits = GatewayLimits(), metrics: MetricsRegistry,
        dispatcher: @escaping @Sendable () -> any RequestDispatcher
    ) async throws -> GatewayServer {
        let gatewayMetrics = GatewayMetrics(metrics)
        let core = try await eventLoop.submit {
            NIOLoopBound(GatewayCore(limits: limits, dispatcher: dispatcher(), metrics: gatewayMetrics), eventLoop: eventLoop)
        }.get()
        let listener = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // One read, then a look at whether more is wanted.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 64 << 10))
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: 64 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = channel.remoteAddress?.ipAddress ?? ""
                    try channel.pipeline.syncOperations.addHandler(GatewayConnection(core: core.value, peer: peer))
                }
            }
            .bind(host: host, port: port).get()
        guard let address = listener.localAddress else {
            try await listener.close()
            throw ChannelError.unknownLocalAddress
        }
        let tick = TimeAmount.milliseconds(Int64(limits.tickMilliseconds))
        let ticking = eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in core.value.tick() }
        let server = GatewayServer(listener: listener, core: core, address: address)
        // The clock stops when the listener and the last connection are gone.
        listener.closeFuture.whenComplete { _ in
            let empty = eventLoop.makePromise(of: Void.self)
            empty.futureResult.whenComplete { _ in ticking.cancel() }
            core.value.beginDraining(empty)
        }
        return server
    }

    /// Stops accepting, closes idle connections, answers what is in flight with `connection: close`; at the deadline, closes what is left.
    /// Returns when no connection is left.
    public func drain(withinMilliseconds milliseconds: Int) async {
        let core = self.core
        let eventLoop = listener.eventLoop
        try? await listener.close()
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
