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
