import NIOCore

/// How a request's body ends.
enum RequestFraming: Equatable {
    case none
    case length(Int)
    case chunked
}

/// A request's head, read and checked.
struct RequestHead: Equatable {
    var method: String
    var host: String
    /// Absolute, ASCII; see `IncomingRequest.url`.
    var url: String
    /// HTTP/1.0.
    var isOld: Bool
    /// The client will take another answer on this connection.
    var keepsAlive: Bool
    /// The client waits for 100 before it sends the body.
    var expectsContinue: Bool
    var framing: RequestFraming
}
