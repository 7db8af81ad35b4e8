import Glibc

/// What the kernel says of a process's memory.
enum ProcessMemory {
    static let ownPID = getpid()

    /// The proportional set size in bytes, from `smaps_rollup`; 0 where it cannot be read. Blocks while the kernel adds it up.
    static func proportionalBytes(of pid: Int32) -> UInt64 {
        let descriptor = open("/proc/\(pid)/smaps_rollup", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        let text = String(unsafeUninitializedCapacity: 4096) { max(0, read(descriptor, $0.baseAddress, $0.count)) }
        for line in text.split(separator: "\n") where line.hasPrefix("Pss:") {
            return (line.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
        }
        return 0
    }
}
