import Foundation
import Glibc
import IntegrationHarness
import Testing

extension FaultTests {
    /// No room on the disk, no descriptors: what cannot be done is said, and everything else goes on.
    @Suite(.serialized) struct Exhaustion {
        private static let tenants = [TestTenant.plain("a"), .plain("b", policy: "cordon: private")]

        /// Puts the state on a disk of its own of this size; the daemon and its cells see it, and nobody else.
        private static func smallDisk(_ size: String) -> [String] {
            [
                "unshare", "-m", "sh", "-c",
                """
                for word in "$@"; do [ "$last" = --state ] && state=$word; last=$word; done
                mkdir -p "$state" && mount -t tmpfs -o size=\(size) none "$state" && exec "$@"
                """, "sh",
            ]
        }

        @Test func withoutRoomForSnapshotsEverybodyIsServedFromSource() throws {
            // Where a disk cannot be mounted, files may not become large.
            let wrapper = geteuid() == 0 ? Self.smallDisk("64k") : ["prlimit", "--fsize=65536"]
            let daemon = try TestDaemon(Self.tenants, wrapper: wrapper)
            defer { daemon.end() }
            #expect(
                try daemon.waitForLog { $0["message"] == "the base snapshot cannot be kept" }["reason"]?.contains("cannot write") == true)
            for tenant in Self.tenants { #expect(try daemon.get(tenant.name).text == tenant.name) }
            for tenant in Self.tenants {
                try daemon.write(TestTenant(tenant.name, tenant.source + "// new", policy: tenant.policy))
            }
            try daemon.reload()
            for tenant in Self.tenants { #expect(try daemon.get(tenant.name).text == tenant.name) }
            // A snapshot of a tenant that cannot be kept either is no failure of the tenant's.
            #expect(!daemon.logLines.contains { $0["message"] == "request failed" })
            daemon.signal(SIGTERM)
            daemon.process.waitUntilExit()
            #expect(daemon.process.terminationStatus == 0)
        }

        @Test func withoutRoomForTheKeyTheDaemonSaysSoAndEnds() throws {
            guard geteuid() == 0 else {
                // The key is smaller than any limit on files that leaves room for a log.
                return
            }
            var problem = ""
            do {
                let daemon = try TestDaemon(Self.tenants, wrapper: Self.smallDisk("4k,nr_inodes=3"))
                daemon.end()
            } catch { problem = "\(error)" }
            #expect(problem.contains("cloisterd did not start") && problem.contains("No space left on device"), "\(problem)")
        }

        @Test func aDaemonThatIsKilledIsStartedAgainOnItsStateAtOnce() throws {
            let daemon = try TestDaemon(Self.tenants)
            defer { daemon.end() }
            for _ in 0..<4 {
                for tenant in Self.tenants { #expect(try daemon.get(tenant.name).text == tenant.name) }
                let cells = try daemon.cells()
                #expect(cells.count == 2)
                daemon.signal(SIGKILL)
                daemon.process.waitUntilExit()
                _ = try eventually(seconds: 10, "the cells to end") { cells.contains(where: Processes.isThere) ? nil : true }
                try daemon.restart()
                // What it had made is taken as it is.
                #expect(!daemon.logLines.contains { $0["message"] == "base snapshot built" })
            }
            for tenant in Self.tenants { #expect(try daemon.get(tenant.name).text == tenant.name) }
        }
    }
}
