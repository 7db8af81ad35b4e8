import NIOCore
import NIOHTTP1
import NIOPosix

/// Sends a plan's requests when they are due, over as many kept connections as are needed, and measures each from the time it was due:
/// a request that had to wait for a connection has waited. On one event loop.
public final class LoadClient: @unchecked Sendable {
    /// Connections at once; requests beyond that wait, and their latency counts it.
    public static let connectionLimit = 512

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let eventLoop: any EventLoop
    private let host: String
    private let port: Int
    private var idle: [Channel] = []
    private var open = 0
    private var waiting: [(tenant: String, due: NIODeadline)] = []
    private var results = GroupResults()
    private var outstanding = 0
    private var allSent = false
    private var done: EventLoopPromise<Void>?

    public init(host: String, port: Int) {
        eventLoop = group.next()
        self.host = host
        self.port = port
    }

    /// Runs a plan to the last answer.
    /// - Parameter name: a tenant's name by its number in the plan.
    public func run(_ plan: LoadPlan, name: @escaping @Sendable (Int) -> String) async throws -> GroupResults {
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [self] in
            results = GroupResults()
            allSent = false
            done = promise
            schedule(plan.arrivals, from: 0, start: .now(), name)
        }
        try await promise.futureResult.get()
        return try await eventLoop.submit { [self] in results }.get()
    }

    /// Sends what is due and comes back when the next is.
    private func schedule(_ arrivals: [LoadPlan.Arrival], from first: Int, start: NIODeadline, _ name: @escaping @Sendable (Int) -> String)
    {
        var index = first
        let now = NIODeadline.now()
        while index < arrivals.count, start + .nanoseconds(Int64(arrivals[index].nanoseconds)) <= now {
            send(name(arrivals[index].tenant), due: start + .nanoseconds(Int64(arrivals[index].nanoseconds)))
            index += 1
        }
        guard index < arrivals.count else {
            allSent = true
            return finishIfDone()
        }
        let next = start + .nanoseconds(Int64(arrivals[index].nanoseconds))
        eventLoop.scheduleTask(deadline: next) { [self, index] in schedule(arrivals, from: index, start: start, name) }
    }

    private func send(_ tenant: String, due: NIODeadline) {
        outstanding += 1
        if let channel = idle.popLast() { return write(tenant, due, channel) }
        waiting.append((tenant, due))
        guard open < Self.connectionLimit else { return }
        open += 1
        ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [self] channel in
                channel.pipeline.addHTTPClientHandlers().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(AnswerHandler(client: self))
                }
            }
            .connect(host: host, port: port).whenComplete { [self] result in
                switch result {
                case .success(let channel): becameIdle(channel)
                case .failure:
                    open -= 1
                    if !waiting.isEmpty {
                        waiting.removeFirst()
                        ended(error: "broken")
                    }
                }
            }
    }

    private func write(_ tenant: String, _ due: NIODeadline, _ channel: Channel) {
        let handler = try! channel.pipeline.syncOperations.handler(type: AnswerHandler.self)
        handler.due = due
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["host": "\(tenant).localhost"])
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }

    fileprivate func becameIdle(_ channel: Channel) {
        guard channel.isActive else {
            open -= 1
            return
        }
        guard !waiting.isEmpty else { return idle.append(channel) }
        let next = waiting.removeFirst()
        write(next.tenant, next.due, channel)
    }

    fileprivate func answered(due: NIODeadline, error: String?) {
        if let error {
            ended(error: error)
        } else {
            results.record(latencyNanoseconds: UInt64(max(0, (NIODeadline.now() - due).nanoseconds)))
            outstanding -= 1
            finishIfDone()
        }
    }

    private func ended(error: String) {
        results.record(error: error)
        outstanding -= 1
        finishIfDone()
    }

    fileprivate func closed(_ channel: Channel) {
        idle.removeAll { $0 === channel }
        open -= 1
    }

    private func finishIfDone() {
        guard allSent, outstanding == 0 else { return }
        done?.succeed()
        done = nil
    }
}

private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    /// Held: connections outlast the run they were opened for.
    private let client: LoadClient
    /// When the request in flight was due.
    var due: NIODeadline?
    private var error: String?

    init(client: LoadClient) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            error = head.status.code < 400 ? nil : head.headers.first(name: "cloister-error") ?? "\(head.status.code)"
        case .body: break
        case .end:
            guard let due else { return }
            self.due = nil
            client.answered(due: due, error: error)
            client.becameIdle(context.channel)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let due {
            self.due = nil
            client.answered(due: due, error: "broken")
        }
        client.closed(context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
