import NIOCore
import Wire

/// Where the gateway hands requests in. All of it runs on the supervisor's event loop.
public protocol RequestDispatcher: AnyObject {
    /// Accepts a request for `host` (lower case, without port). The answer comes through `exchange`, never before this returns a
    /// dispatched request; exactly one of `head` and `failed` is called.
    /// - Returns: what the gateway reports body and abort to.
    func dispatch(_ request: IncomingRequest, to exchange: any ResponseExchange) -> any DispatchedRequest
}

/// A request as the gateway read it: checked, within the limits of HTTP.
public struct IncomingRequest {
    /// Unique in this process; the text form goes to clients and logs.
    public var id: UInt64
    /// In lower case, without the port; the tenant is found by it.
    public var host: String
    /// As the client sent it.
    public var method: String
    /// Absolute: scheme, host and path as the tenant sees it.
    public var url: String
    /// `name\nvalue\n…` in Latin-1, names in lower case.
    public var headers: ByteBuffer
    /// The body's bytes that are already here; nil: no body.
    public var body: ByteBuffer?
    /// Whether `body` is all of it (true without a body).
    public var bodyIsComplete: Bool
    /// From content-length, when it was given: lets a body over the tenant's limit be refused at once.
    public var contentLength: Int?

    /// Takes what the gateway has checked; nothing is checked here.
    public init(
        id: UInt64, host: String, method: String, url: String, headers: ByteBuffer, body: ByteBuffer?,
        bodyIsComplete: Bool, contentLength: Int?
    ) {
        self.id = id
        self.host = host
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.bodyIsComplete = bodyIsComplete
        self.contentLength = contentLength
    }
}

/// The gateway's end of a request that was dispatched.
public protocol DispatchedRequest: AnyObject {
    /// A further piece of the request's body. The gateway sends no more than `requestBodyCredit` has granted
    /// (`FrameHeader.windowBytes` at first).
    func requestBody(_ bytes: ByteBuffer)
    func requestBodyEnded()
    /// The client is gone: the request's signal is aborted and nothing more is said to the exchange.
    func clientGone()
    /// The client took this many more bytes of the response's body.
    func responseBodyTaken(_ bytes: Int)
}

/// Who answers the client. Called on the supervisor's event loop.
public protocol ResponseExchange: AnyObject {
    /// The response's head: `headers` as `name\nvalue\n…` in Latin-1, already checked to be carried by HTTP. `body` is its first
    /// piece; `isComplete`: all of it.
    func head(status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool)
    func body(_ bytes: ByteBuffer)
    func ended()
    /// The body broke off after the head: the connection cannot be kept.
    func broken(_ why: String)
    /// No response: answer with the code's status. `message` is for the client. `retryAfterSeconds` where the code allows it.
    func failed(_ code: ErrorCode, message: String, retryAfterSeconds: Int?)
    /// So many more bytes of the request's body may be sent.
    func requestBodyCredit(_ bytes: Int)
}
