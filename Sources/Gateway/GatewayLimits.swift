import Policy

/// What a client may ask of the HTTP front; docs/configuration.md says what reaching a limit gets.
public struct GatewayLimits: Sendable, Equatable {
    /// Connections at once. One more takes the place of the one that has been idle longest, or gets 503 `overloaded` and is closed.
    public var connections = 10_000
    /// Connections of one client address (of an IPv6 network of 64 bits) at once; one more gets 503 `overloaded`.
    public var connectionsPerAddress = 5_000
    /// Requests of one client address a second, over all its connections; one more gets 429 `rate_limited`. A pause saves up one second's
    /// worth. 0: as many as it likes.
    public var requestsPerSecondPerAddress = 0
    /// Connections in the midst of TLS's handshake; one more is closed.
    public var handshakes = 1_000
    /// What all connections together hold of heads that are not whole, of pipelined requests and of answers that nobody reads. Who goes over
    /// it is refused; then the slowest readers are cut off.
    public var bufferedBytes = 256 << 20
    /// Request line and header fields, with their line ends. The trailer fields of a chunked body are held to it too.
    public var headBytes = 64 << 10
    /// The request target.
    public var targetBytes = 8 << 10
    /// Header fields a request.
    public var headerCount = 128
    /// A request's body, whatever the tenant's own limit says.
    public var bodyBytes = 1 << 30
    /// Chunk extensions of one body; they are skipped.
    public var chunkExtensionBytes = 4 << 10
    /// What is read and thrown away of a body whose answer is already complete, to keep the connection; more closes it.
    public var discardedBodyBytes = 64 << 10

    /// From the connection to the end of TLS's handshake.
    public var handshakeTimeoutMilliseconds = 5_000
    /// From a head's first byte (or the connection's begin) to its end.
    public var headTimeoutMilliseconds = 10_000
    /// Between two requests.
    public var idleTimeoutMilliseconds = 75_000
    /// A request's body may stand still so long while the gateway wants it…
    public var bodyTimeoutMilliseconds = 30_000
    /// …and each second spent waiting has to be earned with so many bytes; else it is a trickle meant to hold the connection.
    public var bodyBytesPerSecond = 256
    /// The client may leave a full window of the response unread so long.
    public var writeTimeoutMilliseconds = 60_000
    /// After the client shut its sending side: how long an answer may still take. A client that closed altogether looks the same until
    /// something is sent to it, so this is also how late its request's signal is aborted at most.
    public var halfClosedMilliseconds = 1_000
    /// How long a refused connection is kept open for reading, so that the refusal is not lost to a reset.
    public var lingerMilliseconds = 2_000
    /// How often deadlines are looked at; the timeouts are exact to this.
    public var tickMilliseconds = 250

    /// Pass `forwarded` and `x-forwarded-*` on from the client. Only behind a proxy that sets them; else a client could say anything.
    public var trustsForwardedHeaders = false

    /// The defaults, which are the daemon's.
    public init() {}
}

extension GatewayLimits {
    /// The daemon's configuration; what it does not name keeps its default.
    public init(_ limits: DaemonConfiguration.HTTPLimits) {
        self.init()
        connections = limits.connections
        connectionsPerAddress = limits.connectionsPerAddress
        requestsPerSecondPerAddress = limits.requestsPerSecondPerAddress
        handshakes = limits.handshakes
        bufferedBytes = limits.bufferedMegabytes << 20
        targetBytes = limits.targetBytes
        bodyBytes = limits.bodyMegabytes << 20
        chunkExtensionBytes = limits.chunkExtensionBytes
        discardedBodyBytes = limits.discardedBodyBytes
        handshakeTimeoutMilliseconds = limits.handshakeTimeoutMilliseconds
        bodyBytesPerSecond = limits.bodyBytesPerSecond
        halfClosedMilliseconds = limits.halfClosedMilliseconds
        lingerMilliseconds = limits.lingerMilliseconds
        trustsForwardedHeaders = limits.trustsForwardedHeaders
        headBytes = limits.headBytes
        headerCount = limits.headers
        headTimeoutMilliseconds = limits.headTimeoutMilliseconds
        bodyTimeoutMilliseconds = limits.bodyTimeoutMilliseconds
        idleTimeoutMilliseconds = limits.idleTimeoutMilliseconds
        writeTimeoutMilliseconds = limits.writeTimeoutMilliseconds
    }
}
