import Glibc

/// What the kernel says of a process's memory.
enum ProcessMemory {
    static let ownPID = getpid()

    /// What a process has for itself, in bytes: its anonymous pages, resident or swapped out; nil where that cannot be read, 0 where the kernel tells
    /// nothing of it or its first thread has ended. Pages of files, which cells share, are not in it. From `status`, where the kernel reads counters:
    /// for `smaps_rollup` it walks all page tables, 30 ms with a thousand isolates, and whatever the process maps meanwhile waits.
    static func privateBytes(of pid: Int32) -> UInt64? {
        let descriptor = open("/proc/\(pid)/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let text = String(unsafeUninitializedCapacity: 4096) { max(0, read(descriptor, $0.baseAddress, $0.count)) }
        return text.isEmpty ? nil : privateBytes(inStatus: text)
    }

    static func privateBytes(inStatus text: String) -> UInt64 {
        var bytes: UInt64 = 0
        for line in text.split(separator: "\n") where line.hasPrefix("RssAnon:") || line.hasPrefix("VmSwap:") {
            bytes += (line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
        }
        return bytes
    }
}
