import Glibc

/// What the kernel says of the machine's memory, and of that of the control groups that the daemon lies in (version 2 or 1).
public struct MachineMemory: Sendable, Equatable {
    /// What this process and its children may take: the smaller of the machine's and of its groups' limits.
    public var limitBytes: UInt64
    /// What may still be taken before something has to give way: page caches count as free.
    public var availableBytes: UInt64
    /// The part of the last ten seconds, 0 to 1, in which some task waited for memory (pressure stall information): of the group where the kernel
    /// tells, else of the machine, else 0.
    public var pressure: Double

    /// Takes figures as they are: all 0 until the kernel has been asked.
    public init(limitBytes: UInt64, availableBytes: UInt64, pressure: Double) {
        self.limitBytes = limitBytes
        self.availableBytes = availableBytes
        self.pressure = pressure
    }

    /// Reads a few files of the kernel's.
    public static func read() -> MachineMemory { MachineMemory(reading: text) }

    /// - Parameter read: a file's text, empty where there is none.
    init(reading read: (String) -> String) {
        let machine = read("/proc/meminfo")
        let physical = Self.bytes(named: "MemTotal", in: machine)
        limitBytes = physical ?? UInt64(sysconf(Int32(_SC_PHYS_PAGES))) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        availableBytes = Self.bytes(named: "MemAvailable", in: machine) ?? limitBytes
        let machineBytes = limitBytes
        var groupPressure = ""
        for group in Self.groups(read("/proc/self/cgroup")) {
            // Beside the daemon's leaf lie the groups of its cells: what they wait for is known above it.
            let isOwnLeaf = group.isV2 && group.folder.hasSuffix("/daemon")
            if groupPressure.isEmpty, group.isV2, !isOwnLeaf { groupPressure = read(group.folder + "/memory.pressure") }
            guard let limit = Self.number(read(group.folder + (group.isV2 ? "/memory.max" : "/memory.limit_in_bytes"))),
                limit < machineBytes,
                let usage = Self.number(read(group.folder + (group.isV2 ? "/memory.current" : "/memory.usage_in_bytes")))
            else { continue }
            let cache = Self.field(group.isV2 ? "inactive_file" : "total_inactive_file", in: read(group.folder + "/memory.stat")) ?? 0
            let used = usage > cache ? usage - cache : 0
            limitBytes = min(limitBytes, limit)
            availableBytes = min(availableBytes, limit > used ? limit - used : 0)
        }
        pressure = Self.pressure(in: groupPressure.isEmpty ? read("/proc/pressure/memory") : groupPressure)
    }

    /// The folders of the process's groups that control memory, the innermost first.
    private static func groups(_ membership: String) -> [(folder: String, isV2: Bool)] {
        var groups: [(String, Bool)] = []
        for line in membership.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isV2 = parts[1].isEmpty
            guard isV2 || parts[1].split(separator: ",").contains("memory") else { continue }
            let roots = isV2 ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : ["/sys/fs/cgroup/memory"]
            var path = String(parts[2])
            while true {
                for root in roots { groups.append((root + (path == "/" ? "" : path), isV2)) }
                guard let slash = path.lastIndex(of: "/"), path != "/" else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return groups
    }

    /// `max` and other words are no number.
    static func number(_ text: String) -> UInt64? { UInt64(text.filter { !$0.isWhitespace }) }

    /// A line `NAME: N kB`.
    private static func bytes(named name: String, in text: String) -> UInt64? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }) else { return nil }
        return line.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 << 10 }
    }

    /// A line `NAME N`.
    private static func field(_ name: String, in text: String) -> UInt64? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + " ") }) else { return nil }
        return line.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
    }

    static func pressure(in text: String) -> Double {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("some ") }),
            let field = line.split(separator: " ").first(where: { $0.hasPrefix("avg10=") }),
            let percent = Double(field.dropFirst(6))
        else { return 0 }
        return percent / 100
    }

    static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        return String(unsafeUninitializedCapacity: 8192) { max(0, Glibc.read(descriptor, $0.baseAddress, $0.count)) }
    }
}
