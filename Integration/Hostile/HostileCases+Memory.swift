import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    static let memory: [HostileCase] = [
        .worker(
            17, "push loop", policy: limits(cpu: 5000), loss: .replaced,
            // What is pushed to the front moves all the rest each time.
            each("/objects /numbers /doubles /keys /later", .memoryLimit)
                + [.get("/unshift", .either(.memoryLimit, .cpuLimit))]),
        .worker(
            18, "spread of a string of 10⁹", loss: .allowed,
            [.get("/billion", .answers("RangeError"))]
                + each("/half /arguments /from /split", .either(.memoryLimit, .answers("RangeError")))),
        .worker(
            19, "Array(10⁹).fill()", loss: .replaced,
            each("/fill /fill-value /from /keys /object", .either(.memoryLimit, .answers("RangeError")))),
        .worker(20, "copy of an array of 100 million", loss: .allowed, each("/slice /spread /concat /map /clone", .memoryLimit)),
        .worker(21, "ArrayBuffer loop", [.get("/", .answers("RangeError true")), .get("/", .answers("RangeError true"))]),
        .worker(
            22, "tiny typed arrays at the quota",
            [.get("/some", .answers("64")), .get("/buffers", .memoryLimit), .get("/", .either(.memoryLimit, .exception))]),
        .worker(
            23, "resizable ArrayBuffer",
            [.get("/", .either(.answers("fixed RangeError"), .answers("RangeError RangeError")))]),
        .worker(
            24, "WebAssembly memory grown from JavaScript and from inside",
            [.get("/outside", .answers("RangeError true")), .get("/inside", .answers("true -1"))]),
        .worker(
            25, "10,000 WebAssembly memories, modules that are kept", policy: limits(cpu: 2000),
            each("/one /large /empty", .either(.answers("RangeError"), .memoryLimit))
                + [
                    .get("/modules", times: 4, .answers("200 more")), .get("/modules", .memoryLimit),
                    .get("/modules", .answers("200 more")), .get("/garbage", .answers("2500 that nobody keeps")),
                ]),
        .worker(
            26, "WebAssembly tables at their maximum", loss: .replaced,
            [.get("/beyond", .answers("RangeError")), .get("/maximum", .either(.memoryLimit, .answers("10000000")))]
                + each("/grow /many", .either(.memoryLimit, .answers("RangeError")))),
        .worker(
            27, "string doubling", loss: .replaced,
            [.get("/rope", .answers("RangeError"))] + each("/flat /two-byte /template", .either(.memoryLimit, .exception))),
        .worker(
            28, "leaks through Map, Symbol, closures", policy: limits(cpu: 2000),
            each("/map /set /symbol /symbol-for /closure /weak /listener /regexp", .either(.memoryLimit, .cpuLimit))),
        .worker(
            29, "many contexts", policy: limits(cpu: 500) + "\neval: true",
            [.get("/ways", .answers("none")), .get("/functions", .either(.memoryLimit, .cpuLimit))]),
        .worker(
            30, "JSON near the limit", loss: .replaced,
            each("/stringify /parse /reviver /indent /response", .either(.memoryLimit, .exception))),
        .worker(
            31, "collections all the time just below the limit", policy: limits(cpu: 500),
            each("/?keep=40 /?keep=58 /objects?keep=40", .either(.cpuLimit, .memoryLimit))),
        .worker(
            32, "leaks through streams", policy: limits(cpu: 5000),
            each("/enqueue /objects /write /tee /transform /clone /pipes", .either(.memoryLimit, .exception))),
    ]
}
