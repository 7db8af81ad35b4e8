import Foundation
import Glibc
import Synchronization
import Testing

@testable import Sandbox

@Suite struct LaunchTests {
    private func report(_ launcher: CellLauncher? = nil) throws -> [String] {
        let process = try FixtureCells.launch("report", by: launcher)
        let socket = process.takeSocket()
        defer { close(socket) }
        let text = FixtureCells.text(from: socket)
        let (status, diagnostics) = FixtureCells.end(of: process)
        #expect(status == 0, "\(diagnostics)")
        return text.split(separator: "\n").map(String.init)
    }

    @Test func aCellStartsWithNothingButItsOwn() throws {
        let lines = try report()
        #expect(lines.contains("pid 1"))
        #expect(lines.contains("uid 0"))
        #expect(lines.contains("group 1"))
        #expect(lines.contains("nice \(min(19, getpriority(Int32(PRIO_PROCESS.rawValue), 0) + CellPriority.cell.nice))"))
        #expect(lines.contains("handler 0"))
        #expect(lines.contains("blocked 0"))
        let descriptors = lines.filter { $0.hasPrefix("descriptor ") }
        #expect(descriptors == (0...5).map { "descriptor \($0)" })
        let variables = lines.compactMap { $0.hasPrefix("env ") ? String($0.dropFirst(4).prefix { $0 != "=" }) : nil }
        #expect(variables.sorted() == ["LC_ALL", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "SANDBOX_FIXTURE", "SWIFT_BACKTRACE", "TZ"])
    }

    @Test func aCellsFirstRootHoldsTheExecutableAndItsLibraries() throws {
        let lines = try report()
        let executable = try CellExecutable(path: FixtureCells.path)
        let folders = Set((executable.libraries + [executable.path]).map { $0.split(separator: "/")[0] }).union(["empty"])
        #expect(lines.contains("folder /: \(folders.sorted().joined(separator: " "))"))
        #expect(lines.contains("folder /proc: none"))
        if !folders.contains("etc") { #expect(lines.contains("folder /etc: none")) }
        #expect(lines.contains("write \(EROFS)"))
    }

    @Test func aCellIsStartedFromARelativePathToo() throws {
        let folder = FileManager.default.currentDirectoryPath
        let relative = String(repeating: "../", count: folder.split(separator: "/").count) + FixtureCells.path.dropFirst()
        let executable = try CellExecutable(path: relative)
        #expect(executable.path.hasPrefix("/"))
        #expect(try report(CellLauncher(executable: executable)).contains("pid 1"))
    }

    @Test func theLibrariesOfAnExecutableAreFoundAtTheirPaths() throws {
        let libraries = try CellExecutable(path: FixtureCells.path).libraries
        #expect(libraries.contains { $0.contains("/ld-linux") })
        #expect(libraries.contains { $0.hasSuffix("/libseccomp.so.2") })
        for library in libraries { #expect(access(library, R_OK) == 0, "\(library)") }
    }

    @Test func whatACellSaysBeforeItEndsIsKept() throws {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("leave=7"))
        #expect(status == 7)
        #expect(diagnostics == "leaving, as I was told\n")
    }

    @Test func aCrashIsSeenAsItsSignal() throws {
        #expect(FixtureCells.end(of: try FixtureCells.launch("crash")).status == -SIGSEGV)
    }

    @Test func aKilledCellIsGone() throws {
        let process = try FixtureCells.launch("idle")
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        #expect(!process.hasEnded(withinMilliseconds: 0))
        process.kill()
        #expect(FixtureCells.end(of: process).status == -SIGKILL)
        // To kill once more does nothing.
        process.kill()
    }

    @Test func aCellThatNobodyHoldsEnds() throws {
        var process: CellProcess? = try FixtureCells.launch("idle")
        let socket = try FixtureCells.waitUntilIdle(try #require(process))
        defer { close(socket) }
        let pid = try #require(process).pid
        process = nil
        #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }

    @Test func manyCellsStartAtOnceFromManyThreads() async throws {
        let statuses = try await withThrowingTaskGroup(of: Int32.self) { group in
            for code in 1...24 { group.addTask { FixtureCells.end(of: try FixtureCells.launch("leave=\(code)")).status } }
            return try await group.reduce(into: Set<Int32>()) { $0.insert($1) }
        }
        #expect(statuses == Set(1...24))
    }

    /// The child is a copy of this process with one thread: what another thread holds at that moment stays held in it for ever.
    @Test func aLaunchNeedsNothingThatOtherThreadsMayHold() throws {
        let threads = BusyThreads()
        threads.start()
        defer { threads.stop() }
        for _ in 0..<60 {
            let process = try FixtureCells.launch("leave=9")
            #expect(FixtureCells.end(of: process).status == 9)
        }
    }

    @Test func aLaunchThatFailsNamesItsStage() throws {
        #expect(throws: SandboxFailure.self) { try CellExecutable(path: "/no/such/cell") }
        // A library that is not there.
        var executable = try CellExecutable(path: FixtureCells.path)
        executable.libraries.append("/no/such/library.so")
        let launcher = try CellLauncher(executable: executable)
        let error = #expect(throws: SandboxFailure.self) { try FixtureCells.launch("report", by: launcher) }
        #expect(error?.stage == "open a library")
        #expect(error?.errorNumber == ENOENT)
        // A file that cannot be executed.
        executable = try CellExecutable(path: FixtureCells.path)
        executable.path = "/etc/passwd"
        let other = try CellLauncher(executable: executable)
        let exec = #expect(throws: SandboxFailure.self) { try FixtureCells.launch("report", by: other) }
        #expect(exec?.stage == "exec")
        #expect(exec?.errorNumber == EACCES)
    }

    @Test func withoutASandboxACellIsAPlainProcessAndNotSealed() throws {
        let launcher = try CellLauncher(executable: try CellExecutable(path: FixtureCells.path), isSandboxed: false)
        let lines = try report(launcher)
        #expect(lines.filter { $0.hasPrefix("descriptor ") } == (0...3).map { "descriptor \($0)" })
        #expect(!lines.contains("pid 1"))
        let process = try FixtureCells.launch("bare-idle", by: launcher)
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        #expect(!process.isSandboxed)
        #expect(throws: CellProcess.Unsealed.self) { try process.verifySealed() }
    }
}

/// Starts and ends threads one after another, which takes the C library's locks all the time.
private final class BusyThreads: Sendable {
    private let isDone = Atomic<Bool>(false)

    func start() {
        Thread.detachNewThread { [self] in
            while !isDone.load(ordering: .relaxed) {
                var thread = pthread_t()
                if pthread_create(&thread, nil, { _ in nil }, nil) == 0 { pthread_join(thread, nil) }
            }
        }
    }

    func stop() { isDone.store(true, ordering: .relaxed) }
}
