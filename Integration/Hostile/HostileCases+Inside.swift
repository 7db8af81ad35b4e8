import Foundation
import Glibc
import IntegrationHarness
import Testing

// Native code runs in the cell: V8 has fallen. Each attempt is made in a cell that one tenant has for itself; the neighbour lives in another and
// must not notice. The cells are those of the tests, which differ from real ones in that tenants can run native code in them, and in nothing else.
extension HostileCase {
    private static func inside(
        _ number: Int, _ title: String, jit: Bool = true, _ codes: NativeCode...
    ) -> HostileCase {
        scene(number, title, loss: .ofItsOwn, daemon: .broken) { stage in try stage.expect(codes, jit: jit) }
    }

    private static func inside(_ number: Int, _ title: String, _ provoke: @escaping @Sendable (HostileStage) throws -> Void) -> HostileCase
    {
        scene(number, title, loss: .ofItsOwn, daemon: .broken, provoke)
    }

    private static let here = "-100"

    static let inside: [HostileCase] = [
        inside(
            73, "files and /proc", .fails("openat", ENOENT, here, "\"/etc/passwd\"", "0", "0"),
            .fails("openat", ENOENT, here, "\"/proc/self/maps\"", "0", "0"), .fails("openat", ENOENT, here, "\"/\"", "65536", "0"),
            .fails("openat", ENOENT, here, "\"/file\"", "65", "384")),
        inside(
            74, "above an inherited descriptor", .fails("openat", ENOENT, "0", "\"../..\"", "65536", "0"),
            .fails("openat", ENOENT, "3", "\"../../etc/passwd\"", "0", "0"), .denied("openat2", "0", "\"../..\"", "0", "24")),
        inside(
            75, "another program", .denied("execve", "\"/bin/sh\"", "0", "0"), .denied("execveat", "3", "\"\"", "0", "0", "4096"),
            .denied("memfd_create", "\"x\"", "0")),
        inside(
            76, "sockets", .denied("socket", "2", "1", "0"), .denied("socket", "1", "1", "0"), .denied("socket", "16", "3", "0"),
            .denied("connect", "3", "{\"bytes\": [1,0,0,120]}", "4"), .denied("socketpair", "1", "1", "0", "\"\"")),
        inside(
            77, "processes and threads", .denied("clone", "17", "0", "0", "0", "0"), .denied("clone", "69376", "0", "0", "0", "0"),
            .denied("clone3", "\"\"", "88"), forks.0, forks.1),
        inside(
            78, "other processes' memory", .denied("ptrace", "16", "1", "0", "0"),
            .denied("process_vm_readv", "1", "\"\"", "1", "\"\"", "1", "0"),
            .denied("process_vm_writev", "1", "\"\"", "1", "\"\"", "1", "0")),
        scene(79, "signals to supervisor and siblings", loss: .ofItsOwn, daemon: .broken) { stage in
            let supervisor = stage.daemon.process.processIdentifier
            try stage.expect([
                .denied("kill", "\(supervisor)", "9"), .denied("kill", "-1", "9"), .denied("kill", "0", "9"),
                .denied("tgkill", "1", "1", "15"),
                .denied("pidfd_open", "1", "0"), .denied("pidfd_send_signal", "3", "9", "0", "0"),
            ])
            #expect(kill(supervisor, 0) == 0)
        },
        inside(
            80, "mounts, roots, namespaces", .denied("mount", "\"proc\"", "\"/\"", "\"proc\"", "0", "0"),
            .denied("pivot_root", "\"/\"", "\"/\""),
            .denied("chroot", "\"/\""), .denied("setns", "3", "0"), .denied("unshare", "268435456")),
        inside(81, "other architectures' calls", foreign.0, foreign.1),
        inside(
            82, "executable memory in a cell without a JIT", jit: false, .denied("mprotect", "4096", "4096", "5"),
            .denied("mmap", "0", "4096", "5", "34", "-1", "0"),
            NativeCode(operation: "page", arguments: ["0"], outcome: .denied("mprotect")),
            NativeCode(operation: "page", arguments: ["1"], outcome: .denied("mmap"))),
        inside(
            83, "the kernel's wider parts", .denied("io_uring_setup", "1", "\"\""), .denied("bpf", "0", "\"\"", "0"),
            .denied("perf_event_open", "\"\"", "0", "-1", "-1", "0"), .denied("userfaultfd", "0"), .denied("keyctl", "0", "0"),
            .denied("add_key", "\"user\"", "\"x\"", "\"x\"", "1", "-1"), .denied("shmget", "0", "4096", "0")),
        inside(
            84, "taking the seal off", .denied("prctl", "4", "1", "0", "0", "0"), .denied("seccomp", "1", "0", "0"),
            .denied("prctl", "22", "2", "0"), .denied("rt_sigaction", "31", "0", "0", "8")),
        inside(85, "limits", .denied("setrlimit", "7", "\"\""), .denied("prlimit64", "0", "6", "\"\"", "0")),
        inside(86, "TIOCSTI, with high bits set", .denied("ioctl", "0", "4294988818", "\"x\""), .denied("ioctl", "0", "21522", "\"x\"")),
        inside(
            87, "cgroups", .fails("openat", ENOENT, here, "\"/sys/fs/cgroup/cgroup.procs\"", "1", "0"),
            .fails("openat", ENOENT, here, "\"/sys/fs/cgroup/pids/cgroup.procs\"", "1", "0"), .denied("write", "4", "\"1\"", "1"),
            .denied("write", "0", "\"1\"", "1")),
        scene(88, "descriptors to the supervisor", loss: .ofItsOwn, daemon: .broken, sendDescriptors),
        inside(
            89, "truncating what is shared", .denied("ftruncate", "3", "0"), .denied("ftruncate", "0", "0"),
            .denied("truncate", "\"/x\"", "0"),
            .denied("mmap", "0", "4096", "3", "33", "-1", "0")),
        inside(90, "garbage, partial, oversized, endless frames", sayWhatIsNoFrame),
        inside(91, "stopping itself, or being stopped", stop),
        inside(92, "a crash leaves no core", crash),
        inside(93, "frames in another tenant's name", forge),
    ]

    #if arch(x86_64)
        private static let forks = (NativeCode.denied("fork"), NativeCode.denied("vfork"))
        private static let foreign = (
            NativeCode(operation: "i386", number: 20, outcome: .denied("i386:getpid")),
            NativeCode(number: 0x4000_0027, outcome: .denied("x32:getpid"))
        )
    #else
        // There are no such calls.
        private static let forks = (NativeCode.denied("clone", "17"), NativeCode.denied("clone", "0"))
        private static let foreign = (
            NativeCode(number: 1000, outcome: .denied("number 1000")), NativeCode(number: -2, outcome: .denied("number -2"))
        )
    #endif

    // MARK: Frames

    /// Sixteen bytes before a payload, see docs/architecture.md.
    private static func frame(
        _ kind: UInt8, length: UInt32 = 0, flags: UInt8 = 0, extra: UInt16 = 0, id: UInt64 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] {
        func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        return bytes(length) + [kind, flags] + bytes(extra) + bytes(id) + payload
    }

    private static let (entered, response, log, isolateEnded): (UInt8, UInt8, UInt8, UInt8) = (66, 67, 73, 76)

    /// Each in a cell of its own; the log says why it was ended.
    private static func says(_ stage: HostileStage, _ attempts: [(code: NativeCode, reason: String)]) throws {
        let tenants = try attempts.indices.map { try stage.nativeTenant($0, limits: "cpu_ms: 500, wall_ms: 3000") }
        try stage.daemon.reload()
        onThreads(attempts.count) { index in
            // What it says comes before the answer; nothing behind it counts.
            let answer = try? stage.run(attempts[index].code, in: tenants[index])
            #expect(answer?.status != 200, "\(stage.hostile): \(attempts[index].reason): it was answered")
        }
        for (tenant, attempt) in zip(tenants, attempts) {
            let ended = try stage.end(of: tenant, seconds: 30)
            #expect(ended["reason"]?.contains(attempt.reason) == true, "\(stage.hostile): \(ended)")
        }
        tenants.forEach { try? stage.daemon.removePolicy($0) }
        try stage.daemon.reload()
    }

    @Sendable private static func sayWhatIsNoFrame(_ stage: HostileStage) throws {
        try says(
            stage,
            [
                (.says((0..<160).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }), "it broke the protocol"),
                (.says(frame(log, length: 65_536)), "silent for"),
                (.says(frame(response, length: 0x7fff_ffff)), "it broke the protocol"),
                // Frames that mean nothing, without end.
                (.says((0..<10).flatMap { frame(entered, id: 1 << 60 + UInt64($0)) }, forEver: true), "concern nothing"),
            ])
    }

    @Sendable private static func forge(_ stage: HostileStage) throws {
        // A victim in another cell, with a request under way, whose number is known.
        let victim = "\(stage.offender)-victim"
        try stage.daemon.write(
            TestTenant(
                victim,
                "export default { async fetch() { console.log('waiting'); await new Promise((r) => setTimeout(r, 3000)); return new Response('mine'); } };",
                policy: "snapshot: off"))
        try stage.daemon.reload()
        let connection = try stage.daemon.connect()
        try connection.request("\(victim).localhost")
        let line = try stage.daemon.waitForLog { $0["tenant"] == victim && $0["message"] == "waiting" }
        let request = try #require(line["request_id"].flatMap { UInt64($0, radix: 16) })
        let answer = [UInt8](repeating: 0, count: 12) + Array("forged".utf8)
        try says(
            stage,
            [
                (.says(frame(response, length: UInt32(answer.count), flags: 3, extra: 200, id: request, answer)), "is not in its hands"),
                (.says(frame(entered, id: request)), "is not in its hands"),
                // The neighbours' versions: they were the first.
                (.says(frame(isolateEnded, id: 1)), "which it does not have"),
                (.says(frame(log, length: 13, id: 1, [1] + [UInt8](repeating: 0, count: 12))), "which it does not have"),
            ])
        let response = try connection.readResponse()
        #expect(response.status == 200 && response.text == "mine", "\(stage.hostile): \(response)")
        try stage.daemon.removePolicy(victim)
        try stage.daemon.reload()
    }

    // MARK: Descriptors, stops, crashes

    @Sendable private static func sendDescriptors(_ stage: HostileStage) throws {
        // The filter does not let one out.
        let bytes = "{\"bytes\": [\(frame(entered, id: 1 << 60).map(String.init).joined(separator: ","))]}"
        let send = NativeCode(operation: "descriptors", arguments: ["16", bytes], outcome: .denied("sendmsg"))
        try stage.expect([send])
        // Had it a hole: a daemon without a sandbox takes none of them.
        let test = TestDaemon.binaries.appendingPathComponent("test-cell").path
        let source = try String(contentsOf: workersFolder.appendingPathComponent("native.js"), encoding: .utf8)
        let daemon = try TestDaemon(
            [TestTenant("open", source, policy: "snapshot: off")], arguments: ["--insecure-no-sandbox", "--cell", test])
        defer { daemon.end() }
        #expect(try daemon.get("open", method: "POST", body: send.body).text == "16")
        let before = Holdings(of: daemon.process.processIdentifier).descriptors
        let connection = try daemon.connect()
        for _ in 0..<200 {
            try connection.request("open.localhost", method: "POST", body: send.body)
            #expect(try connection.readResponse().text == "16")
        }
        // The connection that asked.
        #expect(Holdings(of: daemon.process.processIdentifier).descriptors <= before + 1)
    }

    @Sendable private static func stop(_ stage: HostileStage) throws {
        try stage.expect([.denied("tgkill", "1", "1", "19"), .denied("kill", "1", "19")])
        let tenant = try stage.nativeTenant(9)
        try stage.daemon.reload()
        #expect(try stage.daemon.get(tenant).text == "here")
        let cell = try #require(try stage.daemon.list("/v1/cells").first { ($0["cell"] as? String)?.contains(tenant) == true })
        let pid = try #require(cell["pid"] as? Int)
        #expect(kill(pid_t(pid), SIGSTOP) == 0)
        let ended = try stage.end(of: tenant)
        #expect(ended["reason"]?.contains("silent for 3 s") == true, "\(stage.hostile): \(ended)")
        #expect(try stage.daemon.get(tenant).text == "here")
        try stage.daemon.removePolicy(tenant)
        try stage.daemon.reload()
    }

    @Sendable private static func crash(_ stage: HostileStage) throws {
        func cores() -> [String] {
            Holdings.entries(".").filter { $0.hasPrefix("core") } + Holdings.entries("/").filter { $0.hasPrefix("core") }
        }
        let before = cores()
        let tenant = try stage.nativeTenant(0)
        try stage.daemon.reload()
        #expect(try stage.run(NativeCode(operation: "crash", outcome: .answers(0)), in: tenant).code == "cell_lost")
        let ended = try stage.end(of: tenant)
        // A fault, or the trap of a handler that it is none of its business.
        let status = ended["status"] ?? ""
        #expect(["signal 11 ", "signal 4 ", "signal 5 "].contains { status.hasPrefix($0) }, "\(stage.hostile): \(ended)")
        #expect(!status.contains("core was written"), "\(stage.hostile): \(ended)")
        #expect(cores() == before)
        try stage.daemon.removePolicy(tenant)
        try stage.daemon.reload()
    }
}
