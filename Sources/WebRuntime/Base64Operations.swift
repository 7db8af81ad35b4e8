import Engine

/// Operations for `atob` and `btoa`: strings of bytes (units below 0x100) both ways. Null: the input is not as it must be.
let base64Operations: [(name: String, function: Operation)] = [
    (
        "base64Encode",
        {
            let call = OperationCall($0)
            let (count, isOneByte) = call.string(0)
            guard isOneByte else { return call.returnNull() }
            withUnsafeTemporaryAllocation(byteCount: count + (count + 2) / 3 * 4, alignment: 1) { room in
                let input = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
                let output = UnsafeMutableRawBufferPointer(rebasing: room[count...])
                let read = call.writeLatin1(0, into: input)
                let written = Base64.encode(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(input)[..<read]), into: output)
                call.returnLatin1(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<written]))
            }
        }
    ),
    (
        "base64Decode",
        {
            let call = OperationCall($0)
            let (count, isOneByte) = call.string(0)
            guard isOneByte else { return call.returnNull() }
            withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { room in
                let read = call.writeLatin1(0, into: room)
                guard let written = Base64.decode(inPlace: UnsafeMutableRawBufferPointer(rebasing: room[..<read])) else {
                    return call.returnNull()
                }
                call.returnLatin1(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<written]))
            }
        }
    ),
]

/// Base64 of RFC 4648, decoded as forgivingly as the Infra standard says (https://infra.spec.whatwg.org/#forgiving-base64-decode).
enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// `output` must have room for four bytes for every three of the input, begun ones included.
    static func encode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        var index = 0
        func put(_ value: UInt32) {
            output[written] = alphabet.utf8Start[Int(value & 63)]
            written += 1
        }
        while index + 2 < input.count {
            let group = UInt32(input[index]) << 16 | UInt32(input[index + 1]) << 8 | UInt32(input[index + 2])
            put(group >> 18)
            put(group >> 12)
            put(group >> 6)
            put(group)
            index += 3
        }
        let rest = input.count - index
        guard rest > 0 else { return written }
        let group = UInt32(input[index]) << 16 | (rest == 2 ? UInt32(input[index + 1]) << 8 : 0)
        put(group >> 18)
        put(group >> 12)
        if rest == 2 {
            put(group >> 6)
        } else {
            output[written] = UInt8(ascii: "=")
            written += 1
        }
        output[written] = UInt8(ascii: "=")
        return written + 1
    }

    /// Decodes over the input itself.
    /// - Returns: the count of bytes decoded; nil when the input is not base64.
    static func decode(inPlace bytes: UnsafeMutableRawBufferPointer) -> Int? {
        // White space counts for nothing; padding only at the end of a length that is a multiple of four.
        var count = 0
        for index in 0..<bytes.count {
            switch bytes[index] {
            case 0x09, 0x0A, 0x0C, 0x0D, 0x20: break
            case let byte:
                bytes[count] = byte
                count += 1
            }
        }
        if count > 0, count % 4 == 0 {
            if bytes[count - 1] == UInt8(ascii: "=") { count -= 1 }
            if bytes[count - 1] == UInt8(ascii: "=") { count -= 1 }
        }
        guard count % 4 != 1 else { return nil }
        var written = 0
        var group: UInt32 = 0
        for index in 0..<count {
            guard let value = value(of: bytes[index]) else { return nil }
            group = group << 6 | value
            if index % 4 == 3 {
                bytes[written] = UInt8(truncatingIfNeeded: group >> 16)
                bytes[written + 1] = UInt8(truncatingIfNeeded: group >> 8)
                bytes[written + 2] = UInt8(truncatingIfNeeded: group)
                written += 3
            }
        }
        switch count % 4 {
        case 2:
            bytes[written] = UInt8(truncatingIfNeeded: group >> 4)
            written += 1
        case 3:
            bytes[written] = UInt8(truncatingIfNeeded: group >> 10)
            bytes[written + 1] = UInt8(truncatingIfNeeded: group >> 2)
            written += 2
        default: break
        }
        return written
    }

    private static func value(of byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
