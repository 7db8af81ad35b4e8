import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// Who may ask the admin API what, through the commands that operators use.
    @Suite(.serialized) struct AdminAccessTests {
        private func cloister(_ arguments: [String], _ environment: [String: String] = [:]) throws -> CommandResult {
            try run(
                TestDaemon.binaries.appendingPathComponent("cloister").path, arguments,
                environment: ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent"].merging(environment) { $1 })
        }

        @Test func overTCPTheTokenOpensWhatProbesDoNotNeed() throws {
            let daemon = try TestDaemon([.plain("a")])
            defer { daemon.end() }
            let admin = ["--admin", "127.0.0.1:\(daemon.adminPort)"]
            let state = daemon.folder.appendingPathComponent("state").path
            #expect(try cloister(["status"] + admin).output == "ready\n")
            let refused = try cloister(["tenants"] + admin + ["--token-file", "/dev/null"])
            #expect(refused.status == 64)
            let none = try cloister(["tenants"] + admin, ["CLOISTER_STATE": "/nonexistent"])
            #expect(none.status == 77 && none.errors.contains("admin.token"), "\(none)")
            for (further, environment) in [
                (["--state", state], [:]), (["--token-file", state + "/admin.token"], [:]), ([], ["CLOISTER_STATE": state]),
            ] {
                let answer = try cloister(["tenants"] + admin + further, environment)
                #expect(answer.status == 0 && answer.output.contains("a.localhost"), "\(answer)")
            }
            #expect(try cloister(["drain"] + admin, ["CLOISTER_STATE": "/nonexistent"]).status == 77)
            #expect(try cloister(["status"] + admin).output == "ready\n")
            #expect(try cloister(["drain", "--state", state] + admin).status == 0)
            #expect(try cloister(["status"] + admin).output.hasPrefix("not ready"))
            // Nothing that the daemon makes is open to others.
            for name in ["admin.token", "host.key", "lock", "snapshots", ""] {
                var status = stat()
                #expect(lstat(state + "/" + name, &status) == 0 && status.st_mode & 0o077 == 0, "\(name)")
            }
        }

        @Test func aSocketFileKnowsItsUser() throws {
            // A socket's path is short.
            let folder = "/tmp/cloister-\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let socket = folder + "/admin.sock"
            let daemon = try TestDaemon([.plain("a")], adminAddress: "unix:\(socket)")
            defer { daemon.end() }
            var status = stat()
            #expect(lstat(socket, &status) == 0 && status.st_mode & 0o777 == 0o600)
            // What the daemon makes is private from its first moment on, not only after a change of mode.
            let mask = try String(contentsOfFile: "/proc/\(daemon.process.processIdentifier)/status", encoding: .utf8)
                .split(separator: "\n").first { $0.hasPrefix("Umask:") }
            #expect(mask?.hasSuffix("0077") == true)
            let answer = try cloister(["tenants", "--admin", "unix:\(socket)"])
            #expect(answer.status == 0 && answer.output.contains("a.localhost"), "\(answer)")
            #expect(try cloister(["reload", "--admin", "unix:\(socket)"]).status == 0)
            defer {
                daemon.signal(SIGTERM)
                daemon.process.waitUntilExit()
                #expect(access(socket, F_OK) != 0, "the socket file is still there")
            }
            guard geteuid() == 0 else { return }
            // Even one whom the file's mode lets in is somebody else.
            chmod(folder, 0o755)
            chmod(socket, 0o666)
            let curl = ["/usr/bin/curl", "--silent", "--unix-socket", socket, "http://localhost/v1/tenants"]
            let other = try run("/usr/bin/setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups"] + curl)
            #expect(other.output.contains("\"error\":\"token_missing\""), "\(other)")
            #expect(try run("/usr/bin/curl", Array(curl.dropFirst())).output.contains("a.localhost"))
        }
    }
}
