import Foundation
import IntegrationHarness
import Testing

extension FaultTests {
    /// What becomes of tenants that cost others something.
    @Suite(.serialized) struct Conduct {
        private func report(_ tenant: String, of daemon: TestDaemon) throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Data(try daemon.admin("/v1/tenants/\(tenant)").body)) as? [String: Any] ?? [:]
        }

        /// Memory that V8 cannot refuse to give: the cell is replaced each time.
        private static let killer = TestTenant(
            "killer", "export default { fetch() { return new Response(String([...'.'.repeat(5e8)].length)); } };",
            policy: "limits: { cpu_ms: 60000, cpu_quota_ms_per_s: 1000000, memory_mb: 64, concurrency: 4 }")

        @Test func aTenantThatCostsItsCellEachTimeCostsFewCellsAndNobodyElse() throws {
            let daemon = try TestDaemon([Self.killer, .plain("quiet")], configuration: "drain_s: 5\n")
            defer { daemon.end() }
            #expect(try daemon.get("quiet").text == "quiet")
            let tally = Tally()
            // Clients that ask again and again, whatever they are told.
            onThreads(4) { _ in
                for _ in 0..<50 { tally.add((try? daemon.get("killer").code ?? "ok") ?? "broken") }
            }
            let started = try daemon.metric("cloister_cells_started_total")
            let costly = tally["memory_limit"] + tally["cell_lost"]
            #expect(costly >= 2 && costly + tally["suspended"] == 200, "\(tally.description)")
            // The shared one and its successor, and one for each time that was let out of its suspension.
            #expect((3...10).contains(started) && costly <= 40, "\(started) cells for 200 requests, \(tally.description)")
            let found = try report("killer", of: daemon)
            #expect(found["quarantined"] as? Bool == true && found["quarantine_reason"] as? String == "cell_lost", "\(found)")
            #expect(found["state"] as? String == "suspended" || found["state"] as? String == "quarantined", "\(found)")
            #expect(try daemon.metric("cloister_tenants_quarantined_total{reason=\"cell_lost\"}") == 1)
            #expect(try daemon.get("quiet").text == "quiet")
            #expect(try report("quiet", of: daemon)["quarantined"] as? Bool == false)
        }

        @Test func whoBreaksLimitsAgainAndAgainIsMovedAndComesBackWithANewVersion() throws {
            let policy = "limits: { cpu_ms: 10, cpu_quota_ms_per_s: 1000000 }"
            let loop = "export default { fetch(request) { if (request.url.endsWith('/loop')) for (;;) {} return new Response('fine'); } };"
            let count = "let n = 0; export default { fetch() { return new Response(String(++n)); } };"
            let daemon = try TestDaemon(
                [TestTenant("loop", loop, policy: policy), TestTenant("count", count)],
                configuration: "drain_s: 5\nquarantine_after: 5\n")
            defer { daemon.end() }
            #expect(try daemon.get("count").text == "1")
            for _ in 0..<4 { #expect(try daemon.get("loop", "/loop").code == "cpu_limit") }
            #expect(try report("loop", of: daemon)["cell"] as? String == "standard#0")
            #expect(try daemon.get("loop", "/loop").code == "cpu_limit")
            let found = try eventually("the quarantine") { () -> [String: Any]? in
                let found = try report("loop", of: daemon)
                return found["quarantined"] as? Bool == true ? found : nil
            }
            #expect(found["state"] as? String == "quarantined" && found["quarantine_reason"] as? String == "limits", "\(found)")
            #expect(abs((found["quarantined_at"] as? Double ?? 0) - Date().timeIntervalSince1970) < 600, "\(found)")
            #expect(try daemon.get("loop").text == "fine")
            #expect(try report("loop", of: daemon)["cell"] as? String == "quarantine:loop#0")
            #expect(try daemon.metric("cloister_tenants_quarantined_total{reason=\"limits\"}") == 1)
            // Nobody else noticed: the neighbour has the isolate that it had.
            #expect(try daemon.get("count").text == "2")
            try daemon.write(TestTenant("loop", "// another\n" + loop, policy: policy))
            try daemon.reload()
            #expect(try daemon.get("loop").text == "fine")
            #expect(try report("loop", of: daemon)["cell"] as? String == "standard#0")
            #expect(try report("loop", of: daemon)["quarantined"] as? Bool == false)
        }
    }
}
