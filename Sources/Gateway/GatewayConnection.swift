import NIOCore
import NIOSSL
import NIOTLS
import Supervisor
import Wire

/// One client's connection: cuts requests out of its bytes, hands them to the dispatcher one at a time and writes the answers.
///
/// Pipelined requests wait as raw bytes, at most one read of them: while a request is in flight and something is buffered, nothing more is
/// read. A request's body is read as the dispatcher grants credit for it.
final class GatewayConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case open
        /// The last answer is being written.
        case finishing
        /// Our side is shut; what the client still sends is thrown away, so that no reset overtakes the answer.
        case lingering
        case closed
    }

    /// What the clock is watching.
    enum Wait { case nothing, handshake, head, idle, body, halfClosed, linger }

    let core: GatewayCore
    /// Place in the core's list.
    var index: Int?
    /// What it shares with other connections of its client.
    var client: ClientRecord?
    let address: ClientAddress?
    var context: ChannelHandlerContext?
    /// Below TLS, where there is TLS.
    private var transport: ChannelHandlerContext?
    /// TLS's handshake is not over.
    private(set) var isHandshaking: Bool
    /// What the core counts for `input`.
    var heldBytes = 0
    var phase = Phase.open
    var exchange: Exchange?
    /// The client shut its sending side.
    private(set) var inputEnded = false
    /// Reused for heads and small bodies of answers.
    var output = ByteBuffer()
    /// Small pieces of the answer's body that wait until what was written before them is sent, without framing.
    var joined = ByteBuffer()

    var input = ByteBuffer()
    private var scanner = HeadScanner()
    private var parser: RequestHeadParser
    private var requestHeaders = ByteBuffer()
    private var skippedEmptyLine = false
    private var isAdvancing = false
    private var readIsHeld = false
    private var lingeredBytes = 0
    private(set) var hasReceived = false

    var wait = Wait.nothing
    var deadline = Int64.max
    var bodyMillisecondsLeft: Int64?
    var writeDeadline = Int64.max
    /// When the end of an answer that the client has whole must have been said.
    var endDeadline = Int64.max
    private static let lingeredBytesLimit = 1 << 20
    /// Buffers that have grown over this are not kept for the next request.
    static let keptCapacity = 8 << 10

    /// - Parameter scheme: https: a TLS handler stands before this one in the pipeline.
    init(core: GatewayCore, peer: SocketAddress?, scheme: URLScheme = .http) {
        self.core = core
        address = ClientAddress(peer)
        isHandshaking = scheme == .https
        parser = RequestHeadParser(limits: core.limits, peer: peer?.ipAddress ?? "", scheme: scheme)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isHandshaking { transport = try? context.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) }
    }

    func channelActive(context: ChannelHandlerContext) {
        switch core.add(self) {
        case .taken where isHandshaking: watch(.handshake, core.limits.handshakeTimeoutMilliseconds)
        case .taken: watch(.head, core.limits.headTimeoutMilliseconds)
        case .refused(let refusal): refuse(refusal)
        case .closed: abandon()
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch phase {
        case .open:
            hasReceived = true
            input.append(read: bytes)
            advance()
        case .lingering, .finishing:
            lingeredBytes += bytes.readableBytes
            if lingeredBytes > Self.lingeredBytesLimit { close() }
        case .closed: break
        }
    }

    /// NIO asks for more after each read; it gets its way only while there is room.
    func read(context: ChannelHandlerContext) {
        if wantsInput { context.read() } else { readIsHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            writeDeadline = .max
            touchHalfClosed()
            if let exchange { reportTaken(exchange) }
            advance()
        } else {
            writeDeadline = core.deadline(in: core.limits.writeTimeoutMilliseconds)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isHandshaking, let event = event as? TLSUserEvent, case .handshakeCompleted = event { return endHandshake() }
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        inputEnded = true
        switch phase {
        case .open:
            if exchange != nil { watch(.halfClosed, core.limits.halfClosedMilliseconds) }
            advance()
        case .lingering: close()
        case .finishing, .closed: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        core.remove(self)
        clientGone()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        transport = nil
        core.remove(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The client closed without TLS's farewell, as many do; that it closed is said besides. Requests tell their own length.
        if let error = error as? NIOSSLError, case .uncleanShutdown = error { return }
        if isHandshaking, phase == .open { core.metrics.handshakeFailed(.protocolError) }
        abandon()
    }

    // MARK: TLS

    private func endHandshake() {
        isHandshaking = false
        core.handshakes -= 1
        if phase == .open { watch(.head, core.limits.headTimeoutMilliseconds) }
    }

    /// Answers one who speaks plain HTTP where TLS is spoken, in plain HTTP.
    /// - Parameter bytes: the first that came.
    func refusePlainText(_ bytes: ByteBuffer) {
        guard phase == .open, let context, let transport else { return }
        input = bytes
        context.pipeline.syncOperations.removeHandler(context: transport, promise: nil)
        self.transport = nil
        isHandshaking = false
        core.handshakes -= 1
        core.metrics.handshakeFailed(.plainText)
        refuse(.bad("this port speaks TLS: the URL must begin with https://"))
    }

    // MARK: Reading

    private var wantsInput: Bool {
        switch phase {
        case .closed: return false
        case .finishing, .lingering: return true
        case .open:
            guard input.readableBytes == 0 || exchange == nil else { return false }
            guard let exchange else { return input.readableBytes == 0 || context?.channel.isWritable != false }
            return exchange.body.isComplete || exchange.response == .complete || exchange.requestCredit > 0
        }
    }

    /// Does all that the bytes at hand, the credit and the writability allow.
    func advance() {
        guard !isAdvancing else { return }
        isAdvancing = true
        while phase == .open {
            let goesOn = if let exchange { pumpBody(exchange) } else { beginRequest() }
            guard goesOn else { break }
        }
        isAdvancing = false
        if input.readableBytes == 0 { input = ByteBuffer() }
        if input.storageCapacity != heldBytes { hold() }
        watchBody()
        if readIsHeld, wantsInput {
            readIsHeld = false
            context?.read()
        }
    }

    /// Says to the core how much of the clients' bytes waits here.
    private func hold() {
        let change = input.storageCapacity - heldBytes
        heldBytes = input.storageCapacity
        guard !core.hold(change), phase == .open else { return }
        if exchange == nil { return refuse(.overloaded("too much is waiting on all connections", .bufferedBytes)) }
        core.metrics.limited(.bufferedBytes)
        abandon()
    }

    /// - Returns: whether there is more to do.
    private func beginRequest() -> Bool {
        // Answers that the client does not take must not pile up.
        guard context?.channel.isWritable == true else { return false }
        guard input.readableBytes > 0 else {
            if inputEnded || core.isDraining { finish() }
            return false
        }
        do throws(RequestRefusal) {
            if try skipEmptyLine() { return true }
            let limit = core.limits.headBytes
            var length: Int?
            var refusal: RequestRefusal?
            // One pass over the bytes in place; a head that is not whole is remembered by the scanner.
            input.withUnsafeReadableBytes { bytes in
                do throws(RequestRefusal) { length = try scanner.end(of: bytes, limit: limit) } catch { refusal = error }
            }
            if let refusal { throw refusal }
            guard let length else {
                if inputEnded { finish() } else if wait != .head { watch(.head, core.limits.headTimeoutMilliseconds) }
                return false
            }
            let head = try parseHead(length)
            do throws(RequestRefusal) { try dispatch(head) } catch { refuse(error, isForHead: head.method == "HEAD") }
        } catch {
            refuse(error)
        }
        return true
    }

    /// One empty line before a request is forgiven (RFC 9112 2.2).
    private func skipEmptyLine() throws(RequestRefusal) -> Bool {
        guard input.getInteger(at: input.readerIndex, as: UInt8.self) == HTTPBytes.carriageReturn else { return false }
        guard input.readableBytes > 1 else { return false }
        guard !skippedEmptyLine, input.getInteger(at: input.readerIndex + 1, as: UInt8.self) == HTTPBytes.lineFeed else {
            throw .bad("the request does not begin with a method")
        }
        skippedEmptyLine = true
        scanner.reset()
        input.moveReaderIndex(forwardBy: 2)
        return true
    }

    private func parseHead(_ length: Int) throws(RequestRefusal) -> RequestHead {
        var head: RequestHead?
        var refusal: RequestRefusal?
        input.withUnsafeReadableBytes { bytes in
            do throws(RequestRefusal) {
                head = try parser.parse(UnsafeRawBufferPointer(rebasing: bytes[..<length]), into: &requestHeaders)
            } catch {
                refusal = error
            }
        }
        if let refusal { throw refusal }
        input.moveReaderIndex(forwardBy: length)
        scanner.reset()
        skippedEmptyLine = false
        return head!
    }

    private func dispatch(_ head: RequestHead) throws(RequestRefusal) {
        if let client, !client.takeRequest() {
            throw RequestRefusal(code: .rateLimited, message: "too many requests from your address", limit: .requestsPerAddress)
        }
        var reader = RequestBodyReader(head.framing, limits: core.limits)
        var body: ByteBuffer?
        while !reader.isComplete, let piece = try reader.next(from: &input, limit: FrameHeader.windowBytes - reader.readBytes) {
            if body == nil { body = piece } else { body!.writeImmutableBuffer(piece) }
        }
        let id = core.makeRequestID()
        let exchange = Exchange(id: id, head: head, body: reader, connection: self)
        exchange.requestCredit = FrameHeader.windowBytes - reader.readBytes
        exchange.toldBodyEnd = reader.isComplete
        exchange.owesContinue = head.expectsContinue && reader.readBytes == 0 && !reader.isComplete
        self.exchange = exchange
        if inputEnded { watch(.halfClosed, core.limits.halfClosedMilliseconds) } else { watch(.nothing, 0) }
        if head.isForServer { return answerForServer(exchange) }
        requestHeaders.writeStaticString("x-request-id\n")
        ResponseHead.write(id: id, into: &requestHeaders)
        requestHeaders.writeInteger(HTTPBytes.lineFeed)
        var contentLength: Int?
        if case .length(let length) = head.framing { contentLength = length }
        let request = IncomingRequest(
            id: id, host: head.host, method: head.method, url: head.url, headers: requestHeaders,
            body: head.framing == .none ? nil : body ?? ByteBuffer(), bodyIsComplete: reader.isComplete, contentLength: contentLength)
        exchange.dispatched = core.dispatcher.dispatch(request, to: exchange)
        if requestHeaders.capacity > Self.keptCapacity { requestHeaders = ByteBuffer() }
        if exchange.owesContinue {
            // Later, so that a refusal which the dispatcher already knows of comes first and the body is never sent.
            context?.eventLoop.assumeIsolated().execute { [weak self] in self?.sendContinue(exchange) }
        }
    }

    // MARK: The end of a request, the end of the connection

    /// The answer is complete and so is the request's body: the next one.
    func release(_ exchange: Exchange) {
        exchange.connection = nil
        exchange.dispatched = nil
        self.exchange = nil
        if output.capacity > Self.keptCapacity { output = ByteBuffer() }
        watch(.idle, core.limits.idleTimeoutMilliseconds)
    }

    /// Tells the dispatcher, if there is a request whose answer is not complete.
    func clientGone() {
        guard let exchange else { return }
        self.exchange = nil
        exchange.connection = nil
        let dispatched = exchange.dispatched
        exchange.dispatched = nil
        guard exchange.response != .complete else { return }
        core.metrics.clientsGone.increment()
        dispatched?.clientGone()
    }

    /// Closes once everything is written, in a way that loses none of it.
    /// - Parameter lingers: false where nothing was said that the client could miss.
    func finish(lingers: Bool = true) {
        guard phase == .open, let context else { return }
        phase = .finishing
        input = ByteBuffer()
        watch(.linger, core.limits.lingerMilliseconds + core.limits.writeTimeoutMilliseconds)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            if lingers { self?.linger() } else { self?.close() }
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        advance()
    }

    private func linger() {
        guard phase == .finishing, let context else { return }
        if inputEnded { return close() }
        phase = .lingering
        watch(.linger, core.limits.lingerMilliseconds)
        context.close(mode: .output, promise: nil)
    }

    /// Closes at once; the client may see a reset.
    func abandon() {
        clientGone()
        close(isComplete: false)
    }

    /// - Parameter isComplete: TLS's farewell is said: nothing that should have come is missing.
    func close(isComplete: Bool = true) {
        guard phase != .closed else { return }
        phase = .closed
        joined = ByteBuffer()
        watch(.nothing, 0)
        guard let transport else {
            context?.close(promise: nil)
            return
        }
        guard isComplete, !isHandshaking, let context else { return transport.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        // The farewell is written once a flush that is under way has ended. The peer's may never come and is not waited for.
        context.eventLoop.assumeIsolated().execute { transport.close(promise: nil) }
    }

    /// Refuses what cannot be read as a request, and everything after it.
    /// - Parameter isForHead: nil: `input` begins with the request, as far as it came.
    func refuse(_ refusal: RequestRefusal, _ exchange: Exchange? = nil, isForHead: Bool? = nil) {
        guard phase == .open else { return }
        core.metrics.refused(refusal.code)
        if let limit = refusal.limit { core.metrics.limited(limit) }
        if isHandshaking { return abandon() }
        let wasAnswered = exchange.map { $0.response != .awaited } ?? false
        let id = exchange?.id ?? core.makeRequestID()
        let isForHead = exchange?.isHead ?? isForHead ?? input.readableBytesView.starts(with: "HEAD ".utf8)
        clientGone()
        if wasAnswered { return close() }
        writeRefusal(refusal, isForHead: isForHead, id: id)
        finish()
    }

    /// No new request; what is in flight goes on.
    func drain() {
        // What would be written first waits for the end of a handshake that may never come.
        if isHandshaking { return abandon() }
        guard phase == .open, exchange == nil, input.readableBytes == 0 else { return }
        finish(lingers: false)
    }
}
