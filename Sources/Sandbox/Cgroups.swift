import Glibc
import Synchronization

/// Puts cells into cgroups of their own, where that is permitted: version 2, or version 1's memory, cpu and pids.
struct CgroupPlacement: Sendable {
    /// Folders in which a cell's group is made.
    let parents: [String]
    /// The one of them that is of version 2, if any.
    let version2Parent: String?
    /// Where version 1 has processors in a hierarchy of their own: only cells that compete are in a group there.
    let cpuParent: String?
    /// Version 2's processors, likewise; nil where somebody else has handed them on already, or where that cannot be done.
    private let cpuControl: CPUControl?
    /// What could not be done, and what to do about it.
    let warnings: [String]

    /// Finds where groups can be made below the supervisor's own, and removes what supervisors that are gone have left there.
    init(root: String = "/sys/fs/cgroup", own: String = readFile("/proc/self/cgroup")) {
        var parents: [String] = []
        var version2Parent: String?
        var cpuParent: String?
        var warnings: [String] = []
        for (path, isVersion2) in Self.candidates(root: root, own: own) where access("\(path)/cgroup.procs", F_OK) == 0 {
            guard access(path, W_OK) == 0 else {
                warnings.append("\(path) is not writable: cells stay in the supervisor's group there; see docs/sandbox.md")
                continue
            }
            parents.append(path)
            if isVersion2 { version2Parent = path }
            if !isVersion2, Self.isForProcessorsOnly(path, root) { cpuParent = path }
        }
        if let own = version2Parent, own != root {
            let parent = Self.withoutProcesses(own)
            parents = parents.map { $0 == own ? parent : $0 }
            version2Parent = parent
        }
        if parents.isEmpty {
            warnings = ["no cgroup is writable here: cells share the supervisor's, and its limits; see docs/sandbox.md"]
        }
        cpuControl = version2Parent.flatMap(CPUControl.of)
        if let version2Parent, let failure = Self.enableControllers(version2Parent) { warnings.append(failure) }
        cpuControl?.begin()
        for parent in parents { Self.removeLeftovers(parent) }
        self.parents = parents
        self.version2Parent = version2Parent
        self.cpuParent = cpuParent
        self.warnings = warnings
    }

    /// Version 2 hands no controllers on from a group that holds processes, the root's excepted ("No Internal Process Constraint", the kernel's
    /// cgroup-v2.rst): where the supervisor is in a leaf of what was delegated, groups are made beside it; where it is alone in what was delegated, it
    /// moves into a leaf.
    private static func withoutProcesses(_ own: String) -> String {
        func processes(_ path: String) -> [Substring] { readFile("\(path)/cgroup.procs").split(separator: "\n") }
        let cut = own.lastIndex(of: "/") ?? own.startIndex
        let parent = String(own[..<cut])
        // Root may write everywhere: what is not its own it is told by the leaf's name.
        let isDelegated = access("\(parent)/cgroup.procs", W_OK) == 0 && access(parent, W_OK) == 0
        if own[cut...].dropFirst() == Self.leaf, isDelegated, processes(parent).isEmpty { return parent }
        let leaf = "\(own)/\(Self.leaf)"
        if processes(own) == ["\(getpid())"], mkdir(leaf, 0o755) == 0 || errno == EEXIST {
            _ = writeFile("\(leaf)/cgroup.procs", "\(getpid())")
        }
        return own
    }

    /// The name of the supervisor's own group below what was delegated to it.
    private static let leaf = "daemon"

    private static func isForProcessorsOnly(_ path: String, _ root: String) -> Bool {
        let controllers = path.dropFirst(root.count + 1).prefix { $0 != "/" }.split(separator: ",")
        return controllers.contains("cpu") && !controllers.contains("memory") && !controllers.contains("pids")
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
            paths: parents.filter { $0 != cpuParent }.map { "\($0)/\(folder)" }, version2Path: version2Parent.map { "\($0)/\(folder)" },
            cpuParent: cpuParent, cpuFolder: folder, cpuControl: cpuControl, memoryLimitBytes: memoryLimitBytes)
    }
}

/// A cell's groups, one a hierarchy.
final class Cgroup: Sendable {
    /// Threads of one cell; its pool is fixed and far below.
    private static let processesLimit = "1024"

    let paths: [String]
    private let version2Path: String?
    /// Version 1's group for processors, and the one it leaves it for.
    private let cpu: (path: String, parent: String)?
    private let cpuControl: CPUControl?
    /// Whether it has a part of the processors, and may be given one.
    private let share = Mutex((isGiven: false, isOver: false))

    /// What the cell may hold in all, whatever it does; nil: no more than its supervisor may.
    private let memoryLimitBytes: Mutex<UInt64?>

    fileprivate init(
        paths: [String], version2Path: String?, cpuParent: String?, cpuFolder: String, cpuControl: CPUControl?, memoryLimitBytes: UInt64?
    ) {
        self.paths = paths
        self.memoryLimitBytes = Mutex(memoryLimitBytes)
        self.version2Path = version2Path
        cpu = cpuParent.map { ("\($0)/\(cpuFolder)", $0) }
        self.cpuControl = cpuControl
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
        _ = writeFile("\(path)/pids.max", Self.processesLimit)
        guard let bytes = memoryLimitBytes.withLock({ $0 }) else { return }
        _ = writeFile("\(path)/memory.swap.max", "0")
        for (limit, _) in Self.memoryFiles { _ = writeFile("\(path)/\(limit)", "\(bytes)") }
    }

    /// The limit and what is used of it, in version 2 and in version 1.
    private static let memoryFiles = [
        (limit: "memory.max", use: "memory.current"), (limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes"),
    ]

    /// Changes the limit of what is in the group. It is not made smaller than what is used: the kernel would end the cell for that.
    /// - Returns: false when more is used, and the limit is what it was.
    func setMemoryLimit(_ bytes: UInt64) -> Bool {
        memoryLimitBytes.withLock { known in
            for path in paths {
                for (limit, use) in Self.memoryFiles where access("\(path)/\(limit)", F_OK) == 0 {
                    let used = UInt64(readFile("\(path)/\(use)").filter { !$0.isWhitespace }) ?? 0
                    guard used < bytes else { return false }
                    _ = writeFile("\(path)/\(limit)", "\(bytes)")
                }
            }
            known = bytes
            return true
        }
    }

    /// Whether the limits are in force for `pid`, as the kernel has them.
    func measures(_ pid: pid_t) -> [SealMeasure] {
        let page = UInt64(getpagesize())
        let memory = memoryLimitBytes.withLock { $0 }.map { "\($0 / page * page)" }
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
        if let version2Path, let controller = files.first?.file.prefix(while: { $0 != "." }) {
            let parent = version2Path[..<(version2Path.lastIndex(of: "/") ?? version2Path.startIndex)]
            let offered = readFile("\(parent)/cgroup.controllers").split(whereSeparator: \.isWhitespace)
            if offered.contains(controller) { return SealMeasure(name, "\(parent) does not hand \(controller) on", .missing) }
        }
        return SealMeasure(name, "no cgroup is writable here that has it", .notOffered)
    }

    /// Cells together weigh as much as one cell alone does, twice over at most in steps that are fine enough: the supervisor still goes first.
    private static let sharesOfAll = 1_024.0
    private static let weightOfAll = 200.0

    /// Gives a process a part of the processors, or takes it out of the group that it had for that. A group is not used without need: under kernels
    /// 6.12 to 6.18 threads outside of groups, the supervisor's too, wait tens of milliseconds for busy ones (docs/decisions/0024).
    /// - Parameter share: of what all cells get, above 0 to 1; nil when no cell competes with another.
    func setCPUShare(_ share: Double?, of pid: pid_t) {
        self.share.withLock { state in
            guard !state.isOver else { return }
            if share != nil, !state.isGiven {
                cpuControl?.take()
                if let cpu { make(cpu.path) }
            }
            if let share {
                if let cpu { _ = writeFile("\(cpu.path)/cpu.shares", "\(max(2, Int((share * Self.sharesOfAll).rounded())))") }
                if let version2Path { _ = writeFile("\(version2Path)/cpu.weight", "\(max(1, Int((share * Self.weightOfAll).rounded())))") }
            }
            guard (share != nil) != state.isGiven else { return }
            if let cpu { _ = writeFile("\(share == nil ? cpu.parent : cpu.path)/cgroup.procs", "\(pid)") }
            if share == nil { cpuControl?.release() }
            state.isGiven = share != nil
        }
    }

    /// From here on no process is moved: once it is reaped, its number may be another's.
    func endShares() {
        share.withLock { state in
            if state.isGiven { cpuControl?.release() }
            state = (false, true)
        }
    }

    /// Removes the groups; they must be empty.
    func remove() {
        endShares()
        for path in paths { rmdir(path) }
        if let cpu { rmdir(cpu.path) }
    }
}

/// Hands version 2's cpu controller on to the groups below one while some of them have a part of the processors, and only then.
private final class CPUControl: Sendable {
    private let path: String
    private let users = Mutex(0)

    /// One for each group: cells of an older launcher are still in it when there is a new one.
    private static let all = Mutex<[String: CPUControl]>([:])

    /// - Returns: nil when groups below have it anyway.
    static func of(_ parent: String) -> CPUControl? {
        all.withLock { all in
            if let known = all[parent] { return known }
            let path = "\(parent)/cgroup.subtree_control"
            guard !readFile(path).split(whereSeparator: \.isWhitespace).contains("cpu") else { return nil }
            let control = CPUControl(path)
            all[parent] = control
            return control
        }
    }

    private init(_ path: String) { self.path = path }

    /// What was tried at the start is taken back.
    func begin() { users.withLock { users in if users == 0 { _ = writeFile(path, "-cpu") } } }

    func take() {
        users.withLock { users in
            if users == 0 { _ = writeFile(path, "+cpu") }
            users += 1
        }
    }

    func release() {
        users.withLock { users in
            users -= 1
            if users == 0 { _ = writeFile(path, "-cpu") }
        }
    }
}
