import NIOCore
import Supervisor

/// A request's body on its way to the dispatcher.
extension GatewayConnection {
    /// Passes the request's body on as far as there is credit; once the answer is complete, throws it away.
    /// - Returns: whether there is more to do.
    func pumpBody(_ exchange: Exchange) -> Bool {
        if exchange.response == .complete { return discardBody(exchange) }
        guard !exchange.body.isComplete else { return false }
        do throws(RequestRefusal) {
            // One piece of all that is at hand: to the tenant each is a turn, however small the chunks are that it came in.
            var piece: ByteBuffer?
            while let next = try exchange.body.next(from: &input, limit: exchange.requestCredit) {
                exchange.requestCredit -= next.readableBytes
                earnBodyTime(next.readableBytes)
                if piece == nil { piece = next } else { piece!.writeImmutableBuffer(next) }
            }
            if let piece {
                exchange.owesContinue = false
                exchange.dispatched?.requestBody(piece)
            }
            if exchange.body.isComplete, !exchange.toldBodyEnd, exchange.response != .complete {
                exchange.toldBodyEnd = true
                // From now on the client may ask for something else.
                endDeadline = .max
                expectEnd(exchange)
                exchange.dispatched?.requestBodyEnded()
            }
            if piece == nil, !exchange.body.isComplete, inputEnded, input.readableBytes == 0 { abandon() }
            return piece != nil
        } catch {
            refuse(error, exchange)
            return false
        }
    }

    private func discardBody(_ exchange: Exchange) -> Bool {
        do throws(RequestRefusal) {
            while let piece = try exchange.body.next(from: &input, limit: .max) {
                exchange.discardedBytes += piece.readableBytes
                earnBodyTime(piece.readableBytes)
            }
        } catch {
            finish()
            return false
        }
        if exchange.body.isComplete {
            release(exchange)
            return true
        }
        if exchange.discardedBytes > core.limits.discardedBodyBytes {
            core.metrics.limited(.discardedBodyBytes)
            finish()
        } else if inputEnded {
            finish()
        }
        return false
    }

    func creditGrew(_ exchange: Exchange) {
        guard exchange === self.exchange else { return }
        sendContinue(exchange)
        advance()
    }

    func sendContinue(_ exchange: Exchange) {
        guard exchange === self.exchange, exchange.owesContinue, exchange.response == .awaited, phase == .open, let context else { return }
        exchange.owesContinue = false
        var line = ByteBuffer()
        line.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
        context.writeAndFlush(wrapOutboundOut(line), promise: nil)
    }
}
