import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Scheduling

/// Sends a phase's requests when they are due, over as many kept connections as are needed, and measures each from the time it was due: a request
/// that had to wait for a connection has waited. On one event loop.
final class LoadClient: @unchecked Sendable {
    /// Connections at once; requests beyond that wait, and their latency counts it.
    static let connectionLimit = 1_024
    /// Requests that are due and not answered; more are given up as `client_overload`.
    static let outstandingLimit = 200_000
    /// How long answers are waited for after the last request of a phase was due.
    static let graceSeconds: Int64 = 60

    /// A request: what is sent and how it is counted.
    struct Job {
        var tenant: Int
        var group: Int
        var serviceNanoseconds: UInt64
        var due: NIODeadline
        /// The second of its phase in which the plan has it; nil for what no plan has.
        var second: Int?
        /// The client that sends its next one when this is answered.
        var loop: Int?
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let eventLoop: any EventLoop
    private let host: String
    private let port: Int
    private let tenants: [String]
    /// Rounds of the tenants' loop that take a microsecond.
    var roundsPerMicrosecond = 0.0
    private let record: (Job, _ latencyNanoseconds: UInt64, _ error: String?) -> Void
    private var random: SplitMix64
    private let graceSeconds: Int64

    /// Those that are open, by their handlers, which know what they wait for.
    private var connections: [ObjectIdentifier: (handler: AnswerHandler, channel: Channel)] = [:]
    /// Since when each is idle, the latest last.
    private var idle: [(channel: Channel, since: NIODeadline)] = []
    /// One that was idle for longer is not used again: the front may be closing it (75 s by default), and what is sent then is lost.
    private static let reuseLimit = TimeAmount.seconds(30)
    private var open = 0
    private var waiting = CircularBuffer<Job>()
    private var outstanding = 0
    /// Of these, those that no loop sent.
    private var outstandingArrivals = 0
    private var phaseNumber = 0
    private var phase = Workload.Phase(seconds: 0)
    private var popularity: [[Double]] = []
    private var next = 0
    private var start = NIODeadline.now()
    private var end = NIODeadline.now()
    private var done: EventLoopPromise<Void>?
    private var isStopped = false

    /// - Parameters:
    ///   - tenants: names by number.
    ///   - record: told of each request that is over, on the client's event loop. One that is given up is `unanswered`, and its latency the age that
    ///     it has reached.
    init(
        host: String, port: Int, tenants: [String], seed: UInt64, graceSeconds: Int64 = LoadClient.graceSeconds,
        record: @escaping (Job, _ latencyNanoseconds: UInt64, _ error: String?) -> Void
    ) {
        eventLoop = group.next()
        // Where that is allowed, what is measured does not keep the clock waiting: a client has a machine of its own.
        eventLoop.execute {
            var parameters = sched_param()
            parameters.sched_priority = 1
            sched_setscheduler(0, SCHED_RR, &parameters)
        }
        self.host = host
        self.port = port
        self.tenants = tenants
        self.graceSeconds = graceSeconds
        self.record = record
        random = SplitMix64(seed: seed)
    }

    /// Does something on the client's event loop, where what is recorded is.
    func onLoop<T: Sendable>(_ body: @escaping @Sendable () -> T) async throws -> T { try await eventLoop.submit(body).get() }

    /// Runs a phase to the last answer of what was due in it, but for its loops: those go on if the next phase has the same.
    func run(_ phase: Workload.Phase) async throws {
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [self] in
            let goesOn = self.phase.loops == phase.loops && outstanding > 0
            self.phase = phase
            phaseNumber += 1
            let number = phaseNumber
            next = 0
            start = .now()
            end = start + .nanoseconds(Int64(phase.seconds * 1e9))
            done = promise
            popularity = phase.loops.map { Popularity.cumulated($0.popularity) }
            if !goesOn {
                for (index, loop) in phase.loops.enumerated() { for _ in 0..<loop.count { sendNext(ofLoop: index) } }
            }
            schedule()
            eventLoop.scheduleTask(deadline: end) { [self] in if number == phaseNumber { finishIfDone() } }
            eventLoop.scheduleTask(deadline: end + .seconds(graceSeconds)) { [self] in if number == phaseNumber { giveUp() } }
        }
        try await promise.futureResult.get()
    }

    /// One request now, besides what the phase plans.
    /// - Parameter due: since when it should have been sent: its latency counts from then.
    func call(_ tenant: Int, group: Int, due: NIODeadline = .now()) {
        eventLoop.execute { [self] in send(Job(tenant: tenant, group: group, serviceNanoseconds: 0, due: due)) }
    }

    /// What loops wait for, and for how many nanoseconds. On the client's event loop.
    var openLoopRequests: [(job: Job, age: UInt64)] { openJobs.filter { $0.loop != nil }.map { ($0, Self.age($0)) } }

    private var openJobs: [Job] { connections.values.compactMap(\.handler.job) + waiting }

    private static func age(_ job: Job) -> UInt64 { UInt64(max(0, (NIODeadline.now() - job.due).nanoseconds)) }

    /// Ends loops, connections and its thread; for good. Without it, loops would go on asking for what is not there any more, before all other threads.
    func stop() async throws {
        try await onLoop { [self] in
            isStopped = true
            waiting.removeAll()
            for (channel, _) in idle { channel.close(promise: nil) }
        }
        try await group.shutdownGracefully()
    }

    private func schedule() {
        let now = NIODeadline.now()
        while next < phase.arrivals.count {
            let arrival = phase.arrivals[next]
            let due = start + .nanoseconds(Int64(arrival.nanoseconds))
            guard due <= now else { break }
            send(job(arrival, due: due))
            next += 1
        }
        guard next < phase.arrivals.count else { return finishIfDone() }
        let due = start + .nanoseconds(Int64(phase.arrivals[next].nanoseconds))
        eventLoop.scheduleTask(deadline: due) { [self] in schedule() }
    }

    private func job(_ arrival: Workload.Arrival, due: NIODeadline) -> Job {
        Job(
            tenant: arrival.tenant, group: arrival.group, serviceNanoseconds: arrival.serviceNanoseconds, due: due,
            second: Int(arrival.nanoseconds / 1_000_000_000))
    }

    private func sendNext(ofLoop index: Int) {
        guard index < phase.loops.count else { return }
        let loop = phase.loops[index]
        let tenant =
            loop.popularity.isEmpty
            ? loop.tenants.randomElement(using: &random)! : loop.tenants[Popularity.draw(popularity[index], &random)]
        send(Job(tenant: tenant, group: loop.group, serviceNanoseconds: loop.serviceNanoseconds, due: .now(), loop: index))
    }

    private func send(_ job: Job) {
        guard !isStopped else { return }
        guard outstanding < Self.outstandingLimit else { return record(job, 0, "client_overload") }
        outstanding += 1
        if job.loop == nil { outstandingArrivals += 1 }
        while let (channel, since) = idle.popLast() {
            guard channel.isActive else { continue }
            if since + Self.reuseLimit > .now() { return write(job, channel) }
            channel.close(promise: nil)
        }
        waiting.append(job)
        guard open < Self.connectionLimit else { return }
        connect()
    }

    private func connect() {
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
                case .failure(let error):
                    open -= 1
                    // It waits for a connection that there is, as beyond the limit: who is called has refused nothing.
                    if !connections.isEmpty, Self.isOwnLimit(error) { return }
                    if let job = waiting.popFirst() { ended(job, error: "broken") }
                    if !waiting.isEmpty, open < Self.connectionLimit { connect() }
                }
            }
    }

    /// This process may have no more connections, or the machine no more ports for them.
    static func isOwnLimit(_ error: any Error) -> Bool {
        let causes = (error as? NIOConnectionError)?.connectionErrors.map(\.error) ?? [error]
        return !causes.isEmpty
            && causes.allSatisfy { cause in
                guard let code = (cause as? IOError)?.errnoCode else { return false }
                return code == EMFILE || code == ENFILE || code == EADDRNOTAVAIL
            }
    }

    private func write(_ job: Job, _ channel: Channel) {
        let handler = try! channel.pipeline.syncOperations.handler(type: AnswerHandler.self)
        handler.job = job
        let rounds = Int(Double(job.serviceNanoseconds) / 1000 * roundsPerMicrosecond)
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: job.serviceNanoseconds == 0 ? "/" : "/\(rounds)",
            headers: ["host": "\(tenants[job.tenant]).localhost"])
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }

    fileprivate func becameIdle(_ channel: Channel) {
        guard channel.isActive else { return }
        guard let job = waiting.popFirst() else { return idle.append((channel, .now())) }
        write(job, channel)
    }

    fileprivate func ended(_ job: Job, error: String?) {
        record(job, Self.age(job), error)
        outstanding -= 1
        if let loop = job.loop {
            // Not at once, where it was refused at once.
            if error == nil {
                sendNext(ofLoop: loop)
            } else {
                eventLoop.scheduleTask(in: .milliseconds(20)) { [self] in sendNext(ofLoop: loop) }
            }
        } else {
            outstandingArrivals -= 1
            finishIfDone()
        }
    }

    fileprivate func opened(_ handler: AnswerHandler, _ channel: Channel) { connections[ObjectIdentifier(handler)] = (handler, channel) }

    fileprivate func closed(_ handler: AnswerHandler, _ channel: Channel) {
        connections[ObjectIdentifier(handler)] = nil
        idle.removeAll { $0.channel === channel }
        open -= 1
        if !waiting.isEmpty, open < Self.connectionLimit { connect() }
    }

    private func finishIfDone() {
        guard next >= phase.arrivals.count, outstandingArrivals == 0, NIODeadline.now() >= end else { return }
        finish()
    }

    /// Waits no longer for what the phase planned: nothing of it is left that could count for the next phase.
    private func giveUp() {
        for arrival in phase.arrivals[next...] { record(job(arrival, due: .now()), 0, "client_overload") }
        next = phase.arrivals.count
        let lost = openJobs.filter { $0.loop == nil }
        waiting.removeAll { $0.loop == nil }
        for (handler, channel) in connections.values where handler.job.map({ $0.loop == nil }) ?? false {
            handler.job = nil
            channel.close(promise: nil)
        }
        for job in lost {
            outstanding -= 1
            outstandingArrivals -= 1
            record(job, Self.age(job), "unanswered")
        }
        finish()
    }

    private func finish() {
        done?.succeed()
        done = nil
    }
}

private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    /// Held: connections outlast the run they were opened for.
    private let client: LoadClient
    var job: LoadClient.Job?
    private var error: String?

    init(client: LoadClient) { self.client = client }

    func channelActive(context: ChannelHandlerContext) { client.opened(self, context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): error = head.status.code < 400 ? nil : head.headers.first(name: "cloister-error") ?? "\(head.status.code)"
        case .body: break
        case .end:
            guard let job else { return }
            self.job = nil
            client.becameIdle(context.channel)
            client.ended(job, error: error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        client.closed(self, context.channel)
        guard let job else { return }
        self.job = nil
        client.ended(job, error: "broken")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
