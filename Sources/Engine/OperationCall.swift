import CV8

/// An operation's view of its call: arguments are read without running JavaScript; a value of another kind reads as 0, false or empty.
/// Valid only until the operation returns.
public struct OperationCall {
    let raw: OpaquePointer

    /// Around the argument that V8 calls an `Operation` with, which is never nil.
    @inline(__always)
    public init(_ raw: OpaquePointer?) { self.raw = raw.unsafelyUnwrapped }

    /// What an argument is.
    public enum Kind { case undefined, null, bool, number, string, bytes, other }

    /// The `user` that the isolate was assigned with.
    public var user: UnsafeMutableRawPointer { cv8_call_user(raw) }
    /// The request this code runs for, 0 for none.
    public var request: UInt64 { UInt64(max(cv8_call_request(raw), 0)) }
    /// The turn's frozen time, milliseconds since 1970.
    public var timeMilliseconds: Double { cv8_call_time(raw) }
    /// Arguments that were given; those beyond read as undefined.
    public var count: Int { Int(cv8_call_count(raw)) }

    /// What an argument is: a buffer and a view of one are both `bytes`.
    public func kind(_ index: Int) -> Kind {
        switch cv8_call_kind(raw, Int32(index)) {
        case CV8_UNDEFINED: .undefined
        case CV8_NULL: .null
        case CV8_BOOL: .bool
        case CV8_NUMBER: .number
        case CV8_STRING: .string
        case CV8_BYTES: .bytes
        default: .other
        }
    }

    /// 0 when it is no number.
    public func number(_ index: Int) -> Double { cv8_call_number(raw, Int32(index)) }
    /// False when it is no boolean.
    public func bool(_ index: Int) -> Bool { cv8_call_bool(raw, Int32(index)) }

    /// The number as an integer; 0 when it is none of `T`'s.
    @inlinable
    public func integer<T: FixedWidthInteger>(_ index: Int, as _: T.Type = T.self) -> T {
        // Through Int64, whose conversion is one instruction; JavaScript's safe integers fit.
        let number = number(index)
        guard number.magnitude < 9_007_199_254_740_992 else { return 0 }
        let integer = Int64(number)
        return Double(integer) == number ? T(exactly: integer) ?? 0 : 0
    }

    /// An ArrayBuffer's or view's bytes; nil when it is neither.
    public func bytes(_ index: Int) -> UnsafeMutableRawBufferPointer? {
        var data: UnsafeMutablePointer<UInt8>?
        var length = 0
        guard cv8_call_bytes(raw, Int32(index), &data, &length) else { return nil }
        return UnsafeMutableRawBufferPointer(start: data, count: length)
    }

    /// A string's length in UTF-16 units, and whether all are below 0x100.
    public func string(_ index: Int) -> (units: Int, isOneByte: Bool) {
        var oneByte = false
        let units = cv8_call_string(raw, Int32(index), &oneByte)
        return (units, oneByte)
    }

    /// Bytes that a string takes in `writeUTF8`, three for a lone surrogate; 0 when it is no string.
    public func utf8Length(_ index: Int) -> Int { cv8_call_utf8_length(raw, Int32(index)) }

    /// Writes what fits, never part of a character; a lone surrogate becomes U+FFFD.
    public func writeUTF8(_ index: Int, into out: UnsafeMutableRawBufferPointer) -> (written: Int, unitsRead: Int) {
        var read = 0
        let written = cv8_call_write_utf8(
            raw, Int32(index), out.bindMemory(to: UInt8.self).baseAddress, out.count, &read)
        return (written, read)
    }

    /// Writes the low byte of each unit; returns how many.
    public func writeLatin1(_ index: Int, into out: UnsafeMutableRawBufferPointer) -> Int {
        cv8_call_write_latin1(raw, Int32(index), out.bindMemory(to: UInt8.self).baseAddress, out.count)
    }

    /// Writes the units that fit; returns how many.
    public func writeUTF16(_ index: Int, into out: UnsafeMutableBufferPointer<UInt16>) -> Int {
        cv8_call_write_utf16(raw, Int32(index), out.baseAddress, out.count)
    }

    /// The beginning of the string, of at most `limit` bytes, decoded.
    public func text(_ index: Int, limit: Int) -> String {
        // A unit takes three bytes at the most.
        String(unsafeUninitializedCapacity: min(string(index).units * 3, limit)) {
            writeUTF8(index, into: UnsafeMutableRawBufferPointer($0)).written
        }
    }

    // At most one of these a call.
    /// Has the call return a number.
    public func returnNumber(_ number: Double) { cv8_return_number(raw, number) }
    /// Has the call return a boolean.
    public func returnBool(_ value: Bool) { cv8_return_bool(raw, value) }
    /// Has the call return null; one that returns nothing gives undefined.
    public func returnNull() { cv8_return_null(raw) }
    /// Has the call return a string with a unit for each byte, or throw a RangeError when V8 has none so long.
    public func returnLatin1(_ bytes: UnsafeRawBufferPointer) {
        cv8_return_latin1(raw, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
    }
    /// Has the call return a string, invalid sequences as U+FFFD; throws like `returnLatin1`.
    public func returnUTF8(_ bytes: UnsafeRawBufferPointer) {
        cv8_return_utf8(raw, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
    }
    /// Has the call return a string; throws like `returnLatin1`.
    public func returnText(_ text: String) {
        var text = text
        text.withUTF8 { returnUTF8(UnsafeRawBufferPointer($0)) }
    }
    /// A new Uint8Array to fill; nil after a RangeError was thrown (over the tenant's quota).
    public func returnBytes(count: Int) -> UnsafeMutableRawBufferPointer? {
        guard let data = cv8_return_bytes(raw, count) else { return nil }
        return UnsafeMutableRawBufferPointer(start: data, count: count)
    }

    /// The class of what JavaScript catches.
    public enum ErrorType { case error, typeError, rangeError }

    /// Has the call throw, once the operation has returned; it must then return nothing else.
    public func throwError(_ type: ErrorType, _ message: String) {
        let kind =
            switch type {
            case .error: CV8_THROW_ERROR
            case .typeError: CV8_THROW_TYPE_ERROR
            case .rangeError: CV8_THROW_RANGE_ERROR
            }
        var message = message
        message.withUTF8 { text in
            text.withMemoryRebound(to: CChar.self) { cv8_throw(raw, kind, $0.baseAddress, $0.count) }
        }
    }
}
