import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// What operators do, and what happens to processes.
    @Suite(.serialized) struct LifeTests {
        /// Sends requests over kept connections until it is stopped, and counts every answer.
        private final class Load: @unchecked Sendable {
            let tally = Tally()
            private let stop = Tally()
            private let group = DispatchGroup()

            init(_ daemon: TestDaemon, threads: Int, tenant: @escaping @Sendable (Int) -> String) {
                for thread in 0..<threads {
                    group.enter()
                    Thread {
                        var connection: Connection?
                        var index = thread
                        while self.stop["stop"] == 0 {
                            index += threads
                            do {
                                if connection == nil { connection = try daemon.connect() }
                                self.tally.add("sent")
                                try connection!.request(tenant(index))
                                let response = try connection!.readResponse()
                                self.tally.add(response.status == 200 ? "ok" : response.code ?? "\(response.status)")
                                if response.status == 200 { self.tally.add("body \(response.text)") }
                                if response.headers["connection"] == "close" { connection = nil }
                            } catch {
                                self.tally.add("broken")
                                connection = nil
                            }
                        }
                        self.group.leave()
                    }.start()
                }
            }

            func end() {
                stop.add("stop")
                group.wait()
            }
        }

        @Test func aReloadUnderLoadLosesNothingAndBringsTheNewVersion() throws {
            let daemon = try TestDaemon([TestTenant("app", "export default { fetch() { return new Response('v1'); } };")])
            defer { daemon.end() }
            #expect(try daemon.get("app").text == "v1")
            let load = Load(daemon, threads: 4) { _ in "app.localhost" }
            for version in 2...5 {
                Thread.sleep(forTimeInterval: 0.2)
                try daemon.write(TestTenant("app", "export default { fetch() { return new Response('v\(version)'); } };"))
                try daemon.reload()
                #expect(try daemon.get("app").text == "v\(version)")
            }
            load.end()
            #expect(load.tally["broken"] == 0 && load.tally["ok"] == load.tally["sent"], "\(load.tally.description)")
            for version in 1...4 { #expect(load.tally["body v\(version)"] > 0, "\(load.tally.description)") }
        }

        @Test func aPolicyThatFailsLeavesTheOldOneInForceAndTheOthersAlone() throws {
            let daemon = try TestDaemon([.plain("a"), .plain("b")])
            defer { daemon.end() }
            try daemon.writePolicy("a", "tenant: a\nmain: ../bundles/a/worker.js\nlimits: { cpu_ms: 0 }\n")
            try daemon.removePolicy("b")
            try daemon.write(.plain("c"))
            try daemon.reload()
            #expect(try daemon.get("a").text == "a")
            #expect(try daemon.get("b").code == "tenant_unknown")
            #expect(try daemon.get("c").text == "c")
            let errors = try daemon.list("/v1/tenants").first { $0["tenant"] as? String == "a" }?["errors"] as? [String]
            #expect(errors?.first?.contains("a.yaml:3:19: 'cpu_ms' is 0; it must be 1 to 300000") == true, "\(errors ?? [])")
        }

        @Test func aKilledCellIsReplacedAndEachRequestIsAnsweredOnce() throws {
            let daemon = try TestDaemon([
                .plain("quick"),
                TestTenant(
                    "slow",
                    "export default { async fetch() { await new Promise((d) => setTimeout(d, 20)); return new Response('slow'); } };"),
            ])
            defer { daemon.end() }
            #expect(try daemon.get("quick").text == "quick")
            let load = Load(daemon, threads: 6) { $0 % 2 == 0 ? "quick.localhost" : "slow.localhost" }
            for _ in 0..<3 {
                Thread.sleep(forTimeInterval: 0.4)
                let pid = try eventually("a cell") { try daemon.cells().first }
                kill(pid, SIGKILL)
                _ = try eventually("another cell") { try daemon.cells().first.flatMap { $0 != pid ? $0 : nil } }
            }
            Thread.sleep(forTimeInterval: 0.2)
            load.end()
            // Suspension of the tenant that lost cells is a defined answer too; nothing hangs, nothing breaks, nothing comes twice.
            let answered = load.tally["ok"] + load.tally["cell_lost"] + load.tally["suspended"] + load.tally["overloaded"]
            #expect(load.tally["broken"] == 0 && answered == load.tally["sent"], "\(load.tally.description)")
            #expect(load.tally["ok"] > 0)
            #expect(try daemon.metric("cloister_cells_lost_total") >= 3)
            // It may have been under way in two of the lost cells: a suspension ends.
            _ = try eventually("the tenant to be served again") { try daemon.get("quick").text == "quick" ? true : nil }
        }

        @Test func noCellOutlivesADaemonThatIsKilled() throws {
            let daemon = try TestDaemon([.plain("a"), .plain("p", policy: "cordon: private")])
            defer { daemon.end() }
            #expect(try daemon.get("a").status == 200)
            #expect(try daemon.get("p").status == 200)
            let pids = try daemon.cells()
            #expect(pids.count == 2)
            kill(daemon.process.processIdentifier, SIGKILL)
            daemon.process.waitUntilExit()
            _ = try eventually("the cells to end") { pids.allSatisfy { kill($0, 0) != 0 } ? true : nil }
        }

        @Test func cellsAreSealedAsSeenFromOutside() throws {
            let daemon = try TestDaemon([.plain("a"), .plain("h", policy: "cordon: hostile")], workers: 2)
            defer { daemon.end() }
            #expect(try daemon.get("a").status == 200)
            #expect(try daemon.get("h").status == 200)
            let pids = try daemon.cells()
            #expect(pids.count == 2)
            for pid in pids {
                #expect(TestDaemon.statusField(pid, "NoNewPrivs") == "1")
                #expect(TestDaemon.statusField(pid, "Seccomp") == "2")
                for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                    #expect(TestDaemon.statusField(pid, set) == "0000000000000000")
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/root") == [])
                #expect(Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) == ["0", "1", "2", "3", "4"])
            }
            #expect(try daemon.list("/v1/cells").allSatisfy { $0["sandboxed"] as? Bool == true })
        }

        @Test func tenantsOfDifferentCordonsDoNotShareACell() throws {
            let names = ["a", "b"].flatMap { name in
                [
                    TestTenant.plain("std-\(name)"), .plain("priv-\(name)", policy: "cordon: private"),
                    .plain("host-\(name)", policy: "cordon: hostile"),
                    .plain("trust-\(name)", policy: "cordon: trusted"),
                ]
            }
            let daemon = try TestDaemon(names)
            defer { daemon.end() }
            for tenant in names { #expect(try daemon.get(tenant.name).text == tenant.name) }
            let cells = Dictionary(
                uniqueKeysWithValues: try daemon.list("/v1/tenants").map { ($0["tenant"] as! String, $0["cell"] as? String ?? "") })
            #expect(cells["std-a"] == cells["std-b"] && cells["host-a"] == cells["host-b"] && cells["trust-a"] == cells["trust-b"])
            #expect(Set(cells.values).count == 5, "\(cells)")
        }

        @Test func aHostileTenantHasNoWebAssembly() throws {
            let source = "export default { fetch() { return new Response(typeof WebAssembly); } };"
            let daemon = try TestDaemon([TestTenant("std", source), TestTenant("host", source, policy: "cordon: hostile")])
            defer { daemon.end() }
            #expect(try daemon.get("std").text == "object")
            #expect(try daemon.get("host").text == "undefined")
        }

        @Test func modulesOfTheBundleCanBeImported() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "mods",
                    """
                    import { twice } from './lib/twice.js';
                    import data from './data.json';
                    import text from './note.txt';
                    const ready = await Promise.resolve('top-level');
                    export default { async fetch() {
                      const late = await import('./lib/late.js');
                      let outside = 'none';
                      try { await import('node:fs'); } catch (error) { outside = error.message; }
                      return Response.json([twice(21), data.k, text, late.default, ready, outside]);
                    } };
                    """,
                    files: ["data.json": "{\"k\":[1,2]}", "note.txt": "caf\u{e9}", "twice.js": "unused"])
            ])
            defer { daemon.end() }
            let lib = daemon.folder.appendingPathComponent("bundles/mods/lib")
            try FileManager.default.createDirectory(at: lib, withIntermediateDirectories: true)
            try "import './late.js'; export const twice = (x) => 2 * x;".write(
                to: lib.appendingPathComponent("twice.js"), atomically: true, encoding: .utf8)
            try "import { twice } from './twice.js'; export default 'late';".write(
                to: lib.appendingPathComponent("late.js"), atomically: true, encoding: .utf8)
            try daemon.reload()
            let seen = try JSONSerialization.jsonObject(with: Data(try daemon.get("mods").body)) as! [Any]
            #expect(
                seen[0] as? Int == 42 && seen[1] as? [Int] == [1, 2] && seen[2] as? String == "caf\u{e9}" && seen[3] as? String == "late")
            #expect(seen[4] as? String == "top-level" && (seen[5] as? String)?.contains("only relative paths") == true)
        }

        @Test func theProbesTheMetricsAndTheLogTellWhatHappened() throws {
            let daemon = try TestDaemon([
                TestTenant("talks", "export default { fetch() { console.log('said', { a: 1 }); return new Response('x'); } };")
            ])
            defer { daemon.end() }
            #expect(try daemon.admin("/healthz").status == 200)
            #expect(try daemon.admin("/readyz").status == 200)
            #expect(try daemon.get("talks").status == 200)
            let line = try daemon.waitForLog { $0["tenant"] == "talks" && $0["message"] == "said { a: 1 }" }
            #expect(line["request_id"]?.count == 16)
            #expect(try daemon.metric("cloister_requests_total{tenant=\"talks\",outcome=\"ok\"}") == 1)
            _ = try eventually("the cell's report") { try daemon.metric("cloister_isolates{cell=\"standard#0\"}") == 1 ? true : nil }
            #expect(try daemon.metric("cloister_cell_memory_bytes{cell=\"standard#0\"}") > 1_000_000)
        }

        @Test func validateNamesEveryErrorWithItsPlace() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-validate-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try "tenant: UPPER\nmain: missing.js\nlimts: {}\n".write(
                to: folder.appendingPathComponent("bad.yaml"), atomically: true, encoding: .utf8)
            let (status, output) = try run("validate", "--policies", folder.path)
            #expect(status == 78)
            for expected in [
                "bad.yaml:1:9: 'UPPER' is not a tenant's name", "bad.yaml:2:7: the main module does not exist",
                "bad.yaml:3:1: unknown key 'limts'; did you mean 'limits'?",
            ] {
                #expect(output.contains(expected), "\(output)")
            }
        }

        @Test func selfcheckProvesEveryMeasure() throws {
            let (status, output) = try run("selfcheck", "--json")
            #expect(status == 0, "\(output)")
            let report = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
            #expect(report["isProved"] as? Bool == true)
            let results = try #require(report["measures"] as? [[String: String]]).map { $0["result"] }
            #expect(results.count > 100 && !results.contains("MISSING"))
        }

        private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
            let process = Process()
            let pipe = Pipe()
            process.executableURL = TestDaemon.binaries.appendingPathComponent("cloisterd")
            process.arguments = arguments
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: output, as: UTF8.self))
        }
    }
}
