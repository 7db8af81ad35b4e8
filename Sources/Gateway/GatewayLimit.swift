/// The limits that cut somebody short, as `cloister_gateway_limits_total` names them. Each has a key of the same name in `cloister.yaml`,
/// where that is a number of bytes, things or milliseconds.
enum GatewayLimit: Int, CaseIterable {
    case connections, connectionsPerAddress, requestsPerAddress, handshakes, bufferedBytes
    case headBytes, headerCount, targetBytes, bodyBytes, chunkExtensionBytes, discardedBodyBytes
    case handshakeTimeout, headTimeout, idleTimeout, bodyTimeout, writeTimeout, halfClosedTimeout
    /// An idle connection that made room for a new one.
    case idleEvicted

    var name: String {
        switch self {
        case .connections: "connections"
        case .connectionsPerAddress: "connections_per_address"
        case .requestsPerAddress: "requests_per_s_per_address"
        case .handshakes: "handshakes"
        case .bufferedBytes: "buffered_mb"
        case .headBytes: "head_bytes"
        case .headerCount: "headers"
        case .targetBytes: "target_bytes"
        case .bodyBytes: "body_mb"
        case .chunkExtensionBytes: "chunk_extension_bytes"
        case .discardedBodyBytes: "discarded_body_bytes"
        case .handshakeTimeout: "handshake_timeout_ms"
        case .headTimeout: "head_timeout_ms"
        case .idleTimeout: "idle_timeout_ms"
        case .bodyTimeout: "body_timeout_ms"
        case .writeTimeout: "write_timeout_ms"
        case .halfClosedTimeout: "half_closed_ms"
        case .idleEvicted: "idle_evicted"
        }
    }
}
