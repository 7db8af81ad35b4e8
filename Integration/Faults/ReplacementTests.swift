import Foundation
import Glibc
import IntegrationHarness
import Testing

extension FaultTests {
    /// All cells replaced while clients ask, which is how an update of V8 or of the cell reaches them.
    @Suite(.serialized) struct Replacement {
        private static let threads = 6

        /// `cloister reload --cells`.
        private func replaceCells(_ daemon: TestDaemon) throws -> String {
            let process = Process()
            let pipe = Pipe()
            process.executableURL = TestDaemon.binaries.appendingPathComponent("cloister")
            process.arguments = [
                "reload", "--cells", "--admin", "127.0.0.1:\(daemon.adminPort)", "--state",
                daemon.folder.appendingPathComponent("state").path,
            ]
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(output)")
            return output
        }

        private func expectNothingLost(_ load: FaultLoad, _ daemon: TestDaemon) {
            let isNothingLost = load.wrongs.isEmpty && load.tally["ok"] == load.tally["sent"]
            #expect(isNothingLost, "\(load.wrongs) \(load.tally.description)")
            if !isNothingLost { daemon.printProblems() }
        }

        @Test func replacingAllCellsUnderLoadLosesNoRequest() throws {
            let daemon = try TestDaemon(FaultLoad.tenants, configuration: FaultTests.patient, workers: 2)
            defer { daemon.end() }
            for (index, tenant) in FaultLoad.tenants.enumerated() {
                #expect(try daemon.get(tenant.name, "/quick/0").text == "\(FaultLoad.token(index)):0;")
            }
            let load = FaultLoad(daemon, threads: Self.threads, seed: 1)
            var seconds: [Double] = []
            var pids = Set(try daemon.cells())
            for _ in 0..<4 {
                let before = load.tally["ok"]
                let start = Date()
                let output = try replaceCells(daemon)
                seconds.append(Date().timeIntervalSince(start))
                #expect(output == "replaced \(pids.count) cells\n", "\(output)")
                let new = Set(try daemon.cells())
                #expect(new.count >= pids.count && new.intersection(pids).count <= new.count - pids.count, "\(pids) and now \(new)")
                _ = try eventually("answers of the new cells") { load.tally["ok"] > before + 50 ? true : nil }
                // Those that leave still have a while to finish what they began.
                pids = try eventually("the old cells to end") { () -> Set<Int32>? in
                    let now = Set(try daemon.cells())
                    return now.isDisjoint(with: pids) ? now : nil
                }
            }
            load.end()
            print("replaced \(pids.count) cells 4 times in \(seconds) s; requests: \(load.tally.description)")
            expectNothingLost(load, daemon)
        }

        /// An update of V8 or of the cell, as a package manager makes it: another file in the place of the old one.
        @Test func anUpdatedExecutableReachesAllCellsWithoutALostRequest() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-cell-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let cell = folder.appendingPathComponent("cloister-cell")
            let original = TestDaemon.binaries.appendingPathComponent("cloister-cell")
            try FileManager.default.copyItem(at: original, to: cell)
            let daemon = try TestDaemon(FaultLoad.tenants, configuration: FaultTests.patient, workers: 2, cell: cell.path)
            defer { daemon.end() }
            for tenant in FaultLoad.tenants { #expect(try daemon.get(tenant.name, "/quick/0").status == 200) }
            let load = FaultLoad(daemon, threads: Self.threads, seed: 2)
            let built = daemon.logLines.count { $0["message"] == "base snapshot built" }
            let inode = try self.inode("/proc/\(try #require(daemon.cells().first))/exe")
            _ = try replaceCells(daemon)
            #expect(daemon.logLines.count { $0["message"] == "base snapshot built" } == built, "nothing had changed")
            try FileManager.default.copyItem(at: original, to: folder.appendingPathComponent("new"))
            #expect(rename(folder.appendingPathComponent("new").path, cell.path) == 0)
            let start = Date()
            _ = try replaceCells(daemon)
            let seconds = Date().timeIntervalSince(start)
            // Base snapshots refer to what lies in the executable: with another one they are made anew.
            #expect(daemon.logLines.count { $0["message"] == "base snapshot built" } == built + 2)
            _ = try eventually("all cells to be of the new executable") {
                try daemon.cells().allSatisfy { try self.inode("/proc/\($0)/exe") != inode } ? true : nil
            }
            for tenant in FaultLoad.tenants { #expect(try daemon.get(tenant.name, "/quick/0").status == 200) }
            load.end()
            print("an updated executable reached all cells after \(seconds) s; requests: \(load.tally.description)")
            expectNothingLost(load, daemon)
            // Tenants' snapshots are made anew, too, and fit.
            #expect(!daemon.logLines.contains { $0["reason"]?.contains("a cell cannot use it") == true })
        }

        private func inode(_ path: String) throws -> UInt64 {
            var status = stat()
            guard stat(path, &status) == 0 else { throw ClientError("\(path): \(String(cString: strerror(errno)))") }
            return UInt64(status.st_ino)
        }
    }
}
