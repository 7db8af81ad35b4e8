/// Memory that snapshots are unpacked into, kept for the next one: the kernel's work for fresh pages is a good part of a revival. Any thread.
final class BlobBuffers: @unchecked Sendable {
    /// More than this is not kept, nor what a large snapshot took.
    private static let keptCount = 4
    private static let keptBytes = 2 << 20

    private let lock = Lock()
    private var kept: [UnsafeMutableRawBufferPointer] = []

    /// At least so many bytes, aligned for V8.
    func lease(byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let known = lock.withLock { kept.popLast() }
        if let known {
            if known.count >= byteCount { return known }
            known.deallocate()
        }
        return .allocate(byteCount: byteCount + byteCount / 4, alignment: 16)
    }

    func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
        let isKept = lock.withLock {
            guard buffer.count <= Self.keptBytes, kept.count < Self.keptCount else { return false }
            kept.append(buffer)
            return true
        }
        if !isKept { buffer.deallocate() }
    }
}
