import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    static let tenants: [HostileCase] = [
        .scene(46, "polluted prototypes", pollution),
        .worker(
            47, "the same tenant's next request", policy: limits(cpu: 200),
            [
                .get("/", .answers("1 clean")), .get("/pollute", .answers("2 by the tenant itself")),
                .get("/", .answers("3 by the tenant itself")), .get("/loop", .cpuLimit), .get("/", .answers("1 clean")),
            ]),
        .scene(48, "Proxy traps that throw or never end", policy: limits(cpu: 200), proxyTraps),
        .scene(49, "buffers detached while native code has them", detachedBuffers),
        .scene(50, "disposal during a callback", policy: limits(cpu: 20000, more: "wall_ms: 3000"), disposal),
        .worker(
            51, "hijacked thenables, species and Symbol.hasInstance", policy: limits(cpu: 300),
            [
                .get("/thenable", .answers("first")), .get("/thenable-self", .either(.cpuLimit, .exception)),
                .get("/instance", .refused(500, "invalid_response")), .get("/prototype", .refused(500, "invalid_response")),
                .get("/set-prototype", .refused(500, "invalid_response")), .get("/proxied", .refused(500, "invalid_response")),
                .get("/subclass", .answers("subclass")), .get("/species", .answers("species")),
                .get("/constructor", .exception), .get("/capability", .answers("capability")),
                .get("/then", .answers("then")), .get("/iterator", .either(.answers("iterator"), .exception)),
                .get("/exec", .answers("exec")),
                .get("/map", .answers("map")),
            ]),
        .worker(
            52, "errors with hostile getters on the way to the log", policy: limits(cpu: 300), loss: .replaced,
            each(
                "/loop?throw /throw?throw /recursion?throw /exit?throw /loop /throw /recursion /exit /loop?proxy /throw?proxy /exit?proxy",
                .either(.exception, .cpuLimit))
                + each(
                    "/throw?log /exit?log /throw?reject /exit?reject /throw?timer /exit?timer", .answers("done"))
                + each("/loop?log /loop?reject /loop?timer /recursion?log /recursion?reject", .either(.answers("done"), .cpuLimit))),
        .worker(53, "malformed structured clones", [.get("/", .answers("refused allowed"))]),
        .worker(54, "code from strings", [.get("/", .answers("32 tried, ran: none"))]),
        .scene(55, "imports from elsewhere, in cycles, of 10⁵ modules", policy: limits(cpu: 20000), imports),
        .worker(56, "differences of clocks", [.get("/", .answers("frozen true false"))]),
        .worker(
            57, "hash flooding", policy: limits(cpu: 2000, memory: 128),
            ["strings", "doubles"].flatMap { keys in
                each("/\(keys)/object /\(keys)/map /\(keys)/set /\(keys)/json", .answers("true"))
            } + [.get("/strings/headers", .answers("true"))]
                // Array indices are hashed without the seed: whoever makes them collide uses up his own CPU time.
                + each("/indices/object /indices/map /indices/json", .either(.answers("true"), .cpuLimit))),
        .scene(58, "names made to look like another's", falseNames),
    ]

    // MARK: 46

    private static let pollution: @Sendable (HostileStage) throws -> Void = { stage in
        try stage.take(.get("/spoil", .answers("spoilt")))
        // Made after everything was spoilt, in the same cell.
        let next = TestTenant(
            "case-46-next",
            """
            const names = Object.getOwnPropertyNames(Object.prototype);
            export default { fetch() {
              const found = [{}, [], () => {}, Promise, Response, new Map(), new Error()].filter((o) => o.polluted !== undefined).length;
              return Response.json([found, typeof [].push, typeof Promise.prototype.then, `${{}}`, names.includes('polluted')]);
            } };
            """, policy: "snapshot: off")
        try stage.add(next)
        defer { try? stage.remove(next.name) }
        #expect(try stage.daemon.get(next.name).text == #"[0,"function","function","[object Object]",false]"#)
        #expect(try stage.cell(of: next.name) == stage.cell(of: stage.neighbour.name))
    }

    // MARK: 48

    private static let proxyTraps: @Sendable (HostileStage) throws -> Void = { stage in
        try stage.take(.get("/throw", .answers("alive ")))
        let readers =
            "headers headers-pairs response-init request-init search url event decode-options blob clone stream stringify json digest base64"
            + " assign concat format"
        for reader in readers.split(separator: " ") {
            let response = try stage.get("/loop/\(reader)")
            let isSafe = [Outcome.cpuLimit, .exception, .answers("was not called")].contains { $0.isMet(by: response) }
            #expect(isSafe, "\(stage.hostile), \(reader): \(response.status) \(response.text)")
        }
    }

    // MARK: 49

    private static let detachedBuffers: @Sendable (HostileStage) throws -> Void = { stage in
        for _ in 0..<5 { try stage.take(.get("/", .answers("true"))) }
        // A body of which the bytes are gone breaks off, or is none; it never holds anybody's memory.
        for _ in 0..<5 {
            let body = (try? stage.get("/body").body) ?? []
            #expect(body.allSatisfy { $0 == 97 || $0 < 128 } && body.count <= 1 << 16)
        }
    }

    // MARK: 50

    private static let disposal: @Sendable (HostileStage) throws -> Void = { stage in
        for round in 0..<3 {
            let streams = try (0..<3).map { _ in
                let connection = try stage.daemon.connect()
                try connection.request("\(stage.offender).localhost", "/stream")
                return connection
            }
            let endless = try stage.daemon.connect()
            try endless.request("\(stage.offender).localhost", "/endless")
            _ = try endless.readHead()
            #expect(try stage.get("/wait-until").text == "answered")
            switch round {
            case 0:
                // Its isolate is busy: it stays until it is not.
                #expect(try stage.daemon.admin("/v1/evict?tenant=\(stage.offender)", method: "POST").status == 200)
            case 1: try stage.install(files: ["version.txt": "\(round)"])
            default: #expect(try stage.daemon.admin("/v1/evict?tenant=\(stage.offender)", method: "POST").status == 200)
            }
            #expect(try stage.get("/fine").text == "fine")
            // What had begun goes on to its end in the isolate that it began in.
            for connection in streams { #expect(try connection.readResponse().body.count == 60_000) }
        }
        #expect(try stage.get("/fine").text == "fine")
    }

    // MARK: 55

    private static let imports: @Sendable (HostileStage) throws -> Void = { stage in
        let cycle = [
            "a.js": "import { other } from './b.js'; export const value = () => other() + 1;",
            "b.js": "import * as a from './a.js'; import { self } from './c.js'; export const other = () => typeof a.value + self();",
            "c.js": "import * as me from './c.js'; export const self = () => me.self.name;",
        ]
        try stage.install(files: cycle)
        try stage.take(.get("/", .answers("none")))
        try stage.take(.get("/cycle", .answers("functionself1")))
        try stage.take(.get("/modules", .answers("100000")))
        // Before the top level, too.
        for specifier in ["file:///etc/passwd", "data:text/javascript,1", "../../neighbour-standard/worker.js", "./a\\0.js"] {
            try stage.install(source: "import '\(specifier)'; export default { fetch() {} };", files: cycle)
            try stage.take(.get("/", .startupFailed))
        }
        // A bundle of 10⁵ modules does not load; the tenant's former version stays, and nobody else notices.
        try stage.install(source: "export default { fetch: () => new Response('before') };")
        let folder = stage.daemon.folder.appendingPathComponent("bundles/\(stage.offender)")
        for index in 0..<100_000 {
            let file = open(folder.appendingPathComponent("m\(index).js").path, O_WRONLY | O_CREAT, 0o600)
            #expect(file >= 0)
            close(file)
        }
        try stage.daemon.reload()
        try stage.take(.get("/", .answers("before")))
        #expect((try stage.report()["errors"] as? [String])?.isEmpty == false)
    }

    // MARK: 58

    private static let falseNames: @Sendable (HostileStage) throws -> Void = { stage in
        let name = stage.neighbour.name
        // What the tenant says of itself is only text.
        let answer = try stage.get("/?name=\(name)")
        #expect(answer.status == 200 && answer.text == name)
        #expect(answer.code == nil && answer.headers["x-request-id"] != "0000000000000001")
        // Every line that it made stands under its own name.
        let lines = try eventually("the log lines") { () -> [[String: String]]? in
            let found = stage.daemon.logLines.filter { line in line.values.contains { $0.contains("forged") } }
            return found.count >= 2 ? found : nil
        }
        #expect(lines.allSatisfy { $0["tenant"] == stage.offender && $0["message"] != "forged" }, "\(lines)")
        #expect(stage.daemon.logLines.allSatisfy { $0["tenant"] != name || $0["logger"] != "tenant" })
        // A host that is nearly the neighbour's is the neighbour's, by the rules of host names, or nobody's; never the offender's choice.
        for host in [
            "\(name)@\(stage.offender).localhost", "\(stage.offender).localhost/\(name)", "\(stage.offender)..localhost",
            "\(name)\u{200b}.localhost",
        ] {
            let connection = try stage.daemon.connect()
            try connection.request(host)
            let response = try connection.readResponse()
            #expect([400, 404].contains(response.status), "\(host): \(response.status) \(response.text)")
        }
        for field in ["X-Forwarded-Host", "Forwarded", "X-Original-Host", "cloister-tenant", "X-Tenant"] {
            #expect(try stage.get("/?name=x", headers: [field: "\(name).localhost"]).text == "x")
        }
        // A policy that claims the neighbour's name or host changes nothing for it.
        try stage.daemon.writePolicy("zz-claim", "tenant: \(name)\nmain: ../bundles/\(stage.offender)/worker.js\n")
        try stage.daemon.writePolicy(
            "zz-host", "tenant: zz-host\nhosts: [\(name).localhost]\nmain: ../bundles/\(stage.offender)/worker.js\n")
        try stage.daemon.reload()
        try stage.neighbour.awaitAnswers(3)
        for policy in ["zz-claim", "zz-host"] { try stage.daemon.removePolicy(policy) }
        try stage.daemon.reload()
    }
}
