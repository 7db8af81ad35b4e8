import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// Many tenants on few threads.
    @Suite(.serialized) struct SharingTests {
        @Test(arguments: [1, 2]) func endlessLoopsDoNotStopAHundredOthers(workers: Int) throws {
            let loops = (0..<2).map {
                TestTenant(
                    "loop\($0)", "export default { fetch() { for (;;) {} } };",
                    policy: "limits: { cpu_ms: 300000, wall_ms: 600000, cpu_quota_ms_per_s: 1000000 }")
            }
            let others = (0..<100).map { TestTenant.plain("t\($0)") }
            let daemon = try TestDaemon(loops + others, workers: workers)
            defer { daemon.end() }
            // Loops on every worker, held open.
            let held = try (0..<2 * workers).map { index in
                let connection = try daemon.connect()
                try connection.request("loop\(index % 2).localhost")
                return connection
            }
            _ = try eventually("the loops to run") {
                try daemon.list("/v1/cells").first?["in_flight"] as? Int == 2 * workers ? true : nil
            }
            let tally = Tally()
            onThreads(10) { thread in
                for index in 0..<10 {
                    let name = "t\(thread * 10 + index)"
                    let response = try? daemon.get(name)
                    tally.add(response?.status == 200 && response?.text == name ? "right" : "wrong")
                }
            }
            #expect(tally["right"] == 100, "\(tally.description)")
            _ = try eventually("preemptions to be reported") {
                (try daemon.list("/v1/cells").first?["preemptions"] as? Int ?? 0) > 50 ? true : nil
            }
            withExtendedLifetime(held) {}
        }

        @Test func twoHundredTenantsAtOnceEachGetTheirOwnAnswer() throws {
            let tenants = (0..<200).map { index in
                TestTenant(
                    "t\(index)",
                    "let n = 0; globalThis.mine = '\(index)'; export default { fetch() { n++; return new Response(`${mine}`); } };")
            }
            let daemon = try TestDaemon(tenants, workers: 2)
            defer { daemon.end() }
            let tally = Tally()
            onThreads(20) { thread in
                guard let connection = try? daemon.connect() else { return tally.add("no connection") }
                for round in 0..<20 {
                    let index = (thread * 10 + round * 7) % 200
                    try? connection.request("t\(index).localhost")
                    tally.add((try? connection.readResponse().text) == "\(index)" ? "right" : "wrong")
                }
            }
            onThreads(20) { thread in
                for index in (thread * 10)..<(thread * 10 + 10) {
                    tally.add((try? daemon.get("t\(index)").text) == "\(index)" ? "right" : "wrong")
                }
            }
            #expect(tally["right"] == 600, "\(tally.description)")
            _ = try eventually("200 isolates to be reported") {
                (try daemon.list("/v1/cells").reduce(0) { $0 + ($1["isolates"] as? Int ?? 0) }) == 200 ? true : nil
            }
        }

        @Test func tenantsSpreadOverCellsAndAllCellsAreReplacedWithoutALostRequest() throws {
            let daemon = try TestDaemon(
                (0..<12).map { .plain("t\($0)") }, configuration: "isolates_per_cell: 4\ndrain_s: 5\n", workers: 1)
            defer { daemon.end() }
            for index in 0..<12 { #expect(try daemon.get("t\(index)").text == "t\(index)") }
            let before = try daemon.cells()
            #expect(before.count == 3)
            let tally = Tally()
            onThreads(4) { thread in
                if thread == 0 {
                    let replaced = try? daemon.admin("/v1/cells/replace", method: "POST")
                    tally.add("replaced \(replaced?.status ?? 0)")
                    return tally.add("stop")
                }
                guard let connection = try? daemon.connect() else { return tally.add("no connection") }
                var index = thread
                while tally["stop"] == 0 {
                    index += 1
                    try? connection.request("t\(index % 12).localhost")
                    tally.add((try? connection.readResponse().text) == "t\(index % 12)" ? "right" : "wrong")
                }
            }
            #expect(tally["replaced 200"] == 1 && tally["wrong"] == 0 && tally["right"] > 0, "\(tally.description)")
            let after = try eventually("the old cells' end") { () -> [Int32]? in
                let cells = try daemon.cells()
                return cells.count == 3 ? cells : nil
            }
            #expect(Set(before).isDisjoint(with: after))
            // A process leaves the list when it is told to end, and the table when it has been reaped.
            for pid in before { _ = try eventually("\(pid) to be gone") { kill(pid, 0) != 0 ? true : nil } }
        }

        @Test func timeStandsStillDuringATurn() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "clock",
                    """
                    export default { async fetch() {
                      const a = Date.now(), b = performance.now();
                      for (let i = 0, x = 0; i < 2e7; i++) x += i;
                      const still = Date.now() === a && performance.now() === b;
                      await new Promise((done) => setTimeout(done, 20));
                      return Response.json([still, Date.now() > a, typeof SharedArrayBuffer, Math.abs(Date.now() - a) < 60000]);
                    } };
                    """, policy: "limits: { cpu_ms: 10000 }")
            ])
            defer { daemon.end() }
            #expect(try daemon.get("clock").text == #"[true,true,"undefined",true]"#)
        }

        @Test func theRuntimeOfOneTenantIsNotAnothers() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "evil",
                    "Object.prototype.polluted = 1; Array.prototype.push = null; export default { fetch() { return new Response('e'); } };"),
                TestTenant("clean", "export default { fetch() { return Response.json([({}).polluted ?? null, typeof [].push]); } };"),
            ])
            defer { daemon.end() }
            #expect(try daemon.get("evil").text == "e")
            #expect(try daemon.get("clean").text == #"[null,"function"]"#)
        }

        @Test func codeFromStringsIsOffUnlessThePolicyAllowsIt() throws {
            let source = """
                export default { fetch() {
                  const attempts = [() => eval('1'), () => new Function('return 1')(), () => (async () => {}).constructor('return 1')];
                  return Response.json(attempts.map((f) => { try { f(); return 'ran'; } catch (e) { return e.name; } }));
                } };
                """
            let daemon = try TestDaemon([TestTenant("off", source), TestTenant("on", source, policy: "eval: true")])
            defer { daemon.end() }
            #expect(try daemon.get("off").text == #"["EvalError","EvalError","EvalError"]"#)
            #expect(try daemon.get("on").text == #"["ran","ran","ran"]"#)
        }
    }
}
