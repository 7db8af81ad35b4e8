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
            // RFC 1035 has 253 characters; what is longer is refused by the caller, and cannot fit in any case.
            guard count <= DomainToASCII.unitsLimit else { return call.returnNull() }
            var units = [UInt16](repeating: 0, count: count)
            _ = units.withUnsafeMutableBufferPointer { call.writeUTF16(0, into: $0) }
            guard let ascii = DomainToASCII.convert(units, isStrict: call.bool(1)) else { return call.returnNull() }
            ascii.withUnsafeBytes { call.returnLatin1($0) }
        }
    ),
]

/// Whether bytes are well-formed UTF-8.
private func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    // Most text is ASCII, which needs no decoder.
    if bytes.allSatisfy({ $0 < 0x80 }) { return true }
    return String(validating: bytes, as: UTF8.self) != nil
}

/// "domain to ASCII" of the URL standard: UTS #46, non-transitional.
enum DomainToASCII {
    static let unitsLimit = 16_384

    /// - Returns: the name in ASCII, or nil where the standard says failure.
    static func convert(_ units: [UInt16], isStrict: Bool) -> [UInt8]? {
        var status = U_ZERO_ERROR
        // CheckHyphens and UseSTD3ASCIIRules are the standard's beStrict; CheckBidi, CheckJoiners and non-transitional always.
        var options =
            UInt32(UIDNA_CHECK_BIDI) | UInt32(UIDNA_CHECK_CONTEXTJ) | UInt32(UIDNA_NONTRANSITIONAL_TO_ASCII)
        if isStrict { options |= UInt32(UIDNA_USE_STD3_RULES) }
        guard let idna = cicu_uidna_open(options, &status), status.rawValue <= U_ZERO_ERROR.rawValue else { return nil }
        defer { cicu_uidna_close(idna) }
        var info = cicu_uidna_info()
        var out = [UInt16](repeating: 0, count: units.count * 4 + 64)
        let length = cicu_uidna_name_to_ascii(idna, units, Int32(units.count), &out, Int32(out.count), &info, &status)
        guard status.rawValue <= U_ZERO_ERROR.rawValue, length >= 0, Int(length) <= out.count else { return nil }
        var errors = UInt32(info.errors)
        if !isStrict {
            errors &= ~UInt32(
                UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG
                    | UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4)
        }
        guard errors == 0, length > 0 else { return nil }
        let ascii = out[..<Int(length)]
        guard ascii.allSatisfy({ $0 < 0x80 }) else { return nil }
        return ascii.map { UInt8($0) }
    }
}
