import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    /// CPU time that is soon used up; no quota.
    private static let short = limits(cpu: 200)

    static let cpu: [HostileCase] = [
        .worker(
            1, "endless loop", policy: short,
            [.get("/", .cpuLimit), .get("/", times: 4, .cpuLimit), .get("/fine", .answers("fine"))]),
        .worker(2, "endless loops in finally", policy: short, each("/once /again /generator /async", .cpuLimit)),
        .worker(3, "catch that swallows the termination", policy: short, each("/catch /promise /proxy /sort /error-event", .cpuLimit)),
        .worker(
            4, "recursion through getters and toString", policy: short,
            each("/to-string /getter /value-of /to-json /to-primitive", .answers("RangeError")) + [.get("/all", .cpuLimit)]),
        .worker(
            5, "endless generator", policy: short,
            each("/for-of /for-await /set /delegated", .cpuLimit)
                + each("/spread /from /destructuring /promise-all", .either(.cpuLimit, .memoryLimit)) + [.get("/map", .exception)]),
        .worker(
            6, "backtracking regular expressions", policy: short,
            each("/test /alternatives /sticky /unicode /replace /split /backreference", .cpuLimit)),
        .worker(
            7, "regular expressions over 100 MB", policy: limits(cpu: 300, memory: 512), loss: .replaced,
            [.get("/fine", .answers("false"))] + each("/matches /every", .cpuLimit)
                + each("/all-at-once /split", .either(.cpuLimit, .memoryLimit)) + [.get("/fine", .answers("false"))]),
        .worker(
            8, "JSON.parse of 100 MB", policy: limits(cpu: 1500, memory: 512), loss: .replaced,
            [.get("/string", .answers("100000000")), .get("/malformed", .answers("SyntaxError"))]
                + each("/array /objects", .either(.cpuLimit, .memoryLimit))),
        .worker(
            9, "sort of ten million", policy: limits(cpu: 300, memory: 512), loss: .replaced,
            each("/numbers /compared /typed /inconsistent", .cpuLimit)),
        .worker(
            10, "huge array-likes", policy: short, loss: .replaced,
            [
                .get("/apply", .exception), .get("/typed-from", .exception), .get("/sparse-fill", .either(.memoryLimit, .cpuLimit)),
                .get("/includes", .cpuLimit), .get("/reverse", .cpuLimit),
            ]),
        .worker(
            11, "BigInt of 100 million digits", policy: short, loss: .replaced,
            [.get("/too-large", .answers("RangeError"))]
                + each("/multiply /power /print /parse /divide", .either(.cpuLimit, .memoryLimit))),
        .worker(
            12, "replaceAll and join bombs", policy: limits(cpu: 2000), loss: .replaced,
            [.get("/too-long", .answers("RangeError"))]
                + each("/join /pad /flatten /concat /replace-all-empty", .memoryLimit)
                // Ropes and runs of one text: large only for those who look inside.
                + [.get("/replace-all", .answers("200000000")), .get("/join-nothing", .answers("199999998"))]
                + [.get("/dollar", .answers("268435456"))]),
        .worker(
            13, "endless WebAssembly", policy: short, [.get("/loop", .cpuLimit), .get("/recurse", .answers("RangeError"))]),
        .scene(14, "promise chains that go on after the timeout", policy: short, promiseChains),
        .worker(
            15, "eval of 400 MB of source", policy: limits(cpu: 1000) + "\neval: true",
            [.get("/small", .answers("2"))] + each("/eval /function /nested /string", .answers("EvalError"))),
        .scene(16, "endless top level, endless top-level await", policy: limits(cpu: 200, more: "startup_cpu_ms: 200"), endlessTopLevels),
    ]

    private static let promiseChains: @Sendable (HostileStage) throws -> Void = { stage in
        try stage.take(.get("/cpu", .cpuLimit))
        // The isolate went with what was queued in it.
        try stage.take(.get("/steps", .answers("0")))
        try stage.take(.get("/wait-until", .answers("answered")))
        _ = try eventually("the end of what waitUntil was given") {
            try stage.report()["in_flight"] as? Int == 0 ? true : nil
        }
        try stage.take(.get("/answered", .answers("answered")))
        // Timers end with their request: nobody goes on counting.
        _ = try eventually("the count to stand still") { () -> Bool? in
            let before = try stage.get("/steps").text
            Thread.sleep(forTimeInterval: 0.05)
            return before == (try stage.get("/steps").text) ? true : nil
        }
    }

    private static let endlessTopLevels: @Sendable (HostileStage) throws -> Void = { stage in
        for mode in ["loop", "await", "microtasks", "unawaited", "chain", "timers", "import"] {
            try stage.install(files: ["mode.txt": mode, "endless.js": "for (;;);"])
            try stage.take(.get("/", mode == "timers" ? .either(.startupFailed, .wallLimit) : .startupFailed))
        }
        try stage.install(files: ["mode.txt": "none"])
        try stage.take(.get("/", .answers("loaded")))
    }
}
