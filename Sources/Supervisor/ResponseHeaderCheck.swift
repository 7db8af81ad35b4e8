import NIOCore

/// A response that a tenant's code may well produce, but HTTP cannot carry.
struct UncarriableResponse: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Whether a block of headers from a cell can be written to a client as it is: `name\nvalue\n…`. What the Web runtime lets no tenant say is a
/// `ProtocolViolation`; what a tenant can say and HTTP cannot carry, an `UncarriableResponse`.
enum ResponseHeaderCheck {
    static let bytesLimit = 64 << 10
    static let countLimit = 256

    static func check(_ headers: ByteBuffer) throws {
        guard headers.readableBytes <= bytesLimit else {
            throw UncarriableResponse("the response's headers take \(headers.readableBytes) bytes; at most \(bytesLimit) can be carried")
        }
        guard headers.readableBytes > 0 else { return }
        try headers.withUnsafeReadableBytes { bytes in
            var isName = true
            var uncarriable: UInt8?
            var nameLength = 0
            var lines = 1
            for byte in bytes {
                if byte == UInt8(ascii: "\n") {
                    if isName, nameLength == 0 { throw ProtocolViolation("a header without a name") }
                    isName.toggle()
                    nameLength = 0
                    lines += 1
                } else if isName {
                    guard isToken(byte) else { throw ProtocolViolation("a header's name has the byte \(byte)") }
                    nameLength += 1
                } else if byte == 0 || byte == UInt8(ascii: "\r") {
                    throw ProtocolViolation("a header's value has the byte \(byte)")
                } else if byte < 0x20 && byte != 0x09 || byte == 0x7f {
                    uncarriable = byte
                }
            }
            // An even number of lines, or one more that is empty after a trailing line break.
            guard !isName || nameLength == 0 else { throw ProtocolViolation("a header without a value") }
            guard lines / 2 <= countLimit else {
                throw UncarriableResponse("the response has \(lines / 2) headers; at most \(countLimit) can be carried")
            }
            if let uncarriable {
                throw UncarriableResponse("a header's value has the control character \(uncarriable), which HTTP cannot carry")
            }
        }
    }

    /// RFC 9110, 5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"),
            UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
            UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
