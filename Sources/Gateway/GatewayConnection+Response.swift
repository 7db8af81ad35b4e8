import Glibc
import NIOCore
import Supervisor
import Wire

/// Writing answers. A small one leaves in a single write; nothing here allocates for each request but what NIO holds until it is sent.
extension GatewayConnection {
    /// Pieces of body up to this long are copied behind the head, and joined while they wait; a longer one is written as it is.
    static let copiedBodyBytes = 16 << 10
    /// The end of an answer that the client has whole may take this long to be said.
    private static let endMilliseconds = 1_000

    func respond(_ exchange: Exchange, status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        guard exchange === self.exchange, exchange.response == .awaited, phase == .open, let context else { return }
        let length = body?.readableBytes ?? 0
        let head = ResponseHead(
            status: status, headers: headers, knownLength: isComplete ? length : nil, isForHead: exchange.isHead,
            isForOld: exchange.isOld, requestID: exchange.id)
        decideKeepAlive(exchange, isComplete: isComplete)
        output.clear(minimumCapacity: head.room(core.date.line) + (isComplete && length <= Self.copiedBodyBytes ? length : 0))
        guard let framing = head.write(into: &output, date: core.date.line, keepsAlive: &exchange.keepsAlive) else {
            let dispatched = exchange.dispatched
            exchange.dispatched = nil
            dispatched?.clientGone()
            return respondFailed(
                exchange, .invalidResponse, message: "the response's head cannot be carried by HTTP", retryAfterSeconds: nil)
        }
        exchange.owesContinue = false
        exchange.response = .streaming(framing)
        touchHalfClosed()
        if isComplete {
            if framing != .none, let body, length > 0 {
                if length <= Self.copiedBodyBytes {
                    output.writeImmutableBuffer(body)
                    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
                } else {
                    context.write(wrapOutboundOut(output), promise: nil)
                    context.writeAndFlush(wrapOutboundOut(body), promise: nil)
                }
            } else {
                context.writeAndFlush(wrapOutboundOut(output), promise: nil)
            }
            return complete(exchange)
        }
        let first = framing == .none || length == 0 ? nil : body
        context.write(wrapOutboundOut(output), promise: nil)
        if first == nil { context.flush() }
        if output.capacity > Self.keptCapacity { output = ByteBuffer() }
        // With the head, not behind it.
        if let first { pass(first, of: exchange, joins: false, context) } else { expectEnd(exchange) }
    }

    /// `OPTIONS *`: what tenants may be asked with. Which of it one of them takes, it says itself.
    func answerForServer(_ exchange: Exchange) {
        let headers = ByteBuffer(string: "allow\nGET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\n")
        respond(exchange, status: 204, headers: headers, body: nil, isComplete: true)
    }

    private func decideKeepAlive(_ exchange: Exchange, isComplete: Bool) {
        if core.isDraining || exchange.owesContinue { exchange.keepsAlive = false }
        if isComplete, !exchange.body.isComplete, let left = exchange.body.bytesLeft, left > core.limits.discardedBodyBytes {
            exchange.keepsAlive = false
        }
    }

    func respond(_ exchange: Exchange, body: ByteBuffer) {
        guard let context, body.readableBytes > 0 else { return }
        pass(body, of: exchange, joins: true, context)
    }

    private func pass(_ body: ByteBuffer, of exchange: Exchange, joins: Bool, _ context: ChannelHandlerContext) {
        guard exchange === self.exchange, case .streaming(let framing) = exchange.response, phase == .open else { return }
        let count = body.readableBytes
        if case .length(let left) = framing {
            guard count <= left else { return respondBroken(exchange) }
            exchange.response = .streaming(.length(left: left - count))
        }
        if framing != .none {
            if joins, count <= Self.copiedBodyBytes, joined.readableBytes > 0 || unsentBytes > 0 {
                join(body, context)
            } else {
                writeJoined()
                writePiece(body, isChunked: framing == .chunked, context)
            }
        }
        touchHalfClosed()
        exchange.unreportedBytes += count
        if context.channel.isWritable { reportTaken(exchange) }
        expectEnd(exchange)
    }

    /// Keeps a piece back until what was written before is sent: each write that waits takes far more memory than a few bytes.
    private func join(_ body: ByteBuffer, _ context: ChannelHandlerContext) {
        if joined.readableBytes + body.readableBytes > Self.copiedBodyBytes { writeJoined() }
        let isFirst = joined.readableBytes == 0
        joined.writeImmutableBuffer(body)
        guard isFirst else { return }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { [weak self] _ in self?.writeJoined() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    private func writeJoined() {
        guard joined.readableBytes > 0, let exchange, let context else { return }
        let pieces = joined
        joined = ByteBuffer()
        writePiece(pieces, isChunked: exchange.response == .streaming(.chunked), context)
    }

    private func writePiece(_ body: ByteBuffer, isChunked: Bool, _ context: ChannelHandlerContext) {
        guard isChunked else { return context.writeAndFlush(wrapOutboundOut(body), promise: nil) }
        let isCopied = body.readableBytes <= Self.copiedBodyBytes
        // While the last one waits, what is made here waits as well, and takes no more than it needs.
        output.clear(minimumCapacity: 16 + (isCopied ? body.readableBytes : 0))
        output.writeString(String(body.readableBytes, radix: 16))
        output.writeStaticString("\r\n")
        if isCopied {
            output.writeImmutableBuffer(body)
            output.writeStaticString("\r\n")
            context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        } else {
            context.write(wrapOutboundOut(output), promise: nil)
            context.write(wrapOutboundOut(body), promise: nil)
            var end = ByteBuffer()
            end.writeStaticString("\r\n")
            context.writeAndFlush(wrapOutboundOut(end), promise: nil)
        }
    }

    /// What was written counts as taken while the channel's buffer is below its mark: at most that much is taken on trust.
    func reportTaken(_ exchange: Exchange) {
        guard exchange.unreportedBytes > 0, exchange.response != .complete else { return }
        let bytes = exchange.unreportedBytes
        exchange.unreportedBytes = 0
        exchange.dispatched?.responseBodyTaken(bytes)
    }

    func respondEnd(_ exchange: Exchange) {
        guard exchange === self.exchange, case .streaming(let framing) = exchange.response, phase == .open, let context else { return }
        switch framing {
        case .none, .length(left: 0): break
        case .length: return respondBroken(exchange)
        case .untilClose: exchange.keepsAlive = false
        case .chunked: break
        }
        writeJoined()
        if framing == .chunked {
            var end = ByteBuffer()
            end.writeStaticString("0\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(end), promise: nil)
        }
        complete(exchange)
    }

    /// With the last byte the client may ask for something else: the answer's end has to be said soon.
    func expectEnd(_ exchange: Exchange) {
        guard endDeadline == .max, case .streaming(let framing) = exchange.response else { return }
        if framing == .none || framing == .length(left: 0) { endDeadline = core.deadline(in: Self.endMilliseconds) }
    }

    /// The client has all of the answer, and the dispatcher does not say so: the connection takes no other request, and ends.
    func giveUpEnd() {
        endDeadline = .max
        guard phase == .open, let exchange, case .streaming = exchange.response else { return }
        // Who still sends its request cannot ask for anything else.
        guard exchange.body.isComplete else { return expectEnd(exchange) }
        exchange.keepsAlive = false
        // It was not the client that went.
        let dispatched = exchange.dispatched
        exchange.dispatched = nil
        dispatched?.clientGone()
        writeJoined()
        complete(exchange)
    }

    /// The body cannot be completed: only the connection's end says so, and where that is also how a body ends, a reset.
    func respondBroken(_ exchange: Exchange) {
        guard exchange === self.exchange, case .streaming(let framing) = exchange.response, phase == .open else { return }
        if framing == .untilClose {
            _ = (context?.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        // It was not the client that went.
        let dispatched = exchange.dispatched
        exchange.dispatched = nil
        exchange.response = .complete
        dispatched?.clientGone()
        abandon()
    }

    func respondFailed(_ exchange: Exchange, _ code: ErrorCode, message: String, retryAfterSeconds: Int?) {
        guard exchange === self.exchange, exchange.response == .awaited, phase == .open else { return }
        decideKeepAlive(exchange, isComplete: true)
        // The daemon ends: the next request belongs to another one, which a new connection may reach.
        if code == .draining { exchange.keepsAlive = false }
        write(
            RefusalAnswer(code, message: message, requestID: exchange.id, retryAfterSeconds: retryAfterSeconds), code,
            isForHead: exchange.isHead, isForOld: exchange.isOld, id: exchange.id, keepsAlive: &exchange.keepsAlive)
        complete(exchange)
    }

    /// Answers something that never became a request.
    func writeRefusal(_ refusal: RequestRefusal, isForHead: Bool, id: UInt64) {
        var keepsAlive = false
        let answer = RefusalAnswer(
            refusal.code, message: refusal.message, requestID: id, retryAfterSeconds: refusal.code.mayRetry ? 1 : nil)
        write(answer, refusal.code, isForHead: isForHead, isForOld: false, id: id, keepsAlive: &keepsAlive)
    }

    private func write(
        _ answer: RefusalAnswer, _ code: ErrorCode, isForHead: Bool, isForOld: Bool, id: UInt64, keepsAlive: inout Bool
    ) {
        let head = ResponseHead(
            status: code.status, headers: answer.headers, knownLength: answer.body.readableBytes, isForHead: isForHead,
            isForOld: isForOld, requestID: id, errorCode: code)
        output.clear(minimumCapacity: head.room(core.date.line) + answer.body.readableBytes)
        let framing = head.write(into: &output, date: core.date.line, keepsAlive: &keepsAlive)
        precondition(framing != nil, "a refusal is a proper response")
        if framing != ResponseFraming.none { output.writeImmutableBuffer(answer.body) }
        context?.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }

    private func complete(_ exchange: Exchange) {
        exchange.response = .complete
        exchange.dispatched = nil
        endDeadline = .max
        if !exchange.keepsAlive || core.isDraining {
            release(exchange)
            return finish()
        }
        if exchange.body.isComplete { release(exchange) }
        advance()
    }
}
