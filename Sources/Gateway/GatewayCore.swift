import NIOCore
import Supervisor
import Telemetry
import Wire

/// What all connections of a gateway share; lives on the event loop.
final class GatewayCore {
    let limits: GatewayLimits
    let dispatcher: any RequestDispatcher
    let metrics: GatewayMetrics
    /// Milliseconds since the start, as of the last tick: deadlines need no more, and a clock call a request is spared.
    private(set) var now: Int64 = 0
    private(set) var date = HTTPDate()
    private(set) var isDraining = false
    private let begin = NIODeadline.now()
    private var connections: [GatewayConnection] = []
    private var nextID: UInt64
    private var whenEmpty: [EventLoopPromise<Void>] = []
    /// Connections over the limit that are being told so; above this number they are closed without a word.
    private static let refusedConnectionsLimit = 256

    init(limits: GatewayLimits, dispatcher: any RequestDispatcher, metrics: GatewayMetrics) {
        self.limits = limits
        self.dispatcher = dispatcher
        self.metrics = metrics
        // Ids of two runs should not meet in logs: 12 random bits above a counter of 40. JavaScript holds no more than 53 bits.
        nextID = UInt64.random(in: 1..<(1 << 12)) << 40
        date.update(to: HTTPDate.now())
    }

    func makeRequestID() -> UInt64 {
        nextID += 1
        return nextID
    }

    // MARK: Connections

    enum Admission { case taken, refused, closed }

    func add(_ connection: GatewayConnection) -> Admission {
        guard connections.count < limits.connections + Self.refusedConnectionsLimit else { return .closed }
        connection.index = connections.count
        connections.append(connection)
        metrics.connections.set(Double(connections.count))
        metrics.accepted.increment()
        return connections.count <= limits.connections ? .taken : .refused
    }

    func remove(_ connection: GatewayConnection) {
        guard let index = connection.index else { return }
        connection.index = nil
        let last = connections.removeLast()
        if last !== connection {
            connections[index] = last
            last.index = index
        }
        metrics.connections.set(Double(connections.count))
        if connections.isEmpty { finishDraining() }
    }

    // MARK: Time

    /// Milliseconds of the coarse clock at which `milliseconds` from now have passed for certain.
    func deadline(in milliseconds: Int) -> Int64 { now + Int64(milliseconds + limits.tickMilliseconds) }

    func tick() {
        now = (NIODeadline.now() - begin).nanoseconds / 1_000_000
        date.update(to: HTTPDate.now())
        // From the end: those that go away are replaced by ones already looked at.
        for index in connections.indices.reversed() where index < connections.count { connections[index].tick(now) }
    }

    // MARK: End

    func beginDraining(_ done: EventLoopPromise<Void>?) {
        isDraining = true
        if let done { whenEmpty.append(done) }
        for connection in connections.reversed() { connection.drain() }
        if connections.isEmpty { finishDraining() }
    }

    func closeAll() {
        isDraining = true
        for connection in connections.reversed() { connection.abandon() }
    }

    private func finishDraining() {
        let promises = whenEmpty
        whenEmpty = []
        for promise in promises { promise.succeed() }
    }
}

/// The gateway's own metrics; requests by tenant and outcome are the supervisor's.
struct GatewayMetrics: Sendable {
    let connections: Gauge
    let accepted: Counter
    let clientsGone: Counter
    private let refusalFamily: CounterFamily

    init(_ registry: MetricsRegistry) {
        connections = registry.gauge("cloister_gateway_connections", help: "Client connections that are open.").single
        accepted = registry.counter("cloister_gateway_connections_total", help: "Client connections that were accepted.").single
        clientsGone =
            registry.counter(
                "cloister_gateway_clients_gone_total", help: "Requests whose client went away before the answer's end."
            ).single
        refusalFamily = registry.counter(
            "cloister_gateway_refusals_total", help: "Requests that the gateway refused before any tenant was found.", labels: ["code"])
    }

    func refused(_ code: ErrorCode) { refusalFamily.with([code.code]).increment() }
}
