import CICU
import Engine

/// Operations on text: UTF-8 both ways and host names.
let textOperations: [(name: String, function: Operation)] = [
    (
        "utf8Encode",
        {
            let call = OperationCall($0)
            let count = call.utf8Length(0)
            guard let out = call.returnBytes(count: count) else { return }
            _ = call.writeUTF8(0, into: out)
        }
    ),
    (
        "utf8EncodeInto",
        {
            let call = OperationCall($0)
            guard let out = call.bytes(1) else { return call.throwError(.typeError, "the destination must be bytes") }
            let (written, read) = call.writeUTF8(0, into: out)
            // Both fit: a string has less than 2^30 units.
            call.returnNumber(Double(read) + Double(written) * 4_294_967_296)
        }
    ),
    (
        "utf8Decode",
        {
            let call = OperationCall($0)
            guard let bytes = call.bytes(0) else { return call.throwError(.typeError, "only bytes can be decoded") }
            let input = UnsafeRawBufferPointer(bytes)
            if call.bool(1), !isValidUTF8(input) { return call.returnNull() }
            call.returnUTF8(input)
        }
    ),
    (
        "domainToASCII",
        {
            let call = OperationCall($0)
            let count = call.string(0).units
            guard count <= DomainToASCII.unitsLimit else { return call.returnNull() }
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: count) { units in
                let read = call.writeUTF16(0, into: units)
                let isConverted = DomainToASCII.convert(
                    UnsafeBufferPointer(rebasing: units[..<read]), isStrict: call.bool(1)
                ) { call.returnLatin1($0) }
                if !isConverted { call.returnNull() }
            }
        }
    ),
]

/// Whether bytes are well-formed UTF-8.
func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    // Eight bytes at a time while they are ASCII, as most are.
    var index = 0
    while index + 8 <= bytes.count, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
        index += 8
    }
    while index < bytes.count {
        let lead = bytes[index]
        guard lead >= 0x80 else {
            index += 1
            continue
        }
        // The second byte's range keeps out overlong forms, surrogates and what is above U+10FFFF (Unicode 15, table 3-7).
        let second: ClosedRange<UInt8>
        let length: Int
        switch lead {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return false
        }
        guard index + length <= bytes.count, second.contains(bytes[index + 1]) else { return false }
        for offset in 2..<max(length, 2) where bytes[index + offset] & 0xC0 != 0x80 { return false }
        index += length
    }
    return true
}

/// "domain to ASCII" of the URL standard, by ICU.
enum DomainToASCII {
    /// Longer names are refused: a name that resolves has at most 253 characters.
    static let unitsLimit = 16_384

    /// Calls `take` with the name in ASCII.
    /// - Returns: false where the standard says failure.
    static func convert(
        _ units: UnsafeBufferPointer<UInt16>, isStrict: Bool, take: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        let count = Int32(units.count)
        let capacity = cicu_domain_capacity(count)
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: Int(capacity)) { out in
            let length = Int(cicu_domain_to_ascii(units.baseAddress, count, isStrict, out.baseAddress, capacity))
            guard length > 0 else { return false }
            withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { ascii in
                for index in 0..<length { ascii[index] = UInt8(truncatingIfNeeded: out[index]) }
                take(UnsafeRawBufferPointer(ascii))
            }
            return true
        }
    }

    /// Has ICU read its tables.
    static func warmUp() {
        for isStrict in [false, true] {
            for name in ["b\u{fc}cher.example", "xn--bcher-kva.example", "\u{5e9}.example"] {
                _ = Array(name.utf16).withUnsafeBufferPointer { convert($0, isStrict: isStrict) { _ in } }
            }
        }
    }
}
