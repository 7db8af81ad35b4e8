import Wire

/// Why the gateway itself does not take a request. The connection is closed after it: what follows cannot be told from the request's rest.
struct RequestRefusal: Error, Equatable {
    var code: ErrorCode
    /// For the client.
    var message: String
    /// The limit that was reached, if that is why.
    var limit: GatewayLimit?

    static func bad(_ message: String, _ limit: GatewayLimit? = nil) -> RequestRefusal {
        RequestRefusal(code: .badRequest, message: message, limit: limit)
    }

    static func tooLarge(_ message: String, _ limit: GatewayLimit) -> RequestRefusal {
        RequestRefusal(code: .headTooLarge, message: message, limit: limit)
    }

    static func overloaded(_ message: String, _ limit: GatewayLimit) -> RequestRefusal {
        RequestRefusal(code: .overloaded, message: message, limit: limit)
    }
}
