import Telemetry
import Wire

/// The gateway's own metrics; requests by tenant and outcome are the supervisor's.
struct GatewayMetrics: Sendable {
    let connections: Gauge
    let accepted: Counter
    let clientsGone: Counter
    let buffered: Gauge
    let certificateExpires: Gauge
    private let refusalFamily: CounterFamily
    private let limits: [Counter]
    private let handshakeFailures: [Counter]

    /// Why a TLS handshake came to nothing.
    enum HandshakeFailure: Int, CaseIterable {
        case protocolError, timeout, plainText

        var name: String {
            switch self {
            case .protocolError: "protocol"
            case .timeout: "timeout"
            case .plainText: "plain_text"
            }
        }
    }

    init(_ registry: MetricsRegistry) {
        connections = registry.gauge("cloister_gateway_connections", help: "Client connections that are open.").single
        accepted = registry.counter("cloister_gateway_connections_total", help: "Client connections that were accepted.").single
        clientsGone =
            registry.counter(
                "cloister_gateway_clients_gone_total", help: "Requests whose client went away before the answer's end."
            ).single
        buffered =
            registry.gauge(
                "cloister_gateway_buffered_bytes", help: "What connections hold of unfinished requests and unread answers."
            ).single
        certificateExpires =
            registry.gauge(
                "cloister_gateway_certificate_expires_seconds", help: "When the TLS certificate ends, in seconds since 1970; 0 without TLS."
            ).single
        refusalFamily = registry.counter(
            "cloister_gateway_refusals_total", help: "Requests that the gateway refused before any tenant was found.", labels: ["code"])
        let limitFamily = registry.counter(
            "cloister_gateway_limits_total", help: "Times a limit of the front cut somebody short.", labels: ["limit"])
        limits = GatewayLimit.allCases.map { limitFamily.with([$0.name]) }
        let failureFamily = registry.counter(
            "cloister_gateway_handshake_failures_total", help: "TLS handshakes that came to nothing.", labels: ["reason"])
        handshakeFailures = HandshakeFailure.allCases.map { failureFamily.with([$0.name]) }
    }

    func refused(_ code: ErrorCode) { refusalFamily.with([code.code]).increment() }

    func limited(_ limit: GatewayLimit) { limits[limit.rawValue].increment() }

    func handshakeFailed(_ reason: HandshakeFailure) { handshakeFailures[reason.rawValue].increment() }
}
