import Glibc

/// Builds one log line in bytes. What tenants wrote is escaped: no control character, line separator or direction mark gets through, so that
/// a line cannot pretend to be another one, in a file or on a terminal.
struct LogText {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(256) }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func append(ascii text: String) { bytes.append(contentsOf: text.utf8) }

    /// Appends `text`, escaped as within a JSON string when `inJSON`, else as a terminal may show it; stops after about `limit` bytes.
    /// - Returns: false when it was cut.
    @discardableResult
    mutating func append(escaped text: String, limit: Int, inJSON: Bool) -> Bool {
        let end = bytes.count + max(limit, 0)
        for scalar in text.unicodeScalars {
            if bytes.count >= end {
                bytes.append(contentsOf: "…".utf8)
                return false
            }
            if scalar.isASCII {
                append(byte: UInt8(truncatingIfNeeded: scalar.value), inJSON: inJSON)
            } else if Self.isHidden(scalar) {
                append(unit: scalar.value)
            } else {
                bytes.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        return true
    }

    private mutating func append(byte: UInt8, inJSON: Bool) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            if inJSON || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0..<0x20, 0x7F: append(unit: UInt32(byte))
        default: bytes.append(byte)
        }
    }

    /// `\uXXXX`; everything that is escaped lies in the basic plane.
    private mutating func append(unit: UInt32) {
        append("\\u")
        for shift in [12, 8, 4, 0] as [UInt32] { bytes.append(Self.hexDigits[Int(unit >> shift & 15)]) }
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// C1 controls (terminals obey them), line and paragraph separator, direction marks, byte order mark.
    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x80...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// Appends the time in UTC, RFC 3339 with microseconds. The date is Howard Hinnant's civil_from_days
    /// (https://howardhinnant.github.io/date_algorithms.html).
    mutating func append(time: timespec) {
        let days = time.tv_sec >= 0 ? time.tv_sec / 86_400 : (time.tv_sec - 86_399) / 86_400
        let second = time.tv_sec - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        append(number: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), digits: 4)
        append("-")
        append(number: month, digits: 2)
        append("-")
        append(number: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, digits: 2)
        append("T")
        append(number: second / 3_600, digits: 2)
        append(":")
        append(number: second / 60 % 60, digits: 2)
        append(":")
        append(number: second % 60, digits: 2)
        append(".")
        append(number: time.tv_nsec / 1_000, digits: 6)
        append("Z")
    }

    private mutating func append(number: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
