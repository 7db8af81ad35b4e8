import Wire

/// Bytes on their way to the supervisor. Grows as needed (what may wait in it is bounded by the windows of the requests) and shrinks when
/// it has been emptied.
struct OutputBuffer: ByteSink {
    private static let restingBytes = 256 << 10
    private static let largestKeptBytes = 4 << 20

    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: restingBytes, alignment: 16)
    private var start = 0
    private var end = 0

    var count: Int { end - start }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[start..<end]) }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(count: bytes.count) {
            if let base = bytes.baseAddress { $0.copyMemory(from: UnsafeRawBufferPointer(start: base, count: bytes.count)) }
        }
    }

    /// Adds `count` bytes that `fill` writes.
    mutating func append(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        if memory.count - end < count { makeRoom(for: count) }
        fill(UnsafeMutableRawBufferPointer(rebasing: memory[end..<(end + count)]))
        end += count
    }

    mutating func consume(_ count: Int) {
        start += count
        guard start == end else { return }
        start = 0
        end = 0
        if memory.count > Self.largestKeptBytes { reallocate(Self.restingBytes) }
    }

    private mutating func makeRoom(for count: Int) {
        let needed = self.count + count
        reallocate(needed <= memory.count ? memory.count : max(needed, memory.count * 2))
    }

    private mutating func reallocate(_ size: Int) {
        let moved = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        moved.copyMemory(from: bytes)
        memory.deallocate()
        memory = moved
        end -= start
        start = 0
    }
}
