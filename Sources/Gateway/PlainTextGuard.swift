import NIOCore
import NIOSSL

/// Stands before TLS until the first byte: who speaks plain HTTP to the TLS port gets an answer that he can read.
final class PlainTextGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: GatewayConnection
    private var hasSeen = false

    init(_ connection: GatewayConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        // A handshake begins with a record of type 22, a request with a letter.
        if !hasSeen, let first: UInt8 = bytes.getInteger(at: bytes.readerIndex), HTTPBytes.isToken(first) {
            hasSeen = true
            connection.refusePlainText(bytes)
        } else {
            hasSeen = true
            context.fireChannelRead(data)
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
