import Glibc
import Sandbox
import Testing

/// A sealed cell, tried from inside and looked at from outside.
@Suite struct SealTests {
    /// What the seal refuses with an errno: V8 looks for files and goes on without. All else ends the process.
    static let refused: Set<String> = ["open-passwd", "open-proc", "open-root", "open-above-descriptor", "open-cgroup", "make-file"]

    static func expectedStatus(_ name: String) -> Int32 {
        refused.contains(name) ? CellSeal.AttemptExit.refused.rawValue : -SIGSYS
    }

    @Test(arguments: CellSeal.attempts) func noCellMay(_ attempt: String) throws {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("attempt=\(attempt)"))
        #expect(status == Self.expectedStatus(attempt), "\(diagnostics)")
    }

    @Test(arguments: CellSeal.attempts + CellSeal.jitlessAttempts) func noCellWithoutAJITMay(_ attempt: String) throws {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("attempt=\(attempt)", jit: false))
        #expect(status == Self.expectedStatus(attempt), "\(diagnostics)")
    }

    /// The seal holds for threads that were there before it.
    @Test(arguments: ["socket-inet", "execve", "fork", "mmap-exec", "open-passwd", "kill"]) func noOtherThreadMay(_ attempt: String) throws
    {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("attempt-elsewhere=\(attempt)"))
        #expect(status == Self.expectedStatus(attempt), "\(diagnostics)")
    }

    @Test(arguments: CellSeal.jitlessAttempts) func aCellWithAJITMay(_ attempt: String) throws {
        let (status, _) = FixtureCells.end(of: try FixtureCells.launch("attempt=\(attempt)"))
        #expect(status == CellSeal.AttemptExit.worked.rawValue)
    }

    @Test func anAttemptThatIsNotKnownProvesNothing() throws {
        let (status, _) = FixtureCells.end(of: try FixtureCells.launch("attempt=no-such-thing"))
        #expect(status == CellSeal.AttemptExit.unknown.rawValue)
    }

    /// The same attempts where there is no sandbox: they come through, so that the seal is what stops them.
    @Test(arguments: ["open-passwd", "open-root", "socket-inet", "mmap-exec", "mmap-shared", "dumpable"])
    func withoutASealItWorks(_ attempt: String) throws {
        let launcher = try CellLauncher(executable: try CellExecutable(path: FixtureCells.path), isSandboxed: false)
        let process = try FixtureCells.launch("bare-attempt=\(attempt)", by: launcher)
        #expect(FixtureCells.end(of: process).status == CellSeal.AttemptExit.worked.rawValue)
    }

    @Test(arguments: [true, false]) func aServingCellIsNotDisturbed(jit: Bool) throws {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("work", jit: jit))
        #expect(status == 0)
        #expect(diagnostics == "worked\n")
    }

    @Test func aSealedCellStartsNoThread() throws {
        #expect(FixtureCells.end(of: try FixtureCells.launch("thread")).status == -SIGSYS)
    }

    @Test func aSealThatLacksAStageIsNotFinished() throws {
        let (status, diagnostics) = FixtureCells.end(of: try FixtureCells.launch("finish-only"))
        #expect(status == 1)
        #expect(diagnostics.contains("check: not dumpable"))
    }

    @Test(arguments: [true, false]) func aSealedCellIsSealedAsSeenFromOutside(jit: Bool) throws {
        let process = try FixtureCells.launch("idle", jit: jit)
        let socket = try FixtureCells.waitUntilIdle(process)
        try process.verifySealed()
        // The end of the socket is how a cell learns that it is no longer wanted.
        close(socket)
        #expect(FixtureCells.end(of: process).status == 0)
        #expect(throws: CellProcess.Unsealed.self) { try process.verifySealed() }
    }

    @Test(arguments: [("idle-unfinished", "Seccomp_filters 1"), ("idle-undropped", "Seccomp 0")])
    func aStageThatIsMissingIsSeenFromOutside(mode: String, complaint: String) throws {
        let process = try FixtureCells.launch(mode)
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        let error = #expect(throws: CellProcess.Unsealed.self) { try process.verifySealed() }
        #expect(error?.description.contains(complaint) == true, "\(String(describing: error))")
    }
}
