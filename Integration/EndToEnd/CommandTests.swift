import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// What the commands say to who runs them, and how they end.
    @Suite(.serialized) struct CommandTests {
        private func cloisterd(_ arguments: [String], through wrapper: [String] = []) throws -> CommandResult {
            try run("/usr/bin/env", wrapper + [TestDaemon.binaries.appendingPathComponent("cloisterd").path] + arguments)
        }

        private func cloister(_ arguments: [String]) throws -> CommandResult {
            try run(TestDaemon.binaries.appendingPathComponent("cloister").path, arguments)
        }

        private func inFolder(_ body: (String) throws -> Void) throws {
            // A socket's path is short.
            let folder = "/tmp/cloister-\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: folder + "/policies", withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try body(folder)
        }

        @Test func aNewPolicyTakesNothingFromATenantThatRuns() throws {
            let daemon = try TestDaemon([.plain("t", policy: "hosts: [shop.example.com]")])
            defer { daemon.end() }
            try daemon.write(.plain("bb", policy: "hosts: [shop.example.com]"))
            try daemon.writePolicy("aa", "tenant: t\nmain: ../bundles/bb/worker.js\n")
            try daemon.reload()
            for name in ["t", "bb"] { #expect(try daemon.get(name).text == name) }
            let connection = try daemon.connect()
            try connection.request("shop.example.com")
            #expect(try connection.readResponse().text == "t")
            let errors = try daemon.list("/v1/tenants").reduce(into: [:]) { $0[$1["tenant"] as? String ?? ""] = $1["errors"] as? [String] }
            #expect(errors["t"] == [] && errors["aa.yaml"]?.count == 1 && errors["bb"]?.count == 1, "\(errors)")
        }

        @Test func validateReadsThePoliciesThatTheConfigurationNames() throws {
            try inFolder { folder in
                try "policies: policies\n".write(toFile: folder + "/cloister.yaml", atomically: true, encoding: .utf8)
                try "tenant: t\n".write(toFile: folder + "/policies/t.yaml", atomically: true, encoding: .utf8)
                let bad = try cloisterd(["validate", "--config", folder + "/cloister.yaml"])
                #expect(bad.status == 78 && bad.output == "\(folder)/policies/t.yaml:1:1: 'main' is missing: the path of the main module\n")
                try FileManager.default.createDirectory(atPath: folder + "/other", withIntermediateDirectories: true)
                let good = try cloisterd(["validate", "--config", folder + "/cloister.yaml", "--policies", folder + "/other"])
                #expect(good.status == 0 && good.output == "0 policies are valid\n")
                try "admin: 0.0.0.0:9999\n".write(toFile: folder + "/cloister.yaml", atomically: true, encoding: .utf8)
                let open = try cloisterd(["validate", "--config", folder + "/cloister.yaml"])
                #expect(open.status == 78 && open.output.hasPrefix("\(folder)/cloister.yaml:1:8: 'admin': only loopback"), "\(open)")
                #expect(open.output.split(separator: "\n").count == 1)
            }
        }

        @Test func aBudgetThatWasSetByHandEndsWithAReloadWithoutAConfigurationToo() throws {
            // Leaves `--config FILE` out.
            let daemon = try TestDaemon([.plain("a")], wrapper: ["bash", "-c", "exec \"$1\" \"$2\" \"${@:5}\"", "bash"])
            defer { daemon.end() }
            let before = try daemon.metric("cloister_memory_budget_bytes")
            #expect(try daemon.admin("/v1/budget?memory_mb=777", method: "POST").status == 200)
            #expect(try daemon.metric("cloister_memory_budget_bytes") == 777 * 1_048_576)
            #expect(try daemon.admin("/v1/reload", method: "POST").status == 200)
            #expect(try daemon.metric("cloister_memory_budget_bytes") == before)
        }

        @Test func whatCellsHoldIsShownAndGivenUpFromTheCommandLine() throws {
            let daemon = try TestDaemon([.plain("a"), .plain("bb")])
            defer { daemon.end() }
            let access = ["--admin", "127.0.0.1:\(daemon.adminPort)", "--state", daemon.folder.appendingPathComponent("state").path]
            func ask(_ command: String...) throws -> String {
                let result = try cloister(command + access)
                #expect(result.status == 0 && result.errors.isEmpty, "\(command): \(result)")
                return result.output
            }
            /// The table's words by line, without those of its head.
            func rows(_ table: String, head: String) -> [[String]] {
                let lines = table.split(separator: "\n")
                #expect(lines.first?.hasPrefix(head + "  ") == true, "\(table)")
                return lines.dropFirst().map { $0.split(separator: " ").map(String.init) }
            }
            func list(_ json: String) throws -> [[String: Any]] {
                try #require(JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]], "\(json)")
            }
            func budget(_ json: String) throws -> Int {
                let report = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
                #expect(report?["used_bytes"] as? Int ?? 0 > 0, "\(json)")
                return try #require(report?["budget_bytes"] as? Int, "\(json)")
            }
            /// Those who have an isolate.
            func hot() throws -> [String] {
                try list(ask("isolates", "-o", "json")).filter { ["hot", "trimmed"].contains($0["state"] as? String) }
                    .compactMap { $0["tenant"] as? String }
            }
            for name in ["a", "bb"] { #expect(try daemon.get(name).text == name) }

            #expect(try hot() == ["a", "bb"])
            let isolates = try rows(ask("isolates"), head: "TENANT")
            #expect(isolates.map { Array($0.prefix(2)) } == [["a", "standard#0"], ["bb", "standard#0"]], "\(isolates)")
            let cells = try list(ask("cells", "-o", "json"))
            #expect(cells.first?["cell"] as? String == "standard#0" && cells.first?["sandboxed"] as? Bool == true, "\(cells)")
            let pid = try #require(daemon.cells().first)
            let cell = try #require(rows(ask("cells"), head: "CELL").first)
            #expect(Array(cell.prefix(4)) == ["standard#0", "\(pid)", "ready", "on"], "\(cell)")

            #expect(try budget(ask("budget", "-o", "json")) > 0)
            #expect(try rows(ask("budget"), head: "BUDGET MIB").map(\.count) == [6])
            #expect(try rows(ask("budget", "600"), head: "BUDGET MIB").first?.first == "600.0")
            #expect(try budget(ask("budget", "-o", "json")) == 600 << 20)
            #expect(try budget(ask("budget", "700", "-o", "json")) == 700 << 20)
            #expect(try cloister(["budget", "63"] + access).status == 64)

            #expect(try ask("evict", "a") == "evicted a\n")
            _ = try eventually("a to be evicted") { try hot() == ["bb"] ? true : nil }
            #expect(try ask("evict", "bb", "-o", "json") == "{\"evicted\":\"bb\"}\n")
            _ = try eventually("bb to be evicted") { try hot().isEmpty ? true : nil }
            #expect(try ask("evict", "--all", "--cold") == "evicted all idle isolates\n")
            _ = try eventually("all to be forgotten") { try rows(ask("isolates"), head: "TENANT").isEmpty ? true : nil }
            for name in ["a", "bb"] { #expect(try daemon.get(name).text == name) }
            #expect(try ask("evict", "--all", "--cold", "-o", "json") == "{\"evicted\":\"all\"}\n")
            let unknown = try cloister(["evict", "nobody"] + access)
            #expect(unknown.status == 1 && unknown.errors.contains("tenant_unknown"), "\(unknown)")
            for arguments in [["evict"], ["evict", "a", "--all"]] { #expect(try cloister(arguments + access).status == 64) }
        }

        @Test func anAddressThatCannotBeHadIsNamedWithTheReason() throws {
            let daemon = try TestDaemon([.plain("a")])
            defer { daemon.end() }
            try inFolder { folder in
                let common = ["run", "--policies", folder + "/policies", "--state", folder + "/state"]
                for (listen, admin) in [(daemon.port, 0), (0, daemon.adminPort)] {
                    let taken = try cloisterd(common + ["--listen", "127.0.0.1:\(listen)", "--admin", "127.0.0.1:\(admin)"])
                    #expect(taken.status == 69)
                    #expect(taken.errors.contains("cloisterd: cannot listen on 127.0.0.1:\(max(listen, admin)): Address already in use\n"))
                }
                // Not even root has every right there.
                let locked = folder + "/locked"
                try FileManager.default.createDirectory(atPath: locked, withIntermediateDirectories: true)
                chmod(locked, 0o500)
                let refused = try cloisterd(
                    common + ["--listen", "127.0.0.1:0", "--admin", "unix:\(locked)/admin.sock"],
                    through: geteuid() == 0 ? ["setpriv", "--bounding-set", "-dac_override"] : [])
                #expect(refused.status == 77, "\(refused)")
                #expect(refused.errors.contains("cloisterd: cannot listen on unix:\(locked)/admin.sock: Permission denied\n"))
                let open = try cloisterd(common + ["--admin", "0.0.0.0:9999"])
                #expect(open.status == 64 && open.errors.contains("--admin: only loopback"), "\(open)")
            }
        }

        @Test func selfcheckTellsACellThatIsNotThereFromOneThatIsNotPermitted() throws {
            let none = try cloisterd(["selfcheck", "--cell", "/nope"])
            #expect(none.status == 69 && none.errors.contains("/nope: No such file or directory"), "\(none)")
            #expect(try cloisterd(["selfcheck", "--starts", "0"]).status == 64)
            let starts = try cloisterd(["selfcheck", "--starts", "2", "--json"])
            let rows = try JSONSerialization.jsonObject(with: Data(starts.output.utf8)) as? [[String: Any]]
            #expect(starts.status == 0 && rows?.map { $0["cell"] as? String } == ["jit", "jit-less"], "\(starts)")
            #expect(rows?.allSatisfy { $0["ready"] as? Int == 2 && $0["longestMilliseconds"] as? Double ?? 0 > 0 } == true)
        }

        @Test func aCellOfAnotherBuildIsNoCell() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-cell-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: folder + "/policies", withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try "#!/bin/sh\necho 'wire 1'\n".write(toFile: folder + "/cell", atomically: true, encoding: .utf8)
            chmod(folder + "/cell", 0o755)
            let refused = try cloisterd([
                "run", "--policies", folder + "/policies", "--state", folder + "/state", "--cell", folder + "/cell",
            ])
            #expect(refused.status == 69, "\(refused)")
            #expect(refused.errors.contains("\(folder)/cell does not speak the protocol of this cloisterd"), "\(refused)")
        }

        @Test(arguments: [SIGTERM, SIGINT]) func aDaemonThatIsStillStartingEndsWhenItIsTold(number: Int32) throws {
            try inFolder { folder in
                // Takes ten minutes to say what it is.
                let script = """
                    #!/bin/sh
                    [ "$1" = --identity ] || exit 1
                    echo $$ > \(folder)/asked.new
                    /bin/mv \(folder)/asked.new \(folder)/asked
                    exec /bin/sleep 600

                    """
                try script.write(toFile: folder + "/cell", atomically: true, encoding: .utf8)
                chmod(folder + "/cell", 0o755)
                let process = Process()
                process.executableURL = TestDaemon.binaries.appendingPathComponent("cloisterd")
                process.arguments = ["run", "--policies", folder + "/policies", "--state", folder + "/state", "--cell", folder + "/cell"]
                process.standardError = FileHandle.nullDevice
                try process.run()
                defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
                let asked = try eventually("the cell to be asked") {
                    try? String(contentsOfFile: folder + "/asked", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
                }
                let cell = try #require(Int32(asked))
                defer { kill(cell, SIGKILL) }
                kill(process.processIdentifier, number)
                // Foundation waits for whoever has inherited its descriptor, too.
                _ = try eventually("the end") {
                    let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
                    return status?.contains(") Z ") ?? true ? true : nil
                }
                kill(cell, SIGKILL)
                process.waitUntilExit()
                #expect(process.terminationReason == .exit && process.terminationStatus == 0)
            }
        }

        @Test func aTokenThatCannotBeReadIsNamedWithTheReason() throws {
            for (arguments, problem) in [
                (["--state", "/nope"], "the token cannot be read: /nope/admin.token: No such file or directory"),
                (["--token-file", "/tmp"], "the token cannot be read: /tmp: Is a directory"),
                (["--token-file", "/dev/null"], "/dev/null holds no token"),
            ] {
                let refused = try cloister(["tenants"] + arguments)
                #expect(refused.status == 64 && refused.errors == "cloister: \(problem)\n", "\(refused)")
            }
        }

        @Test func theLevelOfTheLogIsChosen() throws {
            let daemon = try TestDaemon([.plain("a")], arguments: ["--log-level", "trace"])
            defer { daemon.end() }
            #expect(try daemon.admin("/healthz").status == 200)
            _ = try daemon.waitForLog { $0["level"] == "debug" || $0["level"] == "trace" }
            let bad = try cloisterd(["run", "--log-level", "loud"])
            #expect(bad.status == 64 && bad.errors.contains("'loud'") && bad.errors.contains("critical"), "\(bad)")
        }

        @Test func theCommandsTellTheirVersion() throws {
            let version = try cloisterd(["--version"])
            #expect(version.status == 0 && version.output.contains("."))
            #expect(try cloister(["--version"]).output == version.output)
            #expect(try run(TestDaemon.binaries.appendingPathComponent("cloister-load").path, ["--version"]).output == version.output)
        }
    }
}
