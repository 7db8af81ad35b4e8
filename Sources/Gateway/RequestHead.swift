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
    /// Absolute, ASCII; see `IncomingRequest.url`. The path is as it came: the Web runtime serializes it when it is asked for.
    var url: String
    /// `OPTIONS *`: the server is asked, no tenant (RFC 9110 9.3.7).
    var isForServer = false
    /// HTTP/1.0.
    var isOld: Bool
    /// The client will take another answer on this connection.
    var keepsAlive: Bool
    /// The client waits for 100 before it sends the body.
    var expectsContinue: Bool
    var framing: RequestFraming
}
