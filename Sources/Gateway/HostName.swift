/// The authority of a request as routing and URLs need it.
struct HostName: Equatable {
    /// Lower case, without port and trailing dot.
    var host: String
    /// `host`, and `:port` unless it is the scheme's own.
    var authority: String

    /// Reads `host[:port]`; nil for anything but a registered name of letters, digits, `-`, `_` and `.`, an IPv4 address or a bracketed
    /// IPv6 one. No user information, no escapes, no empty labels.
    /// - Parameter defaultPort: the scheme's own.
    init?(_ bytes: UnsafeRawBufferPointer, defaultPort: Int = 80) {
        guard let first = bytes.first else { return nil }
        var hostEnd = 0
        if first == UInt8(ascii: "[") {
            guard let closing = bytes.firstIndex(of: UInt8(ascii: "]")), closing > 2 else { return nil }
            for byte in bytes[1..<closing] where HTTPBytes.hexValue(byte) == nil && byte != UInt8(ascii: ":") && byte != UInt8(ascii: ".") {
                return nil
            }
            hostEnd = closing + 1
        } else {
            var labelStart = 0
            while hostEnd < bytes.count, bytes[hostEnd] != UInt8(ascii: ":") {
                let byte = HTTPBytes.lowercased(bytes[hostEnd])
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    break
                case UInt8(ascii: "."):
                    guard hostEnd > labelStart else { return nil }
                    labelStart = hostEnd + 1
                default: return nil
                }
                hostEnd += 1
            }
            guard hostEnd > 0 else { return nil }
        }
        var host = bytes[..<hostEnd].map(HTTPBytes.lowercased)
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        guard (1...253).contains(host.count) else { return nil }
        var port = defaultPort
        if hostEnd < bytes.count {
            guard bytes[hostEnd] == UInt8(ascii: ":"), bytes.count - hostEnd <= 6,
                let number = HTTPBytes.decimal(UnsafeRawBufferPointer(rebasing: bytes[(hostEnd + 1)...])), (1...65_535).contains(number)
            else { return nil }
            port = number
        }
        self.host = String(decoding: host, as: UTF8.self)
        authority = port == defaultPort ? self.host : "\(self.host):\(port)"
    }
}
