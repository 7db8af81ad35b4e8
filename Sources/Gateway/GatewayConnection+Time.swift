import NIOCore

/// Deadlines: one for what the client should send or do next, one for what it should read. Looked at once a tick.
extension GatewayConnection {
    func watch(_ wait: Wait, _ milliseconds: Int) {
        self.wait = wait
        deadline = wait == .nothing ? .max : core.deadline(in: milliseconds)
        if wait != .body { bodyMillisecondsLeft = nil }
    }

    /// The clock runs for a body only while the gateway wants more of it.
    func watchBody() {
        guard phase == .open, !inputEnded, let exchange, !exchange.body.isComplete else {
            if wait == .body { watch(.nothing, 0) }
            return
        }
        let isWanted = exchange.response == .complete || exchange.requestCredit > 0
        if isWanted, wait != .body {
            let left = bodyMillisecondsLeft ?? Int64(core.limits.bodyTimeoutMilliseconds)
            watch(.body, Int(left))
        } else if !isWanted, wait == .body {
            let left = max(deadline - core.now, 0)
            watch(.nothing, 0)
            bodyMillisecondsLeft = left
        }
    }

    func earnBodyTime(_ bytes: Int) {
        guard wait == .body else { return }
        let earned = Int64(bytes * 1_000 / max(core.limits.bodyBytesPerSecond, 1))
        deadline = min(deadline + earned, core.deadline(in: core.limits.bodyTimeoutMilliseconds))
    }

    /// The answer made progress towards a client that shut its sending side.
    func touchHalfClosed() {
        if wait == .halfClosed { watch(.halfClosed, core.limits.halfClosedMilliseconds) }
    }

    func tick(_ now: Int64) {
        if writeDeadline <= now {
            core.metrics.limited(.writeTimeout)
            return abandon()
        }
        if endDeadline <= now { giveUpEnd() }
        guard deadline <= now else { return }
        switch wait {
        case .nothing: break
        case .handshake:
            core.metrics.limited(.handshakeTimeout)
            core.metrics.handshakeFailed(.timeout)
            abandon()
        case .linger: if phase == .open { finish() } else { close() }
        case .idle:
            core.metrics.limited(.idleTimeout)
            if phase == .open { finish() } else { close() }
        case .halfClosed:
            // The client has enough to read; how long it may take, the write timeout says.
            guard writeDeadline == .max else { return }
            core.metrics.limited(.halfClosedTimeout)
            abandon()
        case .head:
            guard hasReceived else {
                core.metrics.limited(.headTimeout)
                return close()
            }
            refuse(RequestRefusal(code: .requestTimeout, message: "the request's head took too long", limit: .headTimeout))
        case .body:
            guard exchange?.response != .complete else {
                core.metrics.limited(.bodyTimeout)
                return abandon()
            }
            refuse(RequestRefusal(code: .requestTimeout, message: "the request's body took too long", limit: .bodyTimeout), exchange)
        }
    }

    /// How long nothing has been asked of it; nil while something is under way.
    func idleMilliseconds(_ now: Int64) -> Int64? {
        guard phase == .open else { return nil }
        let timeout: Int
        switch wait {
        case .idle: timeout = core.limits.idleTimeoutMilliseconds
        case .head where !hasReceived: timeout = core.limits.headTimeoutMilliseconds
        default: return nil
        }
        return Int64(timeout + core.limits.tickMilliseconds) - (deadline - now)
    }

    /// What was written, or waits to be, and is not yet sent: the client does not keep up.
    var unsentBytes: Int {
        joined.readableBytes + ((try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0)
    }
}
