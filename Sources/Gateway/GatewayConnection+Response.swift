import Glibc
import NIOCore
import Supervisor
import Wire

/// Writing answers. A small one leaves in a single write; nothing here allocates for each request but what NIO holds until it is sent.
extension GatewayConnection {
    /// A first piece of body up to this long is copied behind the head; a longer one is written as it is.
    private static let copiedBodyBytes = 16 << 10

    func respond(_ exchange: Exchange, status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        guard exchange === self.exchange, exchange.response == .awaited, phase == .open, let context else { return }
        let length = body?.readableBytes ?? 0
        let head = ResponseHead(
            status: status, headers: headers, knownLength: isComplete ? length : nil, isForHead: exchange.isHead,
            isForOld: exchange.isOld, requestID: exchange.id)
        decideKeepAlive(exchange, isComplete: isComplete)
        output.clear()
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
        if let body, length > 0 {
            context.write(wrapOutboundOut(output), promise: nil)
            respond(exchange, body: body)
        } else {
            context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        }
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
        guard exchange === self.exchange, case .streaming(let framing) = exchange.response, phase == .open, let context else { return }
        let count = body.readableBytes
        guard count > 0 else { return }
        switch framing {
        case .none: break
        case .untilClose: context.writeAndFlush(wrapOutboundOut(body), promise: nil)
        case .length(let left):
            guard count <= left else { return respondBroken(exchange) }
            exchange.response = .streaming(.length(left: left - count))
            context.writeAndFlush(wrapOutboundOut(body), promise: nil)
        case .chunked: writeChunk(body, context)
        }
        touchHalfClosed()
        exchange.unreportedBytes += count
        if context.channel.isWritable { reportTaken(exchange) }
    }

    private func writeChunk(_ body: ByteBuffer, _ context: ChannelHandlerContext) {
        output.clear()
        output.writeString(String(body.readableBytes, radix: 16))
        output.writeStaticString("\r\n")
        if body.readableBytes <= Self.copiedBodyBytes {
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
        case .chunked:
            var end = ByteBuffer()
            end.writeStaticString("0\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(end), promise: nil)
        }
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
    func writeRefusal(_ refusal: RequestRefusal, id: UInt64) {
        var keepsAlive = false
        let answer = RefusalAnswer(
            refusal.code, message: refusal.message, requestID: id, retryAfterSeconds: refusal.code.mayRetry ? 1 : nil)
        write(answer, refusal.code, isForHead: false, isForOld: false, id: id, keepsAlive: &keepsAlive)
    }

    private func write(
        _ answer: RefusalAnswer, _ code: ErrorCode, isForHead: Bool, isForOld: Bool, id: UInt64, keepsAlive: inout Bool
    ) {
        let head = ResponseHead(
            status: code.status, headers: answer.headers, knownLength: answer.body.readableBytes, isForHead: isForHead,
            isForOld: isForOld, requestID: id, errorCode: code)
        output.clear()
        let framing = head.write(into: &output, date: core.date.line, keepsAlive: &keepsAlive)
        precondition(framing != nil, "a refusal is a proper response")
        if framing != ResponseFraming.none { output.writeImmutableBuffer(answer.body) }
        context?.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }

    private func complete(_ exchange: Exchange) {
        exchange.response = .complete
        exchange.dispatched = nil
        if !exchange.keepsAlive || core.isDraining {
            release(exchange)
            return finish()
        }
        if exchange.body.isComplete { release(exchange) }
        advance()
    }
}
