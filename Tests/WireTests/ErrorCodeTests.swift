import Testing

@testable import Wire

@Suite struct ErrorCodeTests {
    private struct Row {
        var error: ErrorCode
        var code: String
        var status: Int
        var mayRetry = false
    }

    private let table = [
        Row(error: .tenantUnknown, code: "tenant_unknown", status: 404),
        Row(error: .exception, code: "exception", status: 500),
        Row(error: .invalidResponse, code: "invalid_response", status: 500),
        Row(error: .startupFailed, code: "startup_failed", status: 500),
        Row(error: .cpuLimit, code: "cpu_limit", status: 503),
        Row(error: .wallLimit, code: "wall_limit", status: 504),
        Row(error: .memoryLimit, code: "memory_limit", status: 503),
        Row(error: .subrequestLimit, code: "subrequest_limit", status: 500),
        Row(error: .outboundDenied, code: "outbound_denied", status: 500),
        Row(error: .tenantBusy, code: "tenant_busy", status: 429, mayRetry: true),
        Row(error: .quotaExceeded, code: "quota_exceeded", status: 429, mayRetry: true),
        Row(error: .overloaded, code: "overloaded", status: 503, mayRetry: true),
        Row(error: .draining, code: "draining", status: 503, mayRetry: true),
        Row(error: .cellLost, code: "cell_lost", status: 502),
        Row(error: .suspended, code: "suspended", status: 503, mayRetry: true),
        Row(error: .headTooLarge, code: "head_too_large", status: 431),
        Row(error: .bodyTooLarge, code: "body_too_large", status: 413),
        Row(error: .badRequest, code: "bad_request", status: 400),
        Row(error: .requestTimeout, code: "request_timeout", status: 408),
        Row(error: .expectationFailed, code: "expectation_failed", status: 417),
        Row(error: .rateLimited, code: "rate_limited", status: 429, mayRetry: true),
        Row(error: .targetTooLong, code: "target_too_long", status: 414),
    ]

    @Test func everyErrorHasTheCodeAndStatusThatAreDocumented() {
        for row in table {
            #expect(row.error.code == row.code)
            #expect(row.error.status == row.status, "\(row.code)")
            #expect(row.error.mayRetry == row.mayRetry, "\(row.code)")
        }
        #expect(table.map(\.error) == ErrorCode.allCases)
    }

    @Test func noTwoErrorsShareACodeAndNoneIsZero() {
        #expect(Set(ErrorCode.allCases.map(\.code)).count == ErrorCode.allCases.count)
        // 0 says "no error" in a frame.
        #expect(ErrorCode(rawValue: 0) == nil)
    }
}
