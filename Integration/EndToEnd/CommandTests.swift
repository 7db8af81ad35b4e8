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
