import Foundation
import Glibc
import IntegrationHarness
import Testing

/// What a tenant does by native code in its cell, and what must come of it.
struct NativeCode: Sendable {
    enum Outcome: Sendable {
        /// The process dies of its filter, and the log names this call.
        case denied(String)
        /// It goes on: a result, or minus an errno.
        case answers(Int)
    }

    var operation = "call"
    var number = 0
    /// As JSON: numbers, texts, or `{"bytes": […]}`.
    var arguments: [String] = []
    var outcome: Outcome

    /// A system call that is denied, with these arguments.
    static func denied(_ call: String, _ arguments: String...) -> NativeCode {
        NativeCode(number: numbers[call]!, arguments: arguments, outcome: .denied(call))
    }

    /// A system call that fails with an errno.
    static func fails(_ call: String, _ error: Int32, _ arguments: String...) -> NativeCode {
        NativeCode(number: numbers[call]!, arguments: arguments, outcome: .answers(-Int(error)))
    }

    /// Writes bytes to the supervisor: what a cell says, or what it must not say.
    static func says(_ bytes: [UInt8], forEver: Bool = false) -> NativeCode {
        let bytesArgument = "{\"bytes\": [\(bytes.map(String.init).joined(separator: ","))]}"
        return NativeCode(
            operation: forEver ? "repeat" : "call", number: numbers["sendto"]!,
            arguments: ["3", bytesArgument, "\(bytes.count)", "\(MSG_NOSIGNAL)", "0", "0"], outcome: .answers(bytes.count))
    }

    var body: [UInt8] {
        Array("{\"operation\": \"\(operation)\", \"number\": \(number), \"arguments\": [\(arguments.joined(separator: ","))]}".utf8)
    }

    /// Of this machine's architecture.
    static let numbers: [String: Int] = {
        let both: [String: (x86_64: Int, arm64: Int)] = [
            "openat": (257, 56), "openat2": (437, 437), "execve": (59, 221), "execveat": (322, 281), "memfd_create": (319, 279),
            "socket": (41, 198),
            "connect": (42, 203), "socketpair": (53, 199), "fork": (57, -1), "vfork": (58, -1), "clone": (56, 220), "clone3": (435, 435),
            "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kill": (62, 129), "tgkill": (234, 131),
            "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "mount": (165, 40), "pivot_root": (155, 41), "chroot": (161, 51),
            "setns": (308, 268), "unshare": (272, 97), "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241),
            "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "prctl": (157, 167), "seccomp": (317, 277),
            "setrlimit": (160, 164),
            "prlimit64": (302, 261), "ioctl": (16, 29), "write": (1, 64), "sendmsg": (46, 211), "ftruncate": (77, 46), "truncate": (76, 45),
            "mmap": (9, 222), "mprotect": (10, 226), "sendto": (44, 206), "rt_sigaction": (13, 134), "shmget": (29, 194),
            "mremap": (25, 216),
        ]
        #if arch(arm64)
            return both.mapValues(\.arm64)
        #else
            return both.mapValues(\.x86_64)
        #endif
    }()
}

extension HostileStage {
    /// A tenant of its own, in a cell of its own, that runs native code.
    func nativeTenant(_ index: Int, jit: Bool = true, limits: String = "cpu_ms: 2000, wall_ms: 20000") throws -> String {
        let name = "\(offender)-\(index)"
        let source = try String(contentsOf: HostileCase.workersFolder.appendingPathComponent("native.js"), encoding: .utf8)
        try daemon.write(
            TestTenant(
                name, source,
                policy: "cordon: private\njit: \(jit)\nsnapshot: off\nlimits: { cpu_quota_ms_per_s: 1000000, \(limits) }"))
        return name
    }

    func run(_ code: NativeCode, in tenant: String) throws -> Response { try daemon.get(tenant, method: "POST", body: code.body) }

    /// Tries each in a cell of its own, all at once, and checks what comes of it.
    func expect(_ codes: [NativeCode], jit: Bool = true) throws {
        let tenants = try codes.indices.map { try nativeTenant($0, jit: jit) }
        try daemon.reload()
        defer {
            tenants.forEach { try? daemon.removePolicy($0) }
            try? daemon.reload()
        }
        let responses = Answers(codes.count)
        onThreads(codes.count) { index in responses.set(index, Result { try self.run(codes[index], in: tenants[index]) }) }
        for (index, code) in codes.enumerated() { try expect(code, tenants[index], try responses.get(index)) }
    }

    private func expect(_ code: NativeCode, _ tenant: String, _ response: Response) throws {
        let what = "\(hostile): \(String(decoding: code.body, as: UTF8.self))"
        switch code.outcome {
        case .answers(let value):
            #expect(response.status == 200 && response.text == "\(value)", "\(what): \(response.status) \(response.text)")
        case .denied(let call):
            #expect(response.status == 502 && response.code == "cell_lost", "\(what): \(response.status) \(response.text)")
            let denied = try daemon.waitForLog {
                $0["message"] == "a cell was ended for a call that it may not make" && $0["cell"]?.contains(tenant) == true
            }
            #expect(denied["call"] == call, "\(what): \(denied)")
            // Native code runs where the tenant's does.
            #expect(denied["thread"]?.hasPrefix("worker ") == true, "\(what): \(denied)")
            let ended = try end(of: tenant)
            #expect(ended["status"]?.contains("SIGSYS") == true, "\(what): \(ended)")
            let label = call.contains(":") ? "foreign" : call
            #expect(try daemon.metric("cloister_denied_calls_total{call=\"\(label)\"}") >= 1, "\(what): not counted")
        }
    }

    /// The log's line on how a tenant's cell ended.
    func end(of tenant: String, seconds: Double = 20) throws -> [String: String] {
        try daemon.waitForLog(seconds: seconds) { $0["message"] == "cell ended" && $0["cell"]?.contains("\(tenant)") == true }
    }

    private final class Answers: @unchecked Sendable {
        private let lock = NSLock()
        private var answers: [Result<Response, any Error>?]
        init(_ count: Int) { answers = Array(repeating: nil, count: count) }
        func set(_ index: Int, _ answer: Result<Response, any Error>) { lock.withLock { answers[index] = answer } }
        func get(_ index: Int) throws -> Response { try lock.withLock { answers[index]! }.get() }
    }
}
