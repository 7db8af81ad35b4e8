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

    /// Valid as long as the object is.
    var bytes: UnsafeRawBufferPointer {
        withUnsafeMutablePointers { UnsafeRawBufferPointer(start: $1, count: $0.pointee) }
    }
}
