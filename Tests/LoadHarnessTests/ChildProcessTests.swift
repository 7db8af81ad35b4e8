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

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("child-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func whoHasAGroupIsInItBeforeItBegins() throws {
        // Any folder does: the kernel's would take the number that is written.
        let group = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: group) }
        let file = group.appendingPathComponent("seen").path
        let process = try ChildProcess(
            "/bin/sh", ["-c", "cp \"$0/cgroup.procs\" \(file).new; echo $$ >> \(file).new; mv \(file).new \(file); sleep 60", group.path],
            group: group.path)
        defer { process.end() }
        for _ in 0..<500 where !FileManager.default.fileExists(atPath: file) { Thread.sleep(forTimeInterval: 0.01) }
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "\(process.pid)\n\(process.pid)\n")
    }

    @Test func whoCannotEnterItsGroupDoesNotBegin() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("begun").path
        let process = try ChildProcess("/bin/sh", ["-c", "touch \(file)"], group: folder.appendingPathComponent("none").path)
        for _ in 0..<500 where process.isRunning { Thread.sleep(forTimeInterval: 0.01) }
        #expect(!process.isRunning && !FileManager.default.fileExists(atPath: file))
    }

    @Test func whatIsLeftIsRemovedUnlessItWasBefore() throws {
        let first = try temporaryFolder()
        let second = try temporaryFolder()
        defer { for folder in [first, second] { try? FileManager.default.removeItem(at: folder) } }
        try Data().write(to: second.appendingPathComponent("file"))
        let leftovers = Leftovers()
        for folder in [first, second] { leftovers.add(folder.path) }
        leftovers.remove(first.path)
        #expect(!FileManager.default.fileExists(atPath: first.path) && FileManager.default.fileExists(atPath: second.path))
        // Somebody else's now.
        try FileManager.default.createDirectory(at: first, withIntermediateDirectories: true)
        leftovers.removeAll()
        #expect(FileManager.default.fileExists(atPath: first.path) && !FileManager.default.fileExists(atPath: second.path))
    }

    @Test func whatIsNotThereIsAnError() { #expect(throws: SpawnedDaemon.Failure.self) { try ChildProcess("/no/such/program", []) } }
}
