import Glibc
import Testing

@testable import Sandbox

/// A watched cell that a filter ends: which call it was, and whose.
@Suite struct DeniedCallTests {
    /// Lets a cell of the mode `attempt-later=NAME` go, once it is watched.
    private func end(
        _ attempt: String, mode: String = "attempt-later", isWatched: Bool = true
    ) throws -> (process: CellProcess, status: Int32) {
        let process = try FixtureCells.launch("\(mode)=\(attempt)")
        let socket = try FixtureCells.waitUntilIdle(process)
        if isWatched { try process.watchDeniedCalls() }
        // The end of the socket is the word to go on.
        close(socket)
        return (process, FixtureCells.end(of: process).status)
    }

    @Test(
        arguments: [
            ("socket-inet", "socket", [UInt64(AF_INET), 1, 0]), ("kill", "kill", [0, 0]), ("execve", "execve", nil),
            ("fork", "clone", [UInt64(SIGCHLD)]), ("mmap-exec", "mmap", [0, 4096, 5]), ("tiocsti", "ioctl", [0, 0x1_0000_5412]),
            ("setns", "setns", [3, 0]),
            ("write-other", "write", [0]),
        ] as [(String, String, [UInt64]?)])
    func itsCallIsKnown(attempt: String, call: String, arguments: [UInt64]?) throws {
        let (process, status) = try end(attempt)
        #expect(status == -SIGSYS)
        let denied = try #require(process.deniedCall)
        #expect(denied.name == call && denied.label == call)
        if let arguments { #expect(Array(denied.arguments.prefix(arguments.count)) == arguments) }
        #expect(denied.threadName == "the culprit" && denied.thread != process.pid)
    }

    /// An attempt that died of a call on the way to its own would prove nothing.
    @Test func everyAttemptDiesOfTheCallThatItIsAbout() throws {
        let others = [
            "socket-inet": "socket", "socket-unix": "socket", "socket-netlink": "socket", "connect-abstract": "connect", "fork": "clone",
            "thread": "clone", "stop-itself": "tgkill", "io_uring": "io_uring_setup", "dumpable": "prctl", "setrlimit": "prlimit64",
            "tiocsti": "ioctl", "mmap-shared": "mmap", "mmap-file": "mmap", "mmap-exec": "mmap",
            "mmap-pages-shared": "mmap", "mmap-pages-exec": "mmap", "write-pages": "pwrite64", "madvise-mergeable": "madvise",
            "futex-requeue-pi": "futex", "write-other": "write", "recv-other": "recvfrom", "sendto-address": "sendto",
            "send-urgent": "sendto", "recv-urgent": "recvfrom", "exit-thread": "exit",
            "int80": "i386:getpid", "x32": "x32:getpid",
        ]
        for attempt in CellSeal.attempts where !SealTests.refused.contains(attempt) {
            #expect(try end(attempt).process.deniedCall?.name == others[attempt, default: attempt], "\(attempt)")
        }
    }

    #if arch(x86_64)
        @Test func callsOfOtherArchitecturesAreToldApart() throws {
            #expect(try end("int80").process.deniedCall?.name == "i386:getpid")
            let x32 = try #require(try end("x32").process.deniedCall)
            #expect(x32.name == "x32:getpid" && x32.label == "foreign")
        }
    #endif

    @Test func withoutAWatchItDiesAllTheSame() throws {
        let (process, status) = try end("socket-inet", isWatched: false)
        #expect(status == -SIGSYS)
        #expect(process.deniedCall == nil)
    }

    /// The kernel keeps the first process of a namespace from its own faults while it is traced.
    @Test func aWatchedCellStillDiesOfACrash() throws {
        let (process, status) = try end("crash")
        #expect(status == -SIGSEGV)
        #expect(process.deniedCall == nil && !process.hasDumpedCore)
    }

    @Test func aFaultThatTheCellHandlesIsTheCells() throws {
        #expect(try end("crash", mode: "handled-later").status == 33)
    }

    @Test func aWatchedCellThatIsKilledIsGone() throws {
        let process = try FixtureCells.launch("idle")
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        try process.watchDeniedCalls()
        process.kill()
        #expect(FixtureCells.end(of: process).status == -SIGKILL)
        #expect(process.deniedCall == nil)
    }

    @Test func aWatchedCellEndsByItselfAsBefore() throws {
        let process = try FixtureCells.launch("idle")
        let socket = try FixtureCells.waitUntilIdle(process)
        try process.watchDeniedCalls()
        close(socket)
        #expect(FixtureCells.end(of: process).status == 0)
    }

    /// A stop from outside holds it, and it goes on afterwards.
    @Test func aWatchedCellStopsAndGoesOn() throws {
        let process = try FixtureCells.launch("idle")
        let socket = try FixtureCells.waitUntilIdle(process)
        try process.watchDeniedCalls()
        #expect(kill(process.pid, SIGSTOP) == 0)
        func state() -> Substring? { StatusFields(path: "/proc/\(process.pid)/status")["State"]?.first }
        let deadline = ContinuousClock.now + .milliseconds(Int(FixtureCells.deadlineMilliseconds))
        while state() != "T", state() != "t", ContinuousClock.now < deadline { usleep(1000) }
        close(socket)
        #expect(!process.hasEnded(withinMilliseconds: 50))
        #expect(kill(process.pid, SIGCONT) == 0)
        #expect(FixtureCells.end(of: process).status == 0)
    }

    @Test func manyCellsAreWatchedAtOnce() async throws {
        let calls = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<12 { group.addTask { try end("socket-inet").process.deniedCall?.name } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(calls == [String?](repeating: "socket", count: 12))
    }

    @Test func aProcessThatIsGoneCannotBeWatched() throws {
        let process = try FixtureCells.launch("leave=7")
        #expect(process.hasEnded(withinMilliseconds: FixtureCells.deadlineMilliseconds))
        #expect(throws: SandboxFailure.self) { try process.watchDeniedCalls() }
        #expect(process.reap().status == 7)
    }
}
