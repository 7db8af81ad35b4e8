import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    /// One request's worth of CPU time, so that its end comes soon; no quota.
    private static let short = "limits: { cpu_ms: 200, cpu_quota_ms_per_s: 1000000, memory_mb: 64 }"

    static let cpu: [HostileCase] = [
        .worker(1, "endless loop", policy: short, [.get("/", .cpuLimit), .get("/", times: 4, .cpuLimit), .get("/fine", .answers("fine"))])
    ]
}
