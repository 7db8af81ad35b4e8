import Foundation
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
            #expect(load.wrongs.isEmpty && load.tally["ok"] == load.tally["sent"], "\(load.wrongs) \(load.tally.description)")
        }
    }
}
