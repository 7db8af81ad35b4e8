import Glibc

/// What the kernel says of the machine's memory.
public enum MachineMemory {
    /// What this process and its children may take: the smaller of the machine's and of the limits of the cgroups it lies in.
    public static var limitBytes: UInt64 {
        let physical = UInt64(sysconf(Int32(_SC_PHYS_PAGES))) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        return ([physical] + cgroupLimits(text("/proc/self/cgroup"))).min()!
    }

    /// Limits along the process's way through version 2 (`memory.max`) and version 1 (`memory.limit_in_bytes`).
    private static func cgroupLimits(_ membership: String) -> [UInt64] {
        var limits: [UInt64] = []
        for line in membership.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isV2 = parts[1].isEmpty
            guard isV2 || parts[1].split(separator: ",").contains("memory") else { continue }
            let roots = isV2 ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : ["/sys/fs/cgroup/memory"]
            var path = String(parts[2])
            while true {
                for root in roots {
                    let file = root + (path == "/" ? "" : path) + (isV2 ? "/memory.max" : "/memory.limit_in_bytes")
                    if let limit = UInt64(text(file).filter { !$0.isWhitespace }) { limits.append(limit) }
                }
                guard let slash = path.lastIndex(of: "/"), path != "/" else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return limits
    }

    /// The part of the last ten seconds, 0 to 1, in which some task waited for memory (pressure stall information); 0 where the kernel
    /// does not tell.
    public static var pressure: Double { pressure(in: text("/proc/pressure/memory")) }

    static func pressure(in text: String) -> Double {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("some ") }),
            let field = line.split(separator: " ").first(where: { $0.hasPrefix("avg10=") }),
            let percent = Double(field.dropFirst(6))
        else { return 0 }
        return percent / 100
    }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        return String(unsafeUninitializedCapacity: 4096) { max(0, read(descriptor, $0.baseAddress, $0.count)) }
    }
}
