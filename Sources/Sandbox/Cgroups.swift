import Glibc

/// Puts cells into cgroups of their own, where that is permitted: version 2, or version 1's memory, cpu and pids.
struct CgroupPlacement: Sendable {
    /// Folders in which a cell's group is made.
    let parents: [String]
    /// The one of them that is of version 2, if any.
    let version2Parent: String?
    /// What could not be done, and what to do about it.
    let warnings: [String]

    /// Finds where groups can be made below the supervisor's own, and removes what supervisors that are gone have left there.
    init(root: String = "/sys/fs/cgroup", own: String = readFile("/proc/self/cgroup")) {
        var parents: [String] = []
        var version2Parent: String?
        var warnings: [String] = []
        for (path, isVersion2) in Self.candidates(root: root, own: own) where access("\(path)/cgroup.procs", F_OK) == 0 {
            guard access(path, W_OK) == 0 else {
                warnings.append("\(path) is not writable: cells stay in the supervisor's group there; see docs/sandbox.md")
                continue
            }
            parents.append(path)
            if isVersion2 { version2Parent = path }
        }
        if parents.isEmpty {
            warnings = ["no cgroup is writable here: cells share the supervisor's, and its limits; see docs/sandbox.md"]
        }
        if let version2Parent, let failure = Self.enableControllers(version2Parent) { warnings.append(failure) }
        for parent in parents { Self.removeLeftovers(parent) }
        self.parents = parents
        self.version2Parent = version2Parent
        self.warnings = warnings
    }

    /// The supervisor's own groups, as /proc/self/cgroup has them.
    private static func candidates(root: String, own: String) -> [(path: String, isVersion2: Bool)] {
        var candidates: [(path: String, isVersion2: Bool)] = []
        for line in own.split(separator: "\n") {
            // "0::/path" for version 2, "4:memory:/path" for version 1.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            let path = parts[2] == "/" ? "" : String(parts[2])
            if controllers.isEmpty {
                candidates.append(("\(root)\(path)", true))
            } else if controllers.contains(where: { ["memory", "cpu", "pids"].contains($0) }) {
                candidates.append(("\(root)/\(parts[1])\(path)", false))
            }
        }
        return candidates
    }

    /// Hands the controllers on to the groups below. Returns what to tell the operator when that fails.
    private static func enableControllers(_ path: String) -> String? {
        let available = Set(readFile("\(path)/cgroup.controllers").split(whereSeparator: { $0 == " " || $0 == "\n" }))
        let enabled = Set(readFile("\(path)/cgroup.subtree_control").split(whereSeparator: { $0 == " " || $0 == "\n" }))
        let wanted = available.intersection(["cpu", "memory", "pids"]).subtracting(enabled).sorted()
        guard !wanted.isEmpty else { return nil }
        let status = writeFile("\(path)/cgroup.subtree_control", wanted.map { "+\($0)" }.joined(separator: " "))
        guard status != 0 else { return nil }
        return
            "\(wanted.joined(separator: ", ")) cannot be handed on to cells' groups below \(path) (\(String(cString: strerror(status)))): start "
            + "the daemon in a leaf of its own, see docs/sandbox.md"
    }

    /// Groups are named after their supervisor's process; one that still holds a process stays.
    private static func removeLeftovers(_ path: String) {
        for name in (try? folderEntries(path)) ?? [] where name.hasPrefix(Self.prefix) {
            guard let pid = name.dropFirst(Self.prefix.count).split(separator: "-").first.flatMap({ pid_t($0) }), pid > 0 else { continue }
            if kill(pid, 0) != 0, errno == ESRCH { rmdir("\(path)/\(name)") }
        }
    }

    private static let prefix = "cloister-"

    func group(name: String, memoryLimitBytes: UInt64? = nil) -> Cgroup {
        let safe = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? String($0) : "_" }.joined()
        let folder = "\(Self.prefix)\(getpid())-\(safe)"
        return Cgroup(
            paths: parents.map { "\($0)/\(folder)" }, version2Path: version2Parent.map { "\($0)/\(folder)" },
            memoryLimitBytes: memoryLimitBytes)
    }
}

/// A cell's groups, one a hierarchy.
final class Cgroup: Sendable {
    /// Cells weigh half of what the default is, so that the supervisor goes first.
    private static let weight = "50"
    private static let shares = "512"
    /// Threads of one cell; its pool is fixed and far below.
    private static let processesLimit = "1024"

    let paths: [String]
    private let version2Path: String?

    /// What the cell may hold in all, whatever it does; nil: no more than its supervisor may.
    private let memoryLimitBytes: UInt64?

    init(paths: [String], version2Path: String?, memoryLimitBytes: UInt64? = nil) {
        self.paths = paths
        self.memoryLimitBytes = memoryLimitBytes
        self.version2Path = version2Path
    }

    /// The group of version 2, made, for a process to start in; the caller closes it. -1: there is none.
    func openVersion2() -> Int32 {
        guard let version2Path else { return -1 }
        make(version2Path)
        return open(version2Path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    /// Makes the groups and moves a process in. What fails leaves the process where it is in that hierarchy.
    func add(_ pid: pid_t) {
        for path in paths {
            make(path)
            _ = writeFile("\(path)/cgroup.procs", "\(pid)")
        }
    }

    private func make(_ path: String) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { return }
        // Files that a hierarchy does not have are not there to be written.
        _ = writeFile("\(path)/cpu.weight", Self.weight)
        _ = writeFile("\(path)/cpu.shares", Self.shares)
        _ = writeFile("\(path)/pids.max", Self.processesLimit)
        guard let memoryLimitBytes else { return }
        _ = writeFile("\(path)/memory.max", "\(memoryLimitBytes)")
        _ = writeFile("\(path)/memory.swap.max", "0")
        _ = writeFile("\(path)/memory.limit_in_bytes", "\(memoryLimitBytes)")
    }

    /// Whether the limits are in force for `pid`, as the kernel has them.
    func measures(_ pid: pid_t) -> [SealMeasure] {
        let page = UInt64(getpagesize())
        let memory = memoryLimitBytes.map { "\($0 / page * page)" }
        return [
            measure("cgroup limit of threads", pid, [("pids.max", Self.processesLimit)]),
            measure("cgroup limit of memory", pid, [("memory.max", memory), ("memory.limit_in_bytes", memory)]),
        ]
    }

    /// - Parameter files: any of these, whichever the hierarchy has, and what it must say.
    private func measure(_ name: String, _ pid: pid_t, _ files: [(file: String, value: String?)]) -> SealMeasure {
        for path in paths {
            for (file, value) in files {
                let found = readFile("\(path)/\(file)").split(separator: "\n").first.map(String.init)
                guard let found, let value else { continue }
                let members = readFile("\(path)/cgroup.procs").split(separator: "\n")
                guard members.contains("\(pid)") else { return SealMeasure(name, "it is not in \(path)", .missing) }
                return SealMeasure(name, "its group's \(file) is \(found)", if: found == value)
            }
        }
        return SealMeasure(name, "no cgroup is writable here that has it", .notOffered)
    }

    /// Cells together weigh as much as one cell alone does, twice over at most in steps that are fine enough: the supervisor still goes first.
    private static let sharesOfAll = 1_024.0
    private static let weightOfAll = 200.0

    /// - Parameter share: of what all cells get, above 0 to 1.
    func setCPUShare(_ share: Double) {
        for path in paths {
            _ = writeFile("\(path)/cpu.shares", "\(max(2, Int((share * Self.sharesOfAll).rounded())))")
            _ = writeFile("\(path)/cpu.weight", "\(max(1, Int((share * Self.weightOfAll).rounded())))")
        }
    }

    /// Removes the groups; they must be empty.
    func remove() { for path in paths { rmdir(path) } }
}
