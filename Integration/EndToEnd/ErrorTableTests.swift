import Foundation
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// Each row of the table of errors, from a tenant that earns it.
    @Suite(.serialized) struct ErrorTableTests {
        private func expect(
            _ response: Response, _ status: Int, _ code: String, retryAfter: Bool = false, _ location: SourceLocation = #_sourceLocation
        ) throws {
            #expect(response.status == status, "\(response.text)", sourceLocation: location)
            #expect(response.code == code, "\(response.text)", sourceLocation: location)
            #expect((response.headers["retry-after"] != nil) == retryAfter, sourceLocation: location)
            let body = try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: String]
            #expect(body?["error"] == code && body?["message"]?.isEmpty == false, sourceLocation: location)
            #expect(body?["request_id"] == response.headers["x-request-id"], sourceLocation: location)
        }

        @Test func whatATenantsCodeDoesWrongIsNamed() throws {
            let daemon = try TestDaemon([
                .plain("good"),
                TestTenant("throws", "export default { fetch() { throw new Error('secret detail'); } };"),
                TestTenant("rejects", "export default { async fetch() { await null; throw 'text'; } };"),
                TestTenant("number", "export default { fetch() { return 42; } };"),
                TestTenant("syntax", "export default {\n  fetch( {\n};"),
                TestTenant("toplevel", "throw new Error('at the top');"),
                TestTenant("nohandler", "export const x = 1;"),
                TestTenant("never-loads", "await new Promise(() => {}); export default { fetch() {} };"),
                TestTenant("slow-start", "for (;;) {}", policy: "limits: { startup_cpu_ms: 50 }"),
                TestTenant(
                    "bad-import", "import './part.js'; export default { fetch() {} };", files: ["part.js": "export const x = ;"]),
                TestTenant("outside", "import '../good/worker.js'; export default { fetch() {} };"),
                TestTenant("loop", "export default { fetch() { for (;;) {} } };", policy: "limits: { cpu_ms: 30 }"),
                TestTenant("silent", "export default { fetch() { return new Promise(() => {}); } };", policy: "limits: { wall_ms: 200 }"),
                TestTenant(
                    "hog", "export default { fetch() { const a = []; for (;;) a.push({}); } };",
                    policy: "limits: { memory_mb: 32, cpu_ms: 10000, cpu_quota_ms_per_s: 100000 }"),
            ])
            defer { daemon.end() }
            try expect(try daemon.get("nobody"), 404, "tenant_unknown")
            for tenant in ["throws", "rejects"] { try expect(try daemon.get(tenant), 500, "exception") }
            try expect(try daemon.get("number"), 500, "invalid_response")
            for tenant in ["syntax", "toplevel", "nohandler", "never-loads", "slow-start", "bad-import", "outside"] {
                try expect(try daemon.get(tenant), 500, "startup_failed")
            }
            try expect(try daemon.get("loop"), 503, "cpu_limit")
            try expect(try daemon.get("silent"), 504, "wall_limit")
            try expect(try daemon.get("hog"), 503, "memory_limit")
            // None of them has harmed the neighbour, or the cell.
            #expect(try daemon.get("good").text == "good")
            #expect(try daemon.metric("cloister_cells_lost_total") == 0)
            // What happened is for the owner's log, not for clients.
            let line = try daemon.waitForLog { $0["tenant"] == "throws" && $0["reason"]?.contains("secret detail") == true }
            #expect(line["reason"]?.contains("worker.js:1:") == true && line["request_id"] != nil)
            #expect(try daemon.get("throws").text.contains("secret") == false)
            let syntax = try daemon.waitForLog { $0["tenant"] == "syntax" && $0["reason"]?.contains("SyntaxError") == true }
            #expect(syntax["reason"]?.contains("worker.js:3:") == true, "\(syntax)")
        }

        @Test func theIsolateIsMadeAnewAfterItWentOverALimit() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "mixed",
                    """
                    let count = 0;
                    export default { fetch(request) {
                      if (request.url.endsWith('/loop')) for (;;) {}
                      if (request.url.endsWith('/hog')) { const a = []; for (;;) a.push({}); }
                      return new Response(String(++count));
                    } };
                    """, policy: "limits: { cpu_ms: 2000, memory_mb: 32, cpu_quota_ms_per_s: 100000 }")
            ])
            defer { daemon.end() }
            #expect(try daemon.get("mixed").text == "1")
            #expect(try daemon.get("mixed").text == "2")
            #expect(try daemon.get("mixed", "/hog").code == "memory_limit")
            #expect(try daemon.get("mixed").text == "1")
            #expect(try daemon.get("mixed", "/loop").code == "cpu_limit")
            #expect(try daemon.get("mixed").text == "1")
        }

        @Test func fetchOutwardsIsDeniedAndCounted() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "out",
                    """
                    export default { async fetch() {
                      const codes = [];
                      for (let i = 0; i < 4; i++) {
                        try { await fetch('https://example.com/'); codes.push('none'); } catch (error) { codes.push(`${error.code}`); }
                      }
                      return Response.json(codes);
                    } };
                    """, policy: "limits: { subrequests: 2 }")
            ])
            defer { daemon.end() }
            #expect(try daemon.get("out").text == #"["outbound_denied","outbound_denied","subrequest_limit","subrequest_limit"]"#)
        }

        @Test func aHeapHasWhatItsPolicyAllows() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "large",
                    """
                    export default { fetch(request) {
                      const kept = [];
                      for (let i = 0; i < Number(new URL(request.url).pathname.slice(1)); i++) kept.push(new Array(1 << 20).fill(i));
                      return new Response(String(kept.length));
                    } };
                    """, policy: "limits: { cpu_ms: 20000, memory_mb: 800, cpu_quota_ms_per_s: 100000 }")
            ])
            defer { daemon.end() }
            // Arrays of 8 MiB: above what isolates are made with, and then above what the policy gives.
            #expect(try daemon.get("large", "/80").text == "80")
            #expect(try daemon.get("large", "/120").code == "memory_limit")
        }

        @Test func aFullTenantRefusesAndItsNeighbourDoesNotNotice() throws {
            let daemon = try TestDaemon([
                .plain("good"),
                TestTenant(
                    "busy", "export default { fetch() { return new Promise(() => {}); } };",
                    policy: "limits: { concurrency: 2, queue: 1, wall_ms: 60000 }"),
            ])
            defer { daemon.end() }
            let held = try (0..<3).map { _ in
                let connection = try daemon.connect()
                try connection.request("busy.localhost")
                return connection
            }
            _ = try eventually("two running and one waiting") {
                try daemon.list("/v1/tenants").first { $0["tenant"] as? String == "busy" }.flatMap {
                    $0["in_flight"] as? Int == 2 && $0["queued"] as? Int == 1 ? true : nil
                }
            }
            try expect(try daemon.get("busy"), 429, "tenant_busy", retryAfter: true)
            #expect(try daemon.get("good").text == "good")
            withExtendedLifetime(held) {}
        }

        @Test func aTenantThatUsedUpItsCPUTimeWaitsAndIsThenRefused() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "greedy",
                    "export default { fetch() { let x = 0; for (let i = 0; i < 3e7; i++) x += i; return new Response(String(x)); } };",
                    policy: "limits: { cpu_ms: 100000, cpu_quota_ms_per_s: 10, queue: 0 }")
            ])
            defer { daemon.end() }
            let greedy = try daemon.connect()
            try greedy.request("greedy.localhost")
            _ = try eventually("a refusal") {
                let response = try daemon.get("greedy")
                return response.code == "quota_exceeded" && response.status == 429 && response.headers["retry-after"] != nil ? true : nil
            }
            // What had begun goes on whenever the quota has filled again.
            #expect(try greedy.readResponse().status == 200)
        }

        @Test func anOverloadedMachineSheds() throws {
            let daemon = try TestDaemon(
                [TestTenant("slow", "export default { fetch() { return new Promise(() => {}); } };")],
                configuration: "machine_concurrency: 1\nmachine_queue: 1\ndrain_s: 1\n")
            defer { daemon.end() }
            let held = try (0..<2).map { _ in
                let connection = try daemon.connect()
                try connection.request("slow.localhost")
                return connection
            }
            _ = try eventually("one running and one waiting") {
                try daemon.list("/v1/tenants").first.flatMap { $0["in_flight"] as? Int == 1 && $0["queued"] as? Int == 1 ? true : nil }
            }
            try expect(try daemon.get("slow"), 503, "overloaded", retryAfter: true)
            withExtendedLifetime(held) {}
        }

        @Test func aDrainingDaemonAnswersWhatItHasAndRefusesMore() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "slow",
                    "export default { fetch() { return new Promise((done) => setTimeout(() => done(new Response('done')), 1500)); } };")
            ])
            defer { daemon.end() }
            let early = try daemon.connect()
            let late = try daemon.connect()
            try early.request("slow.localhost")
            // Its head is not complete when the drain begins, so that the connection is kept.
            try late.send("GET / HTTP/1.1\r\nHost: slow.localhost\r\n")
            _ = try eventually("the first request") { try daemon.list("/v1/tenants").first?["in_flight"] as? Int == 1 ? true : nil }
            daemon.signal(SIGTERM)
            _ = try daemon.waitForLog { $0["message"] == "draining" }
            try late.send("\r\n")
            try expect(try late.readResponse(), 503, "draining", retryAfter: true)
            #expect(try early.readResponse().text == "done")
            daemon.process.waitUntilExit()
            #expect(daemon.process.terminationStatus == 0)
        }

        @Test func aRequestThatNeverEndsDoesNotHoldADrainingDaemon() throws {
            let daemon = try TestDaemon(
                [TestTenant("endless", "export default { fetch() { for (;;); } };", policy: "limits: { cpu_ms: 300000, wall_ms: 600000 }")],
                configuration: "drain_s: 1\n")
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.request("endless.localhost")
            _ = try eventually("the loop") { try daemon.list("/v1/tenants").first?["in_flight"] as? Int == 1 ? true : nil }
            daemon.signal(SIGTERM)
            _ = try eventually("the end") { daemon.process.isRunning ? nil : true }
            #expect(daemon.process.terminationStatus == 0)
        }

        @Test func aRequestThatHTTPDoesNotAllowIsRefused() throws {
            let daemon = try TestDaemon([.plain("good", policy: "limits: { request_body_mb: 1 }")])
            defer { daemon.end() }
            try expect(
                try daemon.get("good", headers: ["X-Large": String(repeating: "a", count: 100_000)]), 431, "head_too_large")
            let bad = try daemon.connect()
            try bad.send("GET / HTTP/1.1\r\nHost: good.localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            try expect(try bad.readResponse(), 400, "bad_request")
            #expect(bad.isClosed())
            let announced = try daemon.connect()
            try announced.send("POST / HTTP/1.1\r\nHost: good.localhost\r\nContent-Length: 2000000\r\n\r\n")
            try expect(try announced.readResponse(), 413, "body_too_large")
        }

        @Test func aTenantThatLosesCellsIsSuspendedAndItsNeighbourGoesOn() throws {
            let daemon = try TestDaemon([
                .plain("good"),
                TestTenant(
                    "slow", "export default { async fetch() { await new Promise((done) => setTimeout(done, 60000)); } };",
                    policy: "cordon: private"),
            ])
            defer { daemon.end() }
            var lost = 0
            for _ in 0..<2 {
                let connection = try daemon.connect()
                try connection.request("slow.localhost")
                let pid = try eventually("the private cell") { () -> Int32? in
                    let cell = try daemon.list("/v1/cells").first {
                        ($0["cell"] as? String)?.hasPrefix("private") == true && $0["in_flight"] as? Int == 1
                    }
                    return (cell?["pid"] as? Int).map { Int32($0) }
                }
                // The handler's first turn is over, so that the cell has said that it was entered.
                Thread.sleep(forTimeInterval: 0.3)
                kill(pid, SIGKILL)
                let response = try connection.readResponse()
                try expect(response, 502, "cell_lost")
                lost += 1
            }
            #expect(lost == 2)
            try expect(try daemon.get("slow"), 503, "suspended", retryAfter: true)
            #expect(try daemon.get("good").text == "good")
            let report = try daemon.list("/v1/tenants").first { $0["tenant"] as? String == "slow" }
            #expect(report?["state"] as? String == "suspended")
        }
    }
}
