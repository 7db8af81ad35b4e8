import CLinux
import Glibc
import Synchronization

/// A started cell. `kill` and `verifySealed` may be called from any thread until `reap` has returned.
public final class CellProcess: Sendable {
    public let pid: pid_t
    public let isSandboxed: Bool
    private let pidfd: Int32
    private let socket: Mutex<Int32>
    private let diagnostics: Int32
    private let group: Cgroup

    init(pid: pid_t, pidfd: Int32, socket: Int32, diagnostics: Int32, isSandboxed: Bool, group: Cgroup) {
        self.pid = pid
        self.pidfd = pidfd
        self.socket = Mutex(socket)
        self.diagnostics = diagnostics
        self.isSandboxed = isSandboxed
        self.group = group
    }

    deinit {
        close(pidfd)
        close(diagnostics)
        let socket = socket.withLock { $0 }
        if socket >= 0 { close(socket) }
    }

    /// The supervisor's end of the socket; the caller closes it. Once.
    public func takeSocket() -> Int32 {
        socket.withLock { socket in
            defer { socket = -1 }
            return socket
        }
    }

    public func kill() { _ = clinux_kill(pidfd) }

    /// Waits for the end and removes the cgroups.
    /// - Returns: the exit code, or minus the signal, and what the process said of itself (at most 8 KiB).
    public func reap() -> (status: Int32, diagnostics: String) {
        let status = clinux_reap(pidfd)
        group.remove()
        var text = [UInt8](repeating: 0, count: 8 << 10)
        let count = read(diagnostics, &text, text.count)
        return (status, String(decoding: text[..<max(0, count)], as: UTF8.self))
    }

    /// A measure that is not in force.
    public struct Unsealed: Error, CustomStringConvertible {
        public var description: String
    }

    /// Checks from outside, in the kernel's own words, that every thread is sealed.
    public func verifySealed() throws(Unsealed) {
        let threads = directory("/proc/\(pid)/task")
        guard !threads.isEmpty else { throw Unsealed(description: "the process is gone") }
        for thread in threads { try verifyThread(thread) }
        let root = directory("/proc/\(pid)/root/")
        guard root.isEmpty else { throw Unsealed(description: "its root holds \(root.sorted())") }
        let descriptors = Set(directory("/proc/\(pid)/fd"))
        guard descriptors.isSubset(of: ["0", "1", "2", "3"]) else {
            throw Unsealed(description: "its descriptors are \(descriptors.sorted())")
        }
        for kind in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
            let own = link("/proc/self/ns/\(kind)")
            let its = link("/proc/\(pid)/ns/\(kind)")
            guard let its, its != own else { throw Unsealed(description: "it shares the \(kind) namespace") }
        }
    }

    private func verifyThread(_ thread: String) throws(Unsealed) {
        let status = readFile("/proc/\(pid)/task/\(thread)/status")
        var fields: [Substring: [Substring]] = [:]
        for line in status.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            if let name = words.first?.dropLast() { fields[name] = Array(words.dropFirst()) }
        }
        func expect(_ name: Substring, _ isRight: (Substring) -> Bool) throws(Unsealed) {
            guard let value = fields[name]?.first, isRight(value) else {
                throw Unsealed(description: "thread \(thread) has \(name) \(fields[name]?.joined(separator: " ") ?? "unknown")")
            }
        }
        try expect("NoNewPrivs") { $0 == "1" }
        try expect("Seccomp") { $0 == "2" }
        try expect("Seccomp_filters") { Int($0).map { $0 >= 2 } ?? false }
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as [Substring] {
            try expect(set) { $0.allSatisfy { $0 == "0" } }
        }
        if geteuid() == 0 { try expect("Uid") { $0 != "0" } }
    }

    private func directory(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    private func link(_ path: String) -> String? {
        var target = [CChar](repeating: 0, count: 256)
        let count = readlink(path, &target, target.count - 1)
        return count > 0 ? String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}

/// The text of a small file; empty when it cannot be read.
func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while text.count < 1 << 20 {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        text += buffer[..<count]
    }
    return String(decoding: text, as: UTF8.self)
}
