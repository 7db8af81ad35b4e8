import Glibc

/// Memory that snapshots are unpacked into, kept for the next one: the kernel's work for fresh pages is a good part of a revival. Mappings of their own,
/// so that what is given back goes to the kernel. Any thread.
final class BlobBuffers: @unchecked Sendable {
    /// As many as there may be revivals at once, on most machines.
    private static let keptCount = 4
    /// More than this is not kept, all together.
    private static let keptBytes = 16 << 20

    private let lock = Lock()
    /// Who was given back last is last.
    private var kept: [UnsafeMutableRawBufferPointer] = []
    /// The least that were kept since `giveBackUnused`.
    private var leastKept = 0

    /// At least so many bytes.
    /// - Returns: nil without memory.
    func lease(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        let known = lock.withLock {
            let index = kept.indices.filter { kept[$0].count >= byteCount }.min { kept[$0].count < kept[$1].count }
            let known = index.map { kept.remove(at: $0) }
            leastKept = min(leastKept, kept.count)
            return known
        }
        if let known { return known }
        let count = byteCount + byteCount / 4
        let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else { return nil }
        return UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
        let isKept = lock.withLock {
            guard kept.count < Self.keptCount, kept.reduce(buffer.count, { $0 + $1.count }) <= Self.keptBytes else { return false }
            kept.append(buffer)
            return true
        }
        if !isKept { munmap(buffer.baseAddress, buffer.count) }
    }

    /// Frees those that nobody has wanted since the last call.
    func giveBackUnused() {
        let unused = lock.withLock {
            let unused = Array(kept.prefix(leastKept))
            kept.removeFirst(leastKept)
            leastKept = kept.count
            return unused
        }
        for buffer in unused { munmap(buffer.baseAddress, buffer.count) }
    }
}
