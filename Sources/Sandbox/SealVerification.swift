import CLinux
import Glibc

extension CellProcess {
    /// A measure that is not in force.
    public struct Unsealed: Error, CustomStringConvertible {
        /// What was found instead, or why nothing can be found.
        public var description: String
    }

    /// Checks from outside, in the kernel's own words, that the cell is sealed. To be called after READY, when no thread can come any more;
    /// takes about a millisecond.
    public func verifySealed() throws(Unsealed) {
        for measure in try sealMeasures() where measure.result != .proved { throw Unsealed(description: measure.proof) }
        // Whose number was looked at: had the process ended, another could have taken it.
        guard !hasEnded(withinMilliseconds: 0) else { throw Unsealed(description: "the process has ended") }
    }

    /// What can be seen of the seal from outside: every thread's filters, capabilities and ids, the root, descriptors, limits, namespaces.
    public func sealMeasures() throws(Unsealed) -> [SealMeasure] {
        var threads: [(id: String, status: StatusFields)] = []
        for thread in try entries("task").sorted() { threads.append((thread, StatusFields(path: "/proc/\(pid)/task/\(thread)/status"))) }
        return threadMeasures(threads) + [try emptyRoot(), rootMount(), try descriptors()] + limitMeasures() + (try namespaceMeasures())
            + [map("user"), map("group")]
    }

    /// What is looked at besides when a machine is checked: no cell is refused for it.
    public func furtherMeasures() -> [SealMeasure] { [networkMeasure(), priorityMeasure()] + group.measures(pid) }

    // MARK: Threads

    private func threadMeasures(_ threads: [(id: String, status: StatusFields)]) -> [SealMeasure] {
        func every(_ name: String, _ field: String, _ isRight: ([Substring]) -> Bool) -> SealMeasure {
            let wrong = threads.first { !($0.status[field].map(isRight) ?? false) }
            let shown = (wrong ?? threads.first).map { $0.status[field]?.joined(separator: " ") ?? "unknown" } ?? "unknown"
            if let wrong { return SealMeasure(name, "thread \(wrong.id) has \(field) \(shown)", .missing) }
            return SealMeasure(
                name, "/proc: \(field) is \(shown.isEmpty ? "empty" : shown) for \(threads.count) threads", if: !threads.isEmpty)
        }
        // Ours come on top of those that the supervisor itself runs under, in a container for one.
        let inherited = StatusFields(path: "/proc/self/status")["Seccomp_filters"]?.first.flatMap { Int($0) } ?? 0
        var measures = [
            every("no new privileges", "NoNewPrivs") { $0 == ["1"] },
            every("seccomp in filter mode", "Seccomp") { $0 == ["2"] },
            every("two filters", "Seccomp_filters") { $0.first.flatMap { Int($0) }.map { $0 == inherited + 2 } ?? false },
        ]
        for (name, field) in [
            ("inheritable", "CapInh"), ("permitted", "CapPrm"), ("effective", "CapEff"), ("bounding", "CapBnd"), ("ambient", "CapAmb"),
        ] {
            measures.append(every("no \(name) capabilities", field) { $0.count == 1 && $0[0].allSatisfy { $0 == "0" } })
        }
        let isRoot = geteuid() == 0
        // Real, effective, saved and for files. An ordinary user's cell can only be that user outside, and keeps its groups.
        for (name, field, own) in [("user", "Uid", geteuid()), ("group", "Gid", getegid())] {
            measures.append(every("\(name) id outside", field) { $0.count == 4 && $0.allSatisfy { isRoot ? $0 != "0" : $0 == "\(own)" } })
        }
        if isRoot { measures.append(every("no groups", "Groups") { $0.isEmpty }) }
        return measures
    }

    // MARK: Files

    private func emptyRoot() throws(Unsealed) -> SealMeasure {
        let root = try entries("root/").sorted()
        return SealMeasure(
            "empty root", root.isEmpty ? "its root has no entries" : "its root holds \(root.joined(separator: ", "))", if: root.isEmpty)
    }

    private func rootMount() -> SealMeasure {
        // "36 35 98:0 /mnt1 / rw,noatime …": the sixth field has the mount's own options.
        let mounts = readFile("/proc/\(pid)/mountinfo").split(separator: "\n").map { $0.split(separator: " ") }
        let options = Set(mounts.first.flatMap { $0.count > 5 ? $0[5].split(separator: ",") : nil } ?? [])
        let isRight = mounts.count == 1 && options.isSuperset(of: ["ro", "nosuid", "nodev", "noexec"])
        let shown = mounts.count == 1 ? options.sorted().joined(separator: ",") : "\(mounts.count) mounts"
        return SealMeasure("read-only root, the only mount", "its mounts: \(shown)", if: isRight)
    }

    private func descriptors() throws(Unsealed) -> SealMeasure {
        let name = "no descriptors but its own"
        let descriptors = try entries("fd").sorted()
        guard descriptors == ["0", "1", "2", "3", "4"] else {
            return SealMeasure(name, "its descriptors are \(descriptors.joined(separator: ", "))", .missing)
        }
        let null = dev_t(1 << 8 | 3)
        for number in 0...1 {
            let file = try information("fd/\(number)")
            guard file.st_mode & S_IFMT == S_IFCHR, file.st_rdev == null else {
                return SealMeasure(name, "its descriptor \(number) is not /dev/null", .missing)
            }
        }
        for (number, kind, word) in [(2, S_IFIFO, "pipe"), (3, S_IFSOCK, "socket"), (4, S_IFREG, "file")]
        where try information("fd/\(number)").st_mode & S_IFMT != kind {
            return SealMeasure(name, "its descriptor \(number) is not a \(word)", .missing)
        }
        guard isSealedFile("fd/4") else { return SealMeasure(name, "its descriptor 4 can be written to", .missing) }
        return SealMeasure(name, "/proc: /dev/null twice, a pipe, a socket, a memory file that nobody can change", .proved)
    }

    // MARK: Limits

    /// Soft and hard limit of each.
    private func limitMeasures() -> [SealMeasure] {
        let lines = readFile("/proc/\(pid)/limits").split(separator: "\n")
        return [
            ("CORE", "Max core file size", "0"), ("NPROC", "Max processes", "0"), ("MEMLOCK", "Max locked memory", "0"),
            ("MSGQUEUE", "Max msgqueue size", "0"), ("NOFILE", "Max open files", "8"), ("RTPRIO", "Max realtime priority", "0"),
            ("NICE", "Max nice priority", "0"),
        ].map { name, title, value in
            let line = lines.first { $0.hasPrefix(title) }
            let values = line?.dropFirst(title.count).split(separator: " ").prefix(2).map(String.init) ?? []
            return SealMeasure(
                "limit \(name)", "its \(title) is \(values.isEmpty ? "unknown" : values.joined(separator: " "))",
                if: values == [value, value])
        }
    }

    // MARK: Namespaces

    private func namespaceMeasures() throws(Unsealed) -> [SealMeasure] {
        var measures: [SealMeasure] = []
        for kind in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
            let its = try information("ns/\(kind)")
            let ours = try information("ns/\(kind)", of: "self")
            let isOwn = its.st_ino != ours.st_ino || its.st_dev != ours.st_dev
            let proof = isOwn ? "/proc: another than the supervisor's" : "it shares the \(kind) namespace"
            measures.append(SealMeasure("namespace \(kind)", proof, if: isOwn))
        }
        return measures
    }

    private func map(_ kind: String) -> SealMeasure {
        let own = kind == "user" ? geteuid() : getegid()
        let outside = geteuid() == 0 ? CellLauncher.unprivilegedID : own
        let lines = readFile("/proc/\(pid)/\(kind.prefix(1))id_map").split(separator: "\n").map { $0.split(separator: " ") }
        let shown = lines.map { $0.joined(separator: " ") }.joined(separator: ", ")
        return SealMeasure("\(kind) id map", "its \(kind) id map is \(shown)", if: lines == [["0", "\(outside)"[...], "1"]])
    }

    private func networkMeasure() -> SealMeasure {
        // Two lines of titles, then one an interface.
        let interfaces = readFile("/proc/\(pid)/net/dev").split(separator: "\n").dropFirst(2).compactMap {
            $0.split(separator: ":").first?.split(separator: " ").first
        }
        // A new namespace has the loopback, down; other devices come of modules that make one a namespace, all down as well.
        let addresses = readFile("/proc/\(pid)/net/fib_trie")
        return SealMeasure(
            "no network", "its interfaces: \(interfaces.joined(separator: ", ")); addresses: \(addresses.isEmpty ? "none" : "some")",
            if: interfaces.contains("lo") && addresses.isEmpty)
    }

    private func priorityMeasure() -> SealMeasure {
        let wanted = CellPriority.cell.value
        let its = getpriority(Int32(PRIO_PROCESS.rawValue), id_t(pid))
        return SealMeasure("lower priority", "its nice value is \(its)", if: its == wanted)
    }

    // MARK: Asking

    private func entries(_ name: String) throws(Unsealed) -> [String] {
        do { return try folderEntries("/proc/\(pid)/\(name)") } catch { throw Unsealed(description: "it cannot be looked at: \(error)") }
    }

    /// Only memory files have seals.
    private func isSealedFile(_ name: String) -> Bool {
        let file = open("/proc/\(pid)/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return clinux_memfd_is_sealed(file)
    }

    private func information(_ name: String, of process: String? = nil) throws(Unsealed) -> stat {
        var result = stat()
        let path = "/proc/\(process ?? "\(pid)")/\(name)"
        guard stat(path, &result) == 0 else {
            throw Unsealed(description: "it cannot be looked at: \(SandboxFailure(stage: "stat \(path)", errorNumber: errno))")
        }
        return result
    }
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
