import Wire

/// Why the gateway itself does not take a request. The connection is closed after it: what follows cannot be told from the request's rest.
struct RequestRefusal: Error, Equatable {
    var code: ErrorCode
    /// For the client.
    var message: String

    static func bad(_ message: String) -> RequestRefusal { RequestRefusal(code: .badRequest, message: message) }
    static func tooLarge(_ message: String) -> RequestRefusal { RequestRefusal(code: .headTooLarge, message: message) }
}
