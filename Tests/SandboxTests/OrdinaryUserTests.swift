import Foundation
import Testing

@testable import Sandbox

/// The sandbox needs no rights: a supervisor that is an ordinary user gets the same.
@Suite struct OrdinaryUserTests {
    /// Runs the fixture as a supervisor who is not root.
    private func supervise(_ command: String) throws -> (process: Process, output: FileHandle, folder: URL) {
        // The build folder may be out of an ordinary user's reach.
        let folder = FileManager.default.temporaryDirectory.appending(path: "cloister-sandbox-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let copy = folder.appending(path: "sandbox-fixture").path
        try FileManager.default.copyItem(atPath: FixtureCells.path, toPath: copy)
        let process = Process()
        process.currentDirectoryURL = folder
        if geteuid() == 0 {
            process.executableURL = URL(filePath: "/usr/bin/setpriv")
            process.arguments = ["--reuid=1000", "--regid=1000", "--clear-groups", copy, command]
        } else {
            process.executableURL = URL(filePath: copy)
            process.arguments = [command]
        }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        return (process, output.fileHandleForReading, folder)
    }

    /// - Parameter attempts: a child that another test is starting may hold the copied executable open for a moment ("text file busy", 126).
    private func output(of command: String, attempts: Int = 5) throws -> [Substring] {
        let (process, output, folder) = try supervise(command)
        defer { try? FileManager.default.removeItem(at: folder) }
        let text = String(decoding: output.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus == 126, attempts > 1 { return try self.output(of: command, attempts: attempts - 1) }
        #expect(process.terminationStatus == 0)
        return text.split(separator: "\n")
    }

    @Test func anOrdinaryUsersCellIsSealed() throws {
        #expect(try output(of: "verify") == ["sealed"])
    }

    @Test func anOrdinaryUsersCellMayNotDoWhatNoCellMay() throws {
        var statuses: [String: Int32] = [:]
        for line in try output(of: "attempts") {
            let words = line.split(separator: " ")
            statuses[String(words[0])] = Int32(words[1])
        }
        for name in CellSeal.attempts + CellSeal.jitlessAttempts { #expect(statuses[name] == SealTests.expectedStatus(name), "\(name)") }
    }

    /// Also when the supervisor has no moment to say so.
    @Test func noCellOutlivesItsSupervisor() throws {
        let (process, output, folder) = try supervise("orphan")
        defer { try? FileManager.default.removeItem(at: folder) }
        let text = String(decoding: output.availableData, as: UTF8.self)
        let pid = try #require(pid_t(text.split(separator: "\n").first ?? ""))
        #expect(!hasEnded(pid))
        kill(process.processIdentifier, SIGKILL)
        let deadline = ContinuousClock.now + .milliseconds(Int(FixtureCells.deadlineMilliseconds))
        while !hasEnded(pid), ContinuousClock.now < deadline { usleep(10_000) }
        #expect(hasEnded(pid))
        process.waitUntilExit()
    }

    /// Gone, or only waiting for whoever adopts it.
    private func hasEnded(_ pid: pid_t) -> Bool {
        guard let state = StatusFields(path: "/proc/\(pid)/status")["State"]?.first else { return true }
        return state == "Z" || state == "X"
    }
}
