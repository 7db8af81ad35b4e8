import Foundation
import Testing

@testable import LoadHarness

@Suite(.timeLimit(.minutes(1))) struct ChildProcessTests {
    /// A shell that starts another process and writes its number into a file, then waits.
    private func family(_ rest: String) throws -> (process: ChildProcess, child: pid_t) {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("child-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let process = try ChildProcess("/bin/sh", ["-c", "sleep 60 & echo $! > \(file).new; mv \(file).new \(file); \(rest)"])
        for _ in 0..<500 where !FileManager.default.fileExists(atPath: file) { Thread.sleep(forTimeInterval: 0.01) }
        let text = try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        return (process, try #require(pid_t(text)))
    }

    /// Whoever reaps orphans may not have yet.
    private func isGone(_ pid: pid_t) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        return status.isEmpty || status.contains(") Z ")
    }

    @Test func whoOutlivesItsParentEndsWithIt() throws {
        let (process, child) = try family("wait")
        #expect(process.isRunning && !isGone(child))
        process.end()
        #expect(!process.isRunning)
        #expect(isGone(child))
    }

    @Test func whoDoesNotHeedIsMadeToEnd() throws {
        let (process, child) = try family("trap '' TERM; while :; do wait; done")
        process.end(withinSeconds: 0.2)
        #expect(!process.isRunning)
        #expect(isGone(child))
    }

    @Test func whatIsNotThereIsAnError() { #expect(throws: SpawnedDaemon.Failure.self) { try ChildProcess("/no/such/program", []) } }
}
