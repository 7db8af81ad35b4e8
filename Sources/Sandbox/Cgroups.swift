import Glibc

/// Puts cells into cgroups of their own, where that is permitted: version 2, or version 1's memory, cpu and pids.
struct CgroupPlacement: Sendable {
    /// Folders in which a cell's group is made.
    let parents: [String]
    let warnings: [String]

    /// Finds where groups can be made below the supervisor's own.
    init(root: String = "/sys/fs/cgroup", own: String = readFile("/proc/self/cgroup")) {
        var parents: [String] = []
        for line in own.split(separator: "\n") {
            // "0::/path" for version 2, "4:memory:/path" for version 1.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            let path = parts[2] == "/" ? "" : String(parts[2])
            if controllers.isEmpty {
                parents.append("\(root)\(path)")
            } else if controllers.contains(where: { ["memory", "cpu", "pids"].contains($0) }) {
                parents.append("\(root)/\(parts[1])\(path)")
            }
        }
        self.parents = parents.filter { access("\($0)/cgroup.procs", F_OK) == 0 && access($0, W_OK) == 0 }
        warnings =
            self.parents.isEmpty
            ? ["no cgroup is writable here: cells share the supervisor's, and its limits; see docs/sandbox.md"] : []
    }

    func group(name: String) -> Cgroup {
        let safe = String(name.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" })
        return Cgroup(paths: parents.map { "\($0)/cloister-\(getpid())-\(safe)" })
    }
}

/// A cell's groups, one a hierarchy.
final class Cgroup: Sendable {
    /// Cells weigh half of what the default is, so that the supervisor goes first.
    private static let weight = "50"
    private static let shares = "512"
    /// Threads of one cell; its pool is fixed and far below.
    private static let processesLimit = "1024"

    private let paths: [String]

    init(paths: [String]) { self.paths = paths }

    /// Makes the groups and moves a process in. What fails leaves the process where it is in that hierarchy.
    func add(_ pid: pid_t) {
        for path in paths {
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { continue }
            write("\(path)/cpu.weight", Self.weight)
            write("\(path)/cpu.shares", Self.shares)
            write("\(path)/pids.max", Self.processesLimit)
            write("\(path)/cgroup.procs", "\(pid)")
        }
    }

    /// Removes the groups; they must be empty.
    func remove() { paths.forEach { rmdir($0) } }

    private func write(_ path: String, _ text: String) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }
}
