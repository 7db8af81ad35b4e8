import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// What is wrong with a tenant's code or its policy is told, and stays its own affair.
    @Suite struct TenantCodeTests {
        @Test func aFileThatCannotBeReadFailsItsImportAndNothingElse() throws {
            let source = """
                const attempt = (name) => import(name).then(() => 'imported', (error) => `${error.name}: ${error.message}`);
                export default { async fetch() {
                  const names = ['./bad.wasm', './bad.json', './bad.js', './none.js', './uses.js', './bad.wasm'];
                  return Response.json(await Promise.all(names.map(attempt)));
                } };
                """
            let files = ["bad.wasm": "junk", "bad.json": "{", "bad.js": "\nlet a = ;", "uses.js": "import './bad.wasm';"]
            let daemon = try TestDaemon([TestTenant("a", source, files: files), .plain("b")])
            defer { daemon.end() }
            #expect(try daemon.get("b").text == "b")
            let cells = try daemon.cells()
            for _ in 0..<2 {
                let told = try JSONSerialization.jsonObject(with: Data(daemon.get("a").body)) as? [String] ?? []
                let expected = [
                    "CompileError: bad.wasm is not WebAssembly: ", "SyntaxError: bad.json is not JSON: ", "SyntaxError: ",
                    "Error: the bundle has no module 'none.js'", "CompileError: bad.wasm is not WebAssembly: ",
                    "CompileError: bad.wasm is not WebAssembly: ",
                ]
                #expect(told.count == expected.count && zip(told, expected).allSatisfy { $0.hasPrefix($1) }, "\(told)")
                #expect(told.count > 2 && told[2].hasSuffix("(bad.js:2:9)"), "\(told)")
            }
            #expect(try daemon.get("b").text == "b")
            #expect(try daemon.cells() == cells)
        }

        /// A module that imports itself, or one that imports it, while it is being evaluated.
        @Test func whoImportsItselfWhileItIsEvaluatedGetsItself() throws {
            let handler = """
                let found; import(WHICH).then((module) => { found = module.name; }, (error) => { found = `${error}`; });
                export const name = 'own'; export default { fetch() { return new Response(`${found}`); } };
                """
            func tenant(_ name: String, _ which: String, _ files: [String: String] = [:]) -> TestTenant {
                TestTenant(name, handler.replacingOccurrences(of: "WHICH", with: "'\(which)'"), files: files)
            }
            let awaits = "const module = await import('./other.js'); export default { fetch() { return new Response(module.name); } };"
            let daemon = try TestDaemon([
                tenant("itself", "./worker.js"),
                tenant("through", "./other.js", ["other.js": "import './worker.js'; export const name = 'other';"]),
                tenant("twice", "./other.js", ["other.js": "import('./other.js'); import('./worker.js'); export const name = 'other';"]),
                TestTenant(
                    "awaits", awaits,
                    files: [
                        "other.js": "export const name = await import('./third.js').then((m) => m.name);",
                        "third.js": "export const name = 'third';",
                    ]),
                // It waits for itself, and for nothing else.
                TestTenant("deadlock", "await import('./worker.js'); export default { fetch() { return new Response(); } };"),
                .plain("neighbour"),
            ])
            defer { daemon.end() }
            #expect(try daemon.get("neighbour").text == "neighbour")
            let cells = try daemon.cells()
            for (name, answer) in [("itself", "own"), ("through", "other"), ("twice", "other"), ("awaits", "third")] {
                #expect(try daemon.get(name).text == answer, "\(name)")
            }
            #expect(try daemon.get("deadlock").code == "startup_failed")
            #expect(try daemon.get("neighbour").text == "neighbour")
            #expect(try daemon.cells() == cells)
        }

        /// Code marked as asm.js made a buffer that V8 cannot take away, after it was looked whether it can.
        @Test func aBufferThatBecomesAsmJSsWhileItIsClonedCostsNobodyAnything() throws {
            let source = """
                function A(s, f, h) { 'use asm'; var H = new s.Int32Array(h); function g(i) { i = i | 0; H[0] = i; return H[0] | 0; } return { g: g }; }
                export default { fetch() {
                  const buffer = new ArrayBuffer(65536);
                  try {
                    structuredClone({ get x() { A(globalThis, {}, buffer); return 1; } }, { transfer: [buffer] });
                    return new Response('cloned');
                  } catch (error) { return new Response(error.name); }
                } };
                """
            let daemon = try TestDaemon([TestTenant("a", source), .plain("b")])
            defer { daemon.end() }
            #expect(try daemon.get("b").text == "b")
            let cells = try daemon.cells()
            #expect(try ["cloned", "DataCloneError"].contains(daemon.get("a").text))
            #expect(try daemon.get("b").text == "b" && daemon.cells() == cells)
        }

        /// Whoever asks for a body that does not fit is told so, and nothing of it stays.
        @Test func bodiesThatDoNotFitLeaveNothingBehind() throws {
            let source = """
                export default { async fetch(request) {
                  try { return new Response(`${(await request.arrayBuffer()).byteLength}`); } catch (error) { return new Response(error.name); }
                } };
                """
            let daemon = try TestDaemon([
                TestTenant("a", source, policy: "limits: { memory_mb: 64, cpu_ms: 10000, cpu_quota_ms_per_s: 100000 }")
            ])
            defer { daemon.end() }
            let large = [UInt8](repeating: 0x61, count: 50 << 20)
            for _ in 0..<3 {
                let connection = try daemon.connect()
                // It may be refused, and the connection closed, before all of it is sent.
                guard (try? connection.request("a.localhost", method: "POST", body: large)) != nil,
                    let response = try? connection.readResponse()
                else { continue }
                #expect(response.text == "RangeError" || response.code != nil, "\(response.status) \(response.text)")
            }
            let connection = try daemon.connect()
            try connection.request("a.localhost", method: "POST", body: [UInt8](repeating: 0x61, count: 20 << 20))
            #expect(try connection.readResponse().text == "\(20 << 20)")
        }

        /// A timer that is left when its request ends goes with all that it holds on to.
        @Test func timersThatAreLeftHoldOnToNothing() throws {
            let source = """
                let calls = 0;
                export default { async fetch() {
                  const held = new Array(50000).fill(Math.random());
                  const slow = new Promise((_, reject) => setTimeout(() => reject(held), 300000));
                  AbortSignal.timeout(300000).addEventListener('abort', () => held);
                  return new Response(`${await Promise.race([slow, ++calls])}`);
                } };
                """
            let daemon = try TestDaemon([
                TestTenant("a", source, policy: "limits: { memory_mb: 64, cpu_ms: 10000, cpu_quota_ms_per_s: 100000 }")
            ])
            defer { daemon.end() }
            let connection = try daemon.connect()
            // 400 KB each: half a gigabyte. An isolate that had to end would begin to count anew.
            for call in 1...1_200 {
                try connection.request("a.localhost")
                let response = try connection.readResponse()
                #expect(response.text == "\(call)", "\(response.status) \(response.text)")
                guard response.text == "\(call)" else { break }
            }
        }

        /// A request's CPU time is limited however small the pieces are that it comes in: when it is reached, and not when one of them happens to be
        /// looked at while it runs. Without preemption none of them is ever suspended.
        @Test func manyShortTurnsAreAsMuchAsALongOne() throws {
            let source = """
                const spin = () => { for (let i = 0, x = 0; i < 1000; i++) x += i % 7; };
                export default { fetch() { const again = () => { spin(); setTimeout(again, 0); }; again(); return new Promise(() => {}); } };
                """
            let daemon = try TestDaemon(
                [
                    TestTenant("a", source, policy: "limits: { cpu_ms: 50, wall_ms: 30000, cpu_quota_ms_per_s: 100000 }")
                ], configuration: "preempt: false\n")
            defer { daemon.end() }
            for _ in 0..<5 { #expect(try daemon.get("a").code == "cpu_limit") }
            let used = try daemon.list("/v1/tenants").first?["cpu_seconds"] as? Double ?? 0
            #expect(used > 0.25 && used < 0.3, "\(used) s for five requests of 50 ms")
        }

        /// What a request that is over left behind goes on when another wakes it, and ends with that one.
        @Test func nothingGoesOnForARequestThatIsOver() throws {
            let source = """
                let wake, count = 0; const gate = new Promise((resolve) => { wake = resolve; });
                export default { async fetch(request) {
                  const { pathname } = new URL(request.url);
                  if (pathname === '/set') { (async () => { await gate; setInterval(() => { count++; }, 1); })(); return new Response('set'); }
                  if (pathname === '/wake') { wake(); await new Promise((resolve) => setTimeout(resolve, 100)); return new Response(`${count}`); }
                  return new Response(`${count}`);
                } };
                """
            let daemon = try TestDaemon([TestTenant("a", source, policy: "limits: { cpu_ms: 5000 }")])
            defer { daemon.end() }
            #expect(try daemon.get("a", "/set").text == "set")
            #expect(Int(try daemon.get("a", "/wake").text) ?? 0 > 0, "whoever wakes it pays for it while it lasts")
            let first = try daemon.get("a", "/count").text
            Thread.sleep(forTimeInterval: 0.3)
            #expect(try daemon.get("a", "/count").text == first)
        }

        @Test func aRejectionThatNobodyHandlesIsInTheLogUnderItsRequest() throws {
            let source = """
                const reject = async (name) => { await null; throw new Error(name); };
                export default { fetch(request) { reject(new URL(request.url).pathname); return new Response('ok'); } };
                """
            let daemon = try TestDaemon([TestTenant("a", source)])
            defer { daemon.end() }
            for path in ["/first", "/second"] {
                let response = try daemon.get("a", path)
                #expect(response.status == 200)
                let line = try daemon.waitForLog { $0["message"]?.contains("Uncaught (in promise) Error: \(path)") == true }
                #expect(line["tenant"] == "a" && line["source"] == "tenant")
                #expect(line["request_id"] == response.headers["x-request-id"])
                #expect(line["message"]?.contains("worker.js:1:") == true, "\(line)")
            }
        }

        @Test func policiesThatCannotBeReadChangeNothing() throws {
            let daemon = try TestDaemon([.plain("a")])
            defer { daemon.end() }
            let policies = daemon.folder.appendingPathComponent("policies")
            let away = daemon.folder.appendingPathComponent("away")
            try FileManager.default.moveItem(at: policies, to: away)
            daemon.signal(SIGHUP)
            _ = try daemon.waitForLog { $0["message"] == "the policies cannot be read; those in force stay" }
            #expect(try daemon.get("a").text == "a")
            try FileManager.default.moveItem(at: away, to: policies)
            try daemon.write(.plain("b"))
            try daemon.reload()
            #expect(try daemon.get("a").text == "a")
            #expect(try daemon.get("b").text == "b")
        }

        @Test func aDaemonWithoutAFolderOfPoliciesDoesNotStart() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-test-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let process = Process()
            process.executableURL = TestDaemon.binaries.appendingPathComponent("cloisterd")
            process.arguments = [
                "run", "--policies", folder.path + "/none", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state",
                folder.path + "/state",
            ]
            let errors = Pipe()
            process.standardError = errors
            try process.run()
            let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 78)
            #expect(text.contains("cloisterd: \(folder.path)/none:1:1: the folder of policies cannot be read"), "\(text)")
        }
    }
}
