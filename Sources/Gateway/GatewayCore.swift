import NIOCore
import Supervisor
import Wire

/// What all connections of a gateway share; lives on the event loop.
final class GatewayCore {
    let limits: GatewayLimits
    let dispatcher: any RequestDispatcher
    let metrics: GatewayMetrics
    /// What new TLS connections are served with.
    var certificate: GatewayCertificate?
    /// Milliseconds since the start, as of the last tick: deadlines need no more, and a clock call a request is spared.
    private(set) var now: Int64 = 0
    private(set) var date = HTTPDate()
    private(set) var isDraining = false
    private let begin = NIODeadline.now()
    private var connections: [GatewayConnection] = []
    private var clients: [ClientAddress: ClientRecord] = [:]
    /// Connections in the midst of TLS's handshake.
    var handshakes = 0
    /// Bytes of buffers that hold what clients have sent and nobody has taken yet.
    private var heldBytes = 0
    /// Where the search for an idle connection goes on.
    private var evictionCursor = 0
    /// When all connections were looked at for what they leave unread, in milliseconds.
    private var lastLook: Int64 = 0
    private static let lookMilliseconds: Int64 = 1_000
    /// What a connection may hold of its answers while it counts as one that is read.
    private static let unreadBytes = GatewayServer.unwritableBytes + GatewayConnection.copiedBodyBytes
    private var nextID: UInt64
    private var whenEmpty: [EventLoopPromise<Void>] = []
    /// Connections over the limit that are being told so; above this number they are closed without a word.
    private static let refusedConnectionsLimit = 256
    /// Connections that are looked at to find an idle one.
    private static let evictionSample = 64
    /// A connection idle for less than this is not closed for another.
    private static let evictableMilliseconds = 1_000
    /// Addresses without a connection whose allowance is remembered.
    private static let rememberedClientsLimit = 65_536

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

    enum Admission {
        case taken
        case refused(RequestRefusal)
        case closed
    }

    func add(_ connection: GatewayConnection) -> Admission {
        metrics.accepted.increment()
        let refusal = admit(connection)
        if let refusal {
            // One who has yet to prove that he speaks TLS cannot be told anything.
            guard !connection.isHandshaking, connections.count < limits.connections + Self.refusedConnectionsLimit else {
                metrics.refused(refusal.code)
                if let limit = refusal.limit { metrics.limited(limit) }
                return .closed
            }
        } else if connection.isHandshaking {
            handshakes += 1
        }
        connection.index = connections.count
        connections.append(connection)
        metrics.connections.set(Double(connections.count))
        if let address = connection.address { count(connection, of: address) }
        return refusal.map { .refused($0) } ?? .taken
    }

    /// - Returns: why it is not taken; nil: it is.
    private func admit(_ connection: GatewayConnection) -> RequestRefusal? {
        if connection.isHandshaking, handshakes >= limits.handshakes {
            return .overloaded("too many handshakes", .handshakes)
        }
        if let address = connection.address, let client = clients[address], client.connections >= limits.connectionsPerAddress {
            return .overloaded("too many connections from your address", .connectionsPerAddress)
        }
        if connections.count >= limits.connections, !evictIdle() { return .overloaded("too many connections", .connections) }
        return nil
    }

    private func count(_ connection: GatewayConnection, of address: ClientAddress) {
        let client = clients[address] ?? ClientRecord(address, requestsPerSecond: limits.requestsPerSecondPerAddress)
        client.connections += 1
        clients[address] = client
        connection.client = client
    }

    func remove(_ connection: GatewayConnection) {
        guard let index = connection.index else { return }
        connection.index = nil
        let last = connections.removeLast()
        if last !== connection {
            connections[index] = last
            last.index = index
        }
        if connection.isHandshaking { handshakes -= 1 }
        heldBytes -= connection.heldBytes
        connection.heldBytes = 0
        if let client = connection.client {
            connection.client = nil
            client.connections -= 1
            forget(client)
        }
        metrics.connections.set(Double(connections.count))
        if connections.isEmpty { finishDraining() }
    }

    /// A client without connections that has its whole allowance is as good as unknown.
    private func forget(_ client: ClientRecord) {
        guard client.connections == 0 else { return }
        guard limits.requestsPerSecondPerAddress == 0 || client.isFull || clients.count > Self.rememberedClientsLimit else { return }
        clients[client.address] = nil
    }

    /// Closes the connection that has been idle longest, of some that are looked at: a crowd of idle ones keeps nobody out.
    private func evictIdle() -> Bool {
        var longest: (connection: GatewayConnection, milliseconds: Int64)?
        for _ in 0..<min(Self.evictionSample, connections.count) {
            evictionCursor = evictionCursor + 1 < connections.count ? evictionCursor + 1 : 0
            let connection = connections[evictionCursor]
            guard let idle = connection.idleMilliseconds(now), idle >= Self.evictableMilliseconds else { continue }
            if longest.map({ idle > $0.milliseconds }) ?? true { longest = (connection, idle) }
        }
        guard let longest else { return false }
        metrics.limited(.idleEvicted)
        // One whose last answer is not read yet would stay until it is.
        if longest.connection.unsentBytes > 0 { longest.connection.abandon() } else { longest.connection.finish(lingers: false) }
        return true
    }

    // MARK: Memory

    /// - Returns: false when all connections together hold more than they may.
    func hold(_ change: Int) -> Bool {
        heldBytes += change
        return change <= 0 || heldBytes <= limits.bufferedBytes
    }

    /// Cuts off those that leave their answers unread, the most patient first, while too much waits for them.
    private func shedReaders() {
        var unsent = 0
        var stalled: [GatewayConnection] = []
        // What is below the mark each may leave unread: where that could be too much for all together, all are looked at.
        let isCrowded = heldBytes + connections.count * Self.unreadBytes > limits.bufferedBytes
        let looksAtAll = isCrowded && now - lastLook >= Self.lookMilliseconds
        if looksAtAll { lastLook = now }
        for connection in connections where looksAtAll || connection.writeDeadline != .max {
            let bytes = connection.unsentBytes
            unsent += bytes
            if bytes > 0 { stalled.append(connection) }
        }
        metrics.buffered.set(Double(heldBytes + unsent))
        guard heldBytes + unsent > limits.bufferedBytes else { return }
        for connection in stalled.sorted(by: { $0.writeDeadline < $1.writeDeadline }) {
            unsent -= connection.unsentBytes
            metrics.limited(.bufferedBytes)
            connection.abandon()
            if heldBytes + unsent <= limits.bufferedBytes { return }
        }
    }

    // MARK: Time

    /// Milliseconds of the coarse clock at which `milliseconds` from now have passed for certain.
    func deadline(in milliseconds: Int) -> Int64 { now + Int64(milliseconds + limits.tickMilliseconds) }

    func tick() {
        let before = now
        now = (NIODeadline.now() - begin).nanoseconds / 1_000_000
        date.update(to: HTTPDate.now())
        // From the end: those that go away are replaced by ones already looked at.
        for index in connections.indices.reversed() where index < connections.count { connections[index].tick(now) }
        shedReaders()
        guard limits.requestsPerSecondPerAddress > 0 else { return }
        for client in Array(clients.values) {
            client.refill(milliseconds: now - before, requestsPerSecond: limits.requestsPerSecondPerAddress)
            forget(client)
        }
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
