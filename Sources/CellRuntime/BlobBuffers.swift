/// Memory that snapshots are unpacked into, kept for the next one: the kernel's work for fresh pages is a good part of a revival. Any thread.
final class BlobBuffers: @unchecked Sendable {
    /// As many as there may be revivals at once, on most machines.
    private static let keptCount = 4
    /// More than this is not kept, all together.
    private static let keptBytes = 16 << 20

    private let lock = Lock()
    /// Who was used last is last.
    private var kept: [UnsafeMutableRawBufferPointer] = []
    /// The least that were kept since `giveBackUnused`.
    private var leastKept = 0

    /// At least so many bytes, aligned for V8.
    func lease(byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let known = lock.withLock {
            let index = kept.lastIndex { $0.count >= byteCount }
            defer { leastKept = min(leastKept, kept.count) }
            return index.map { kept.remove(at: $0) }
        }
        return known ?? .allocate(byteCount: byteCount + byteCount / 4, alignment: 16)
    }

    func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
        let isKept = lock.withLock {
            guard kept.count < Self.keptCount, kept.reduce(buffer.count, { $0 + $1.count }) <= Self.keptBytes else { return false }
            kept.append(buffer)
            return true
        }
        if !isKept { buffer.deallocate() }
    }

    /// Frees those that nobody has wanted since the last call.
    func giveBackUnused() {
        let unused = lock.withLock {
            let unused = Array(kept.prefix(leastKept))
            kept.removeFirst(leastKept)
            leastKept = kept.count
            return unused
        }
        for buffer in unused { buffer.deallocate() }
    }
}
