import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    private static let short = limits(cpu: 200)
    private static let brief = limits(cpu: 20000, more: "wall_ms: 400")

    static let asynchronous: [HostileCase] = [
        .worker(
            39, "microtask that queues itself", policy: short,
            // Those that do not keep the handler waiting may be answered before the limit is reached; then their isolate ends all the same.
            each("/async /thenable", .cpuLimit)
                + each(
                    "/queue /promise /two",
                    .either(.either(.cpuLimit, .memoryLimit), .answers("it may be answered before the limit is reached")))),
        .worker(
            40, "a million timers, intervals of 0", policy: limits(cpu: 200, more: "wall_ms: 5000"),
            [.get("/million", .answers("QuotaExceededError 10000")), .get("/interval", .answers("true")), .get("/fired", .answers("0"))]
                + [.get("/busy", .cpuLimit), .get("/chain", .either(.cpuLimit, .wallLimit)), .get("/fired", .answers("0"))]),
        .worker(
            41, "a response that never comes", policy: brief,
            each("/pending /thenable /timers", .wallLimit) + [.post("/body", "text", .wallLimit), .get("/pending", times: 10, .wallLimit)]),
        .worker(
            42, "flood of unhandled rejections", policy: limits(cpu: 2000),
            each("/flood /kept /handled-later /from-handler", .answers("done")) + [.get("/endless", .either(.cpuLimit, .memoryLimit))]),
        .worker(
            43, "finalizers that register again", policy: limits(cpu: 1000, more: "wall_ms: 3000"),
            each("/again /throw", .either(.answers("done"), .either(.cpuLimit, .wallLimit)))
                + [.get("/loop", .either(.answers("done"), .cpuLimit))]),
        .worker(44, "Atomics.wait", [.get("/", .answers("throws true"))]),
        .worker(45, "a million Atomics.waitAsync", [.get("/", .answers("throws true after 0"))]),
    ]
}
