import Glibc

extension CellProcess {
    /// A measure that is not in force.
    public struct Unsealed: Error, CustomStringConvertible {
        public var description: String
    }

    /// Checks from outside, in the kernel's own words, that the cell is sealed: every thread's filters, capabilities and ids, the root,
    /// descriptors, limits and namespaces. To be called after READY, when no thread can come any more; takes about a millisecond.
    public func verifySealed() throws(Unsealed) {
        let own = StatusFields(path: "/proc/self/status")
        for thread in try entries("task") { try verifyThread(thread, own) }
        let root = try entries("root/")
        guard root.isEmpty else { throw Unsealed(description: "its root holds \(root.sorted().joined(separator: ", "))") }
        try verifyDescriptors()
        try verifyLimits()
        for kind in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
            let its = try information("ns/\(kind)")
            let ours = try information("ns/\(kind)", of: "self")
            guard its.st_ino != ours.st_ino || its.st_dev != ours.st_dev else {
                throw Unsealed(description: "it shares the \(kind) namespace")
            }
        }
        // Whose number was looked at: had the process ended, another could have taken it.
        guard !hasEnded(withinMilliseconds: 0) else { throw Unsealed(description: "the process has ended") }
    }

    private func verifyThread(_ thread: String, _ own: StatusFields) throws(Unsealed) {
        let status = StatusFields(path: "/proc/\(pid)/task/\(thread)/status")
        func expect(_ name: String, _ isRight: ([Substring]) -> Bool) throws(Unsealed) {
            guard let values = status[name], isRight(values) else {
                throw Unsealed(description: "thread \(thread) has \(name) \(status[name]?.joined(separator: " ") ?? "unknown")")
            }
        }
        try expect("NoNewPrivs") { $0 == ["1"] }
        try expect("Seccomp") { $0 == ["2"] }
        // Ours come on top of those that the supervisor itself runs under, in a container for one.
        let inherited = own["Seccomp_filters"]?.first.flatMap { Int($0) } ?? 0
        try expect("Seccomp_filters") { $0.first.flatMap { Int($0) }.map { $0 == inherited + 2 } ?? false }
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            try expect(set) { $0.count == 1 && $0[0].allSatisfy { $0 == "0" } }
        }
        guard geteuid() == 0 else { return }
        // Real, effective, saved and for files. An ordinary user's cell can only be that user outside.
        for ids in ["Uid", "Gid"] { try expect(ids) { $0.count == 4 && !$0.contains("0") } }
        try expect("Groups") { $0.isEmpty }
    }

    private func verifyDescriptors() throws(Unsealed) {
        let descriptors = try entries("fd").sorted()
        guard descriptors == ["0", "1", "2", "3"] else {
            throw Unsealed(description: "its descriptors are \(descriptors.joined(separator: ", "))")
        }
        let null = makedev(1, 3)
        for number in 0...1 {
            let file = try information("fd/\(number)")
            guard file.st_mode & S_IFMT == S_IFCHR, file.st_rdev == null else {
                throw Unsealed(description: "its descriptor \(number) is not /dev/null")
            }
        }
        guard try information("fd/2").st_mode & S_IFMT == S_IFIFO else { throw Unsealed(description: "its descriptor 2 is not a pipe") }
        guard try information("fd/3").st_mode & S_IFMT == S_IFSOCK else { throw Unsealed(description: "its descriptor 3 is not a socket") }
    }

    /// Soft and hard limit of each.
    private func verifyLimits() throws(Unsealed) {
        let lines = readFile("/proc/\(pid)/limits").split(separator: "\n")
        for name in ["Max core file size", "Max processes", "Max locked memory", "Max msgqueue size"] {
            guard let line = lines.first(where: { $0.hasPrefix(name) }) else { throw Unsealed(description: "its \(name) is unknown") }
            let values = line.dropFirst(name.count).split(separator: " ").prefix(2)
            guard values == ["0", "0"] else { throw Unsealed(description: "its \(name) is \(values.joined(separator: " "))") }
        }
    }

    private func entries(_ name: String) throws(Unsealed) -> [String] {
        do { return try folderEntries("/proc/\(pid)/\(name)") } catch { throw Unsealed(description: "it cannot be looked at: \(error)") }
    }

    private func information(_ name: String, of process: String? = nil) throws(Unsealed) -> stat {
        var result = stat()
        let path = "/proc/\(process ?? "\(pid)")/\(name)"
        guard stat(path, &result) == 0 else {
            throw Unsealed(description: "it cannot be looked at: \(SandboxFailure(stage: "stat \(path)", errorNumber: errno))")
        }
        return result
    }

    private func makedev(_ major: UInt64, _ minor: UInt64) -> dev_t { dev_t(major << 8 | minor) }
}

/// The fields of a /proc/PID/status: `Name:` and values between blanks.
struct StatusFields {
    private var fields: [Substring: [Substring]] = [:]

    init(path: String) {
        for line in readFile(path).split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            if let name = words.first, name.hasSuffix(":") { fields[name.dropLast()] = Array(words.dropFirst()) }
        }
    }

    subscript(name: String) -> [Substring]? { fields[name[...]] }
}
