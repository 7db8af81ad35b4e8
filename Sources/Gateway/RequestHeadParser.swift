import Glibc
import NIOCore
import Wire

/// Reads request heads of HTTP/1.0 and 1.1 (RFC 9112) from whole heads that `HeadScanner` has cut out.
///
/// Strict: what another implementation on the way might read differently is refused, never repaired. Header fields go straight into the flat
/// form that cells take; hop-by-hop ones, and those a client must not set, are left out.
struct RequestHeadParser {
    private let limits: GatewayLimits
    private let scheme: URLScheme
    /// The peer's address, as `x-real-ip` says it; empty where there is none.
    private let peer: [UInt8]
    /// Room for the fields that the gateway adds itself, without the peer's address.
    private static let ownFieldsBytes = "x-real-ip\n\nx-request-id\n0000000000000000\n".utf8.count
    /// The last Host value and what it means: a connection seldom asks for two.
    private var lastHostBytes: [UInt8] = []
    private var lastHost: HostName?

    init(limits: GatewayLimits, peer: String, scheme: URLScheme = .http) {
        self.limits = limits
        self.scheme = scheme
        self.peer = Array(peer.utf8)
    }

    /// What the fields say about the message itself.
    private struct Fields {
        var host: Range<Int>?
        var contentLength: Int?
        var isChunked = false
        var closes = false
        var keepsAlive = false
        var expectation: Range<Int>?
        /// Connection names fields that are for this hop only.
        var nominates = false
        var cookies = 0
    }

    /// - Parameters:
    ///   - bytes: the head with its last empty line; every LF in it follows a CR.
    ///   - headers: cleared, then filled with `name\nvalue\n…`.
    mutating func parse(_ bytes: UnsafeRawBufferPointer, into headers: inout ByteBuffer) throws(RequestRefusal) -> RequestHead {
        let (method, target, isOld, fieldsStart) = try requestLine(bytes)
        var fields = Fields()
        headers.clear(minimumCapacity: bytes.count + peer.count + Self.ownFieldsBytes)
        try readFields(bytes, from: fieldsStart, into: &headers, &fields)
        guard let hostRange = fields.host else { throw .bad("the request has no Host") }
        let host = try hostName(UnsafeRawBufferPointer(rebasing: bytes[hostRange]))
        let isForServer = method == "OPTIONS" && target.count == 1 && bytes[target.lowerBound] == UInt8(ascii: "*")
        let url = try RequestURL.make(UnsafeRawBufferPointer(rebasing: isForServer ? bytes[..<0] : bytes[target]), host, scheme)
        if fields.nominates { try removeNominated(bytes, from: fieldsStart, in: &headers) }
        if fields.cookies > 1 { Self.joinCookies(in: &headers) }
        if !peer.isEmpty {
            headers.writeStaticString("x-real-ip\n")
            headers.writeBytes(peer)
            headers.writeInteger(HTTPBytes.lineFeed)
        }

        var expectsContinue = false
        if let expectation = fields.expectation, !isOld {
            guard HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: bytes[expectation]), "100-continue") else {
                throw RequestRefusal(code: .expectationFailed, message: "the only expectation known here is 100-continue")
            }
            expectsContinue = true
        }
        var framing = RequestFraming.none
        if fields.isChunked {
            guard !isOld else { throw .bad("HTTP/1.0 has no transfer codings") }
            guard fields.contentLength == nil else { throw .bad("Content-Length and Transfer-Encoding exclude each other") }
            framing = .chunked
        } else if let length = fields.contentLength {
            guard length <= limits.bodyBytes else {
                throw RequestRefusal(
                    code: .bodyTooLarge, message: "the request's body is over \(limits.bodyBytes) bytes", limit: .bodyBytes)
            }
            if length > 0 { framing = .length(length) }
        }
        return RequestHead(
            method: method, host: host.host, url: url, isForServer: isForServer, isOld: isOld,
            keepsAlive: !fields.closes && (!isOld || fields.keepsAlive),
            expectsContinue: expectsContinue && framing != .none, framing: framing)
    }

    // MARK: Request line

    private func requestLine(
        _ bytes: UnsafeRawBufferPointer
    ) throws(RequestRefusal) -> (method: String, target: Range<Int>, isOld: Bool, end: Int) {
        var index = 0
        while index < bytes.count, HTTPBytes.isToken(bytes[index]) { index += 1 }
        guard (1...24).contains(index), bytes[index] == HTTPBytes.space else { throw .bad("the request line has no method") }
        let method = String(decoding: bytes[..<index], as: UTF8.self)
        guard method != "CONNECT", method != "TRACE", method != "TRACK" else { throw .bad("the method \(method) is not offered") }
        let start = index + 1
        index = start
        // Visible characters only; a fragment is no part of a target (RFC 9112 3.2).
        while index < bytes.count, bytes[index] > 0x20, bytes[index] != 0x7F, bytes[index] != UInt8(ascii: "#") { index += 1 }
        guard index - start <= limits.targetBytes else {
            throw RequestRefusal(
                code: .targetTooLong, message: "the request target is over \(limits.targetBytes) bytes", limit: .targetBytes)
        }
        guard index > start, index + 11 <= bytes.count, bytes[index] == HTTPBytes.space else {
            throw .bad("the request target holds a character that does not belong there")
        }
        let version = UnsafeRawBufferPointer(rebasing: bytes[(index + 1)..<(index + 11)])
        let isNew = version.elementsEqual("HTTP/1.1\r\n".utf8)
        guard isNew || version.elementsEqual("HTTP/1.0\r\n".utf8) else { throw .bad("only HTTP/1.1 and HTTP/1.0 are spoken here") }
        return (method, start..<index, !isNew, index + 11)
    }

    // MARK: Fields

    private func readFields(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into headers: inout ByteBuffer, _ fields: inout Fields
    ) throws(RequestRefusal) {
        var refusal: RequestRefusal?
        headers.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count) { output in
            do throws(RequestRefusal) {
                return try readFields(bytes, from: start, output, &fields)
            } catch {
                refusal = error
                return 0
            }
        }
        if let refusal { throw refusal }
    }

    /// Copies a field to `output` before it is known whether it stays: what does not is overwritten by the next one.
    private func readFields(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ output: UnsafeMutableRawBufferPointer, _ fields: inout Fields
    ) throws(RequestRefusal) -> Int {
        var written = 0
        var index = start
        var count = 0
        while bytes[index] != HTTPBytes.carriageReturn {
            count += 1
            guard count <= limits.headerCount else {
                throw .tooLarge("the request has more than \(limits.headerCount) header fields", .headerCount)
            }
            let nameStart = written
            while HTTPBytes.isToken(bytes[index]) {
                output[written] = HTTPBytes.lowercased(bytes[index])
                written += 1
                index += 1
            }
            // Also refuses folded lines, which begin with a space, and a space before the colon.
            guard written > nameStart, bytes[index] == UInt8(ascii: ":") else { throw .bad("a header field has no proper name") }
            let name = UnsafeRawBufferPointer(rebasing: output[nameStart..<written])
            output[written] = HTTPBytes.lineFeed
            written += 1
            index += 1
            while bytes[index] == HTTPBytes.space || bytes[index] == HTTPBytes.tab { index += 1 }
            let valueStart = index
            let outputValueStart = written
            while HTTPBytes.isFieldValue(bytes[index]) {
                output[written] = bytes[index]
                written += 1
                index += 1
            }
            guard bytes[index] == HTTPBytes.carriageReturn, bytes[index + 1] == HTTPBytes.lineFeed else {
                throw .bad("a header field holds a control character")
            }
            while written > outputValueStart, output[written - 1] == HTTPBytes.space || output[written - 1] == HTTPBytes.tab {
                written -= 1
            }
            let value = valueStart..<(valueStart + written - outputValueStart)
            index += 2
            if try keeps(name, value, bytes, &fields) {
                output[written] = HTTPBytes.lineFeed
                written += 1
            } else {
                written = nameStart
            }
        }
        guard index + 2 == bytes.count else { throw .bad("a header field has no proper name") }
        return written
    }

    /// Takes note of a field that concerns the message or the hop.
    /// - Returns: whether the tenant sees it.
    @inline(__always)
    private func keeps(
        _ name: UnsafeRawBufferPointer, _ value: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ fields: inout Fields
    ) throws(RequestRefusal) -> Bool {
        switch name.count {
        case 2: return !HTTPBytes.equal(name, "te")
        case 4:
            guard HTTPBytes.equal(name, "host") else { return true }
            guard fields.host == nil else { throw .bad("the request has two Host fields") }
            fields.host = value
            return true
        case 6:
            guard HTTPBytes.equal(name, "expect") else {
                if HTTPBytes.equal(name, "cookie") { fields.cookies += 1 }
                return true
            }
            // Two of them are one list, and no list is an expectation that is known here.
            fields.expectation = fields.expectation == nil ? value : 0..<0
            return false
        case 7: return !(HTTPBytes.equal(name, "upgrade") || HTTPBytes.equal(name, "trailer"))
        case 9:
            if HTTPBytes.equal(name, "x-real-ip") { return false }
            return limits.trustsForwardedHeaders || !HTTPBytes.equal(name, "forwarded")
        case 10:
            if HTTPBytes.equal(name, "keep-alive") { return false }
            guard HTTPBytes.equal(name, "connection") else { return true }
            for option in Self.listItems(value, bytes) {
                let option = UnsafeRawBufferPointer(rebasing: bytes[option])
                if HTTPBytes.equal(option, "close") {
                    fields.closes = true
                } else if HTTPBytes.equal(option, "keep-alive") {
                    fields.keepsAlive = true
                } else {
                    fields.nominates = true
                }
            }
            return false
        case 12: return !HTTPBytes.equal(name, "x-request-id") && keepsForwarded(name)
        case 14:
            guard HTTPBytes.equal(name, "content-length") else { return keepsForwarded(name) }
            guard fields.contentLength == nil else { throw .bad("the request has two Content-Length fields") }
            guard let length = HTTPBytes.decimal(UnsafeRawBufferPointer(rebasing: bytes[value])) else {
                throw .bad("Content-Length is not a number of bytes")
            }
            fields.contentLength = length
            return true
        case 16: return !HTTPBytes.equal(name, "proxy-connection") && keepsForwarded(name)
        case 17:
            guard HTTPBytes.equal(name, "transfer-encoding") else { return keepsForwarded(name) }
            guard !fields.isChunked, HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: bytes[value]), "chunked") else {
                throw .bad("the only transfer coding taken is chunked, once")
            }
            fields.isChunked = true
            return false
        case 19: return !HTTPBytes.equal(name, "proxy-authorization") && keepsForwarded(name)
        default: return keepsForwarded(name)
        }
    }

    @inline(__always)
    private func keepsForwarded(_ name: UnsafeRawBufferPointer) -> Bool {
        if limits.trustsForwardedHeaders || name.count < 12 || name[0] != UInt8(ascii: "x") { return true }
        return !HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: name[..<12]), "x-forwarded-")
    }

    /// The items of a comma-separated list, without the spaces around them; empty ones are left out. (`split` of a raw buffer's slice gives
    /// indices that begin at 0, which is why it is done by hand.)
    private static func listItems(_ value: Range<Int>, _ bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
        var items: [Range<Int>] = []
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
            let next = end + 1
            while start < end, bytes[start] == HTTPBytes.space || bytes[start] == HTTPBytes.tab { start += 1 }
            while start < end, bytes[end - 1] == HTTPBytes.space || bytes[end - 1] == HTTPBytes.tab { end -= 1 }
            if start < end { items.append(start..<end) }
            start = next
        }
        return items
    }

    /// Takes the fields that Connection names out of `headers` again. Rare, so it may be slow.
    private func removeNominated(_ bytes: UnsafeRawBufferPointer, from start: Int, in headers: inout ByteBuffer) throws(RequestRefusal) {
        var nominated: Set<String> = []
        var lineStart = start
        while lineStart < bytes.count {
            var lineEnd = lineStart
            while bytes[lineEnd] != HTTPBytes.carriageReturn { lineEnd += 1 }
            var colon = lineStart
            while colon < lineEnd, bytes[colon] != UInt8(ascii: ":") { colon += 1 }
            if HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: bytes[lineStart..<colon]), "connection") {
                for item in Self.listItems((colon + 1)..<lineEnd, bytes) {
                    nominated.insert(String(decoding: bytes[item].map(HTTPBytes.lowercased), as: UTF8.self))
                }
            }
            lineStart = lineEnd + 2
        }
        guard nominated.isDisjoint(with: ["host", "content-length", "transfer-encoding"]) else {
            throw .bad("Connection names a field that is not this hop's")
        }
        Self.filter(&headers) { name, _ in !nominated.contains(String(decoding: name, as: UTF8.self)) }
    }

    /// Makes one field of several Cookie fields, which a list with commas would not be (RFC 9113 8.2.3). Rare, too.
    private static func joinCookies(in headers: inout ByteBuffer) {
        var cookies: [ByteBufferView] = []
        filter(&headers) { name, value in
            guard name.elementsEqual("cookie".utf8) else { return true }
            cookies.append(value)
            return false
        }
        guard !cookies.isEmpty else { return }
        headers.writeStaticString("cookie\n")
        headers.writeBytes(cookies.joined(separator: "; ".utf8))
        headers.writeInteger(HTTPBytes.lineFeed)
    }

    private static func filter(_ headers: inout ByteBuffer, keeping keeps: (_ name: ByteBufferView, _ value: ByteBufferView) -> Bool) {
        let flat = headers.readableBytesView.split(separator: HTTPBytes.lineFeed, omittingEmptySubsequences: false)
        var kept = ByteBuffer()
        for index in stride(from: 0, to: flat.count - 1, by: 2) where keeps(flat[index], flat[index + 1]) {
            kept.writeBytes(flat[index])
            kept.writeInteger(HTTPBytes.lineFeed)
            kept.writeBytes(flat[index + 1])
            kept.writeInteger(HTTPBytes.lineFeed)
        }
        headers = kept
    }

    // MARK: Host

    private mutating func hostName(_ bytes: UnsafeRawBufferPointer) throws(RequestRefusal) -> HostName {
        if let lastHost, lastHostBytes.count == bytes.count, memcmp(lastHostBytes, bytes.baseAddress!, bytes.count) == 0 { return lastHost }
        guard let host = HostName(bytes, defaultPort: scheme.port) else { throw .bad("Host is not a name") }
        lastHostBytes = Array(bytes)
        lastHost = host
        return host
    }
}
