/// The refusals a client or a tenant can get: the code in `cloister-error` and the status that goes with it.
public enum ErrorCode: UInt16, Sendable, CaseIterable {
    case tenantUnknown = 1, exception, invalidResponse, startupFailed, cpuLimit, wallLimit, memoryLimit, subrequestLimit
    case outboundDenied, tenantBusy, quotaExceeded, overloaded, draining, cellLost, suspended, headTooLarge, bodyTooLarge
    case badRequest, requestTimeout, expectationFailed, rateLimited, targetTooLong

    /// As clients see it.
    public var code: String {
        switch self {
        case .tenantUnknown: "tenant_unknown"
        case .exception: "exception"
        case .invalidResponse: "invalid_response"
        case .startupFailed: "startup_failed"
        case .cpuLimit: "cpu_limit"
        case .wallLimit: "wall_limit"
        case .memoryLimit: "memory_limit"
        case .subrequestLimit: "subrequest_limit"
        case .outboundDenied: "outbound_denied"
        case .tenantBusy: "tenant_busy"
        case .quotaExceeded: "quota_exceeded"
        case .overloaded: "overloaded"
        case .draining: "draining"
        case .cellLost: "cell_lost"
        case .suspended: "suspended"
        case .headTooLarge: "head_too_large"
        case .bodyTooLarge: "body_too_large"
        case .badRequest: "bad_request"
        case .requestTimeout: "request_timeout"
        case .expectationFailed: "expectation_failed"
        case .rateLimited: "rate_limited"
        case .targetTooLong: "target_too_long"
        }
    }

    /// The HTTP status.
    public var status: Int {
        switch self {
        case .tenantUnknown: 404
        case .exception, .invalidResponse, .startupFailed: 500
        case .cpuLimit, .memoryLimit, .overloaded, .draining, .suspended: 503
        case .subrequestLimit, .outboundDenied: 500
        case .wallLimit: 504
        case .tenantBusy, .quotaExceeded, .rateLimited: 429
        case .cellLost: 502
        case .headTooLarge: 431
        case .bodyTooLarge: 413
        case .badRequest: 400
        case .requestTimeout: 408
        case .expectationFailed: 417
        case .targetTooLong: 414
        }
    }

    /// Whether the answer carries `Retry-After`.
    public var mayRetry: Bool {
        switch self {
        case .tenantBusy, .quotaExceeded, .rateLimited, .overloaded, .draining, .suspended: true
        default: false
        }
    }
}
