import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    private static let rangeErrorOrDone = Outcome.either(.answers("RangeError"), .answers("done"))

    static let stack: [HostileCase] = [
        .worker(
            33, "recursion",
            each(
                "/plain /arguments /constructor /generator /async /mutual /sort /proxy /apply /replace", .answers("RangeError"))),
        .worker(
            34, "native operations at every depth", policy: ample + "\neval: false",
            each(
                "/url /encode /decode /base64 /random /digest /clone /log /timer /headers /json /regexp /intl /date /wasm /import /bigint /error",
                .answers("true true"))),
        .worker(
            35, "deeply nested JSON, arrays, regular expressions and source", policy: limits(cpu: 5000, memory: 128) + "\neval: true",
            loss: .replaced,
            each(
                """
                /parse-arrays /parse-objects /stringify /flat /join /clone /regexp /source-arrays \
                /source-parentheses /source-functions /source-blocks /source-sum /source-chain /source-templates /source-classes /inspect
                """, .either(rangeErrorOrDone, .answers("SyntaxError")))
                // V8 ends the process, or runs into the end of the stack, where its compiler of regular expressions has no way back.
                + each("/regexp-class /lookahead", .memoryLimit)),
        .worker(
            36, "chain of 10⁵ proxies",
            each(
                """
                /get /set /has /call /construct /keys /array /instance /prototype /extensible /prototypes /bound /stringify /inspect /clone
                """, rangeErrorOrDone)),
        .worker(
            37, "deep Error.cause and toJSON",
            each("/throw /cycle /aggregate /reject", .exception) + each("/log /report", .answers("done"))
                + [.get("/to-json", .answers("RangeError")), .get("/to-json-fresh", .answers("done"))]),
        .worker(
            38, "exhaustion inside Error.prepareStackTrace", policy: limits(cpu: 500),
            each("/recursion /throws /again /new-error /frames", .either(.answers("caught"), .cpuLimit))
                + each("/recursion?throw /throws?throw /again?throw /new-error?throw /frames?throw", .exception)
                + each("/loop /memory", .either(.cpuLimit, .memoryLimit))
                + each("/loop?throw /memory?throw", .either(.exception, .either(.cpuLimit, .memoryLimit)))),
    ]
}
