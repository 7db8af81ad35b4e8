/// A frame's payload at a stable address, in one allocation: a suspended turn may point into it.
final class FrameBytes: ManagedBuffer<Int, UInt8> {
    static func copy(_ bytes: UnsafeRawBufferPointer) -> FrameBytes {
        make(count: bytes.count) {
            if let base = bytes.baseAddress { $0.copyMemory(from: UnsafeRawBufferPointer(start: base, count: bytes.count)) }
        }
    }

    /// `count` bytes that `fill` writes.
    static func make(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> FrameBytes {
        let frame = unsafeDowncast(FrameBytes.create(minimumCapacity: count) { _ in count }, to: FrameBytes.self)
        frame.withUnsafeMutablePointerToElements { fill(UnsafeMutableRawBufferPointer(start: $0, count: count)) }
        return frame
    }

    /// The bytes and `more` after them: in place where there is room, so that nobody may hold pointers to them, else in a copy with room for as much again.
    func joined(with more: UnsafeRawBufferPointer) -> FrameBytes {
        let (count, total) = (header, header + more.count)
        if capacity < total {
            let longer = unsafeDowncast(FrameBytes.create(minimumCapacity: total * 2) { _ in 0 }, to: FrameBytes.self)
            return longer.joined(with: bytes).joined(with: more)
        }
        guard let base = more.baseAddress else { return self }
        withUnsafeMutablePointerToElements {
            UnsafeMutableRawPointer($0 + count).copyMemory(from: base, byteCount: more.count)
        }
        header = total
        return self
    }

    /// Valid as long as the object is.
    var bytes: UnsafeRawBufferPointer {
        withUnsafeMutablePointers { UnsafeRawBufferPointer(start: $1, count: $0.pointee) }
    }
}
