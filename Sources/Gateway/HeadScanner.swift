import Glibc
import Wire

/// Finds the end of a request's head in bytes that arrive piece by piece; looks at each byte once. Line ends are CRLF and nothing else.
struct HeadScanner {
    private var scanned = 0
    private var lineStart = 0

    /// - Returns: the length of the head with its empty line, or nil when it is not all there.
    mutating func end(of bytes: UnsafeRawBufferPointer, limit: Int) throws(RequestRefusal) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        while scanned < bytes.count, scanned < limit {
            guard let found = memchr(base + scanned, Int32(HTTPBytes.lineFeed), min(bytes.count, limit) - scanned) else {
                scanned = min(bytes.count, limit)
                break
            }
            let lineFeed = UnsafeRawPointer(found) - base
            guard lineFeed > lineStart, bytes[lineFeed - 1] == HTTPBytes.carriageReturn else {
                throw .bad("a line of the request's head ends without CR")
            }
            scanned = lineFeed + 1
            if lineFeed == lineStart + 1 { return scanned }
            lineStart = scanned
        }
        // What does not begin like a method (a TLS handshake, say) will never end like a head. A CR may be half of an empty line before one.
        if let first = bytes.first, !HTTPBytes.isToken(first), first != HTTPBytes.carriageReturn || bytes.count > 1 {
            throw .bad("the request does not begin with a method")
        }
        guard scanned >= limit else { return nil }
        guard lineStart == 0 else { throw .tooLarge("the request's head is over \(limit) bytes", .headBytes) }
        throw RequestRefusal(code: .targetTooLong, message: "the request line is over \(limit) bytes", limit: .headBytes)
    }

    mutating func reset() {
        scanned = 0
        lineStart = 0
    }
}
