/// Where encoded bytes go: a NIO buffer in the supervisor, `ByteWriter` in the cell. Integers are little-endian.
public protocol ByteSink {
    mutating func append(_ bytes: UnsafeRawBufferPointer)
}

extension ByteSink {
    /// As many bytes as the type has.
    @inlinable
    public mutating func append<T: FixedWidthInteger>(integer: T) {
        var value = integer.littleEndian
        withUnsafeBytes(of: &value) { append($0) }
    }

    /// Eight bytes: the bits of an IEEE double.
    @inlinable
    public mutating func append(double: Double) { append(integer: double.bitPattern) }

    /// UTF-8 with a 32-bit length before it.
    @inlinable
    public mutating func append(string: String) {
        var string = string
        string.withUTF8 {
            append(integer: UInt32($0.count))
            append(UnsafeRawBufferPointer($0))
        }
    }

    /// Bytes with a 32-bit length before them.
    @inlinable
    public mutating func append(bytes: UnsafeRawBufferPointer) {
        append(integer: UInt32(bytes.count))
        append(bytes)
    }

    /// An array's bytes with a 32-bit length before them.
    @inlinable
    public mutating func append(bytes: [UInt8]) { bytes.withUnsafeBytes { append(bytes: $0) } }
}

/// A growing array of encoded bytes.
public struct ByteWriter: ByteSink {
    /// All that was written so far; may be appended to.
    public var bytes: [UInt8]

    /// Has room for `capacity` bytes; takes more when it is needed.
    @inlinable
    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// The bytes as they are, without a length.
    @inlinable
    public mutating func append(_ buffer: UnsafeRawBufferPointer) { bytes.append(contentsOf: buffer) }
}

/// Reads encoded values out of borrowed memory. Every read checks what is left: malformed input throws, never traps.
public struct ByteReader {
    @usableFromInline var rest: UnsafeRawBufferPointer

    /// Borrows `bytes`: the reader must not outlive them.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// Bytes that are not read yet.
    @inlinable
    public var remaining: Int { rest.count }

    /// Takes an integer; it need not be aligned.
    @inlinable
    public mutating func integer<T: FixedWidthInteger>(_: T.Type = T.self) throws(WireError) -> T {
        let size = MemoryLayout<T>.size
        guard rest.count >= size else { throw .truncated }
        let value = rest.loadUnaligned(as: T.self)
        rest = UnsafeRawBufferPointer(rebasing: rest[size...])
        return T(littleEndian: value)
    }

    /// Takes a double, as `ByteSink.append(double:)` wrote it.
    @inlinable
    public mutating func double() throws(WireError) -> Double { Double(bitPattern: try integer(UInt64.self)) }

    /// The next `count` bytes, borrowed.
    @inlinable
    public mutating func take(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard count >= 0, rest.count >= count else { throw .truncated }
        let taken = UnsafeRawBufferPointer(rebasing: rest[..<count])
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        return taken
    }

    /// Bytes with a 32-bit length before them, borrowed.
    @inlinable
    public mutating func bytes() throws(WireError) -> UnsafeRawBufferPointer { try take(Int(integer(UInt32.self))) }

    /// UTF-8 with a 32-bit length before it.
    @inlinable
    public mutating func string() throws(WireError) -> String {
        guard let text = String(validating: try bytes(), as: UTF8.self) else { throw .invalid("text is not UTF-8") }
        return text
    }

    /// All that is left, borrowed.
    @inlinable
    public mutating func takeRest() -> UnsafeRawBufferPointer {
        defer { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
        return rest
    }
}

/// Why bytes are not a frame.
public enum WireError: Error, Equatable, CustomStringConvertible {
    case truncated
    case invalid(String)

    /// What the log says when a cell ends for it.
    public var description: String {
        switch self {
        case .truncated: "the frame ends before its last field"
        case .invalid(let why): why
        }
    }
}
