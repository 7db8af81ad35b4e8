import NIOCore
import Wire

/// How a response's body is framed for the client.
enum ResponseFraming: Equatable {
    /// None is sent, whatever the tenant gives: HEAD, 204, 205, 304.
    case none
    case length(left: Int)
    case chunked
    /// For HTTP/1.0: the connection's end is the body's.
    case untilClose
}

/// Writes a response's head by hand, in one go: an encoder with a header object would cost more than all the rest of a small answer.
struct ResponseHead {
    var status: Int
    /// `name\nvalue\n…`, Latin-1.
    var headers: ByteBuffer
    /// The body's length, when all of it is known.
    var knownLength: Int?
    /// Answers HEAD.
    var isForHead: Bool
    /// The client speaks HTTP/1.0.
    var isForOld: Bool
    var requestID: UInt64
    /// Of a refusal; tenants cannot set the field.
    var errorCode: ErrorCode?

    /// What has to be known before the rest is written.
    private struct Scan {
        /// Of the tenant's, when it is one proper number.
        var contentLength: Int?
        var hasContentLength = false
    }

    /// Bytes that the head needs at most. A field grows by two bytes (": " and CRLF for two line feeds); no field is shorter than two bytes.
    func room(_ date: [UInt8]) -> Int { 256 + date.count + headers.readableBytes * 2 }

    /// Appends the head to `output`.
    /// - Parameter keepsAlive: set to false where the framing needs the connection's end.
    /// - Returns: the framing, or nil, with `output` as it was, when HTTP cannot carry the head.
    func write(into output: inout ByteBuffer, date: [UInt8], keepsAlive: inout Bool) -> ResponseFraming? {
        guard (200...599).contains(status) else { return nil }
        var scan = Scan()
        let begin = output.writerIndex
        var isSound = true
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: room(date)) { output in
            var writer = HeadWriter(output)
            writer.append("HTTP/1.1 ")
            writer.append(decimal: status)
            writer.append(" ")
            writer.append(Self.reason(status))
            writer.append("\r\n")
            writer.append(date)
            isSound = headers.withUnsafeReadableBytes { Self.copyFields($0, to: &writer, &scan) }
            return writer.count
        }
        guard isSound else {
            output.moveWriterIndex(to: begin)
            return nil
        }
        let framing = writeFraming(scan, into: &output, keepsAlive: &keepsAlive)
        if let errorCode { output.writeString("cloister-error: \(errorCode.code)\r\n") }
        output.writeStaticString("x-request-id: ")
        Self.write(id: requestID, into: &output)
        if !keepsAlive {
            output.writeStaticString("\r\nconnection: close\r\n\r\n")
        } else if isForOld {
            output.writeStaticString("\r\nconnection: keep-alive\r\n\r\n")
        } else {
            output.writeStaticString("\r\n\r\n")
        }
        return framing
    }

    private func writeFraming(_ scan: Scan, into output: inout ByteBuffer, keepsAlive: inout Bool) -> ResponseFraming {
        switch status {
        case 204: return .none
        case 205:
            output.writeStaticString("content-length: 0\r\n")
            return .none
        case 304:
            if let length = scan.contentLength { Self.write(contentLength: length, into: &output) }
            return .none
        default: break
        }
        if isForHead {
            // What GET would say: the tenant's own word, else what it gave; an empty body says nothing about GET's.
            if let length = scan.contentLength ?? (knownLength == 0 ? nil : knownLength) {
                Self.write(contentLength: length, into: &output)
            }
            return .none
        }
        if let length = knownLength ?? scan.contentLength {
            Self.write(contentLength: length, into: &output)
            return .length(left: length)
        }
        if isForOld {
            keepsAlive = false
            return .untilClose
        }
        output.writeStaticString("transfer-encoding: chunked\r\n")
        return .chunked
    }

    /// Copies the tenant's fields without those that are the gateway's to say.
    /// - Returns: false when they are no header fields.
    private static func copyFields(_ flat: UnsafeRawBufferPointer, to writer: inout HeadWriter, _ scan: inout Scan) -> Bool {
        var index = 0
        while index < flat.count {
            let start = writer.count
            let nameStart = index
            while index < flat.count, HTTPBytes.isToken(flat[index]) {
                writer.append(HTTPBytes.lowercased(flat[index]))
                index += 1
            }
            guard index > nameStart, index < flat.count, flat[index] == HTTPBytes.lineFeed else { return false }
            let name = UnsafeRawBufferPointer(rebasing: flat[nameStart..<index])
            writer.append(": ")
            index += 1
            let valueStart = index
            while index < flat.count, HTTPBytes.isFieldValue(flat[index]) {
                writer.append(flat[index])
                index += 1
            }
            guard index < flat.count, flat[index] == HTTPBytes.lineFeed else { return false }
            if isOurs(name) {
                writer.count = start
                if HTTPBytes.equal(name, "content-length") {
                    let length = HTTPBytes.decimal(UnsafeRawBufferPointer(rebasing: flat[valueStart..<index]))
                    scan.contentLength = scan.hasContentLength ? nil : length
                    scan.hasContentLength = true
                }
            } else {
                writer.append("\r\n")
            }
            index += 1
        }
        return true
    }

    /// Hop-by-hop fields, framing, and what only the gateway may say.
    @inline(__always)
    private static func isOurs(_ name: UnsafeRawBufferPointer) -> Bool {
        switch name.count {
        case 2: HTTPBytes.equal(name, "te")
        case 4: HTTPBytes.equal(name, "date")
        case 7: HTTPBytes.equal(name, "upgrade") || HTTPBytes.equal(name, "trailer")
        case 10: HTTPBytes.equal(name, "connection") || HTTPBytes.equal(name, "keep-alive")
        case 12: HTTPBytes.equal(name, "x-request-id")
        case 14: HTTPBytes.equal(name, "content-length") || HTTPBytes.equal(name, "cloister-error")
        case 16: HTTPBytes.equal(name, "proxy-connection")
        case 17: HTTPBytes.equal(name, "transfer-encoding")
        default: false
        }
    }

    private static func write(contentLength: Int, into output: inout ByteBuffer) {
        output.writeStaticString("content-length: ")
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: 24) { output in
            var writer = HeadWriter(output)
            writer.append(decimal: contentLength)
            writer.append("\r\n")
            return writer.count
        }
    }

    /// Sixteen hexadecimal digits.
    static func write(id: UInt64, into output: inout ByteBuffer) {
        let digits: StaticString = "0123456789abcdef"
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: 16) { output in
            for index in 0..<16 { output[index] = digits.utf8Start[Int(id >> UInt64(60 - 4 * index) & 15)] }
            return 16
        }
    }

    /// IANA's registry of status codes; 418 is reserved there without a name.
    static func reason(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 203: "Non-Authoritative Information"
        case 204: "No Content"
        case 205: "Reset Content"
        case 206: "Partial Content"
        case 207: "Multi-Status"
        case 208: "Already Reported"
        case 226: "IM Used"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 305: "Use Proxy"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 402: "Payment Required"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 407: "Proxy Authentication Required"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 418: "I'm a teapot"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 423: "Locked"
        case 424: "Failed Dependency"
        case 425: "Too Early"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 451: "Unavailable For Legal Reasons"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        case 506: "Variant Also Negotiates"
        case 507: "Insufficient Storage"
        case 508: "Loop Detected"
        case 510: "Not Extended"
        case 511: "Network Authentication Required"
        default: ""
        }
    }
}

/// Appends to memory that was made large enough before.
private struct HeadWriter {
    private let output: UnsafeMutableRawBufferPointer
    var count = 0

    init(_ output: UnsafeMutableRawBufferPointer) { self.output = output }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        output[count] = byte
        count += 1
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        UnsafeMutableRawBufferPointer(rebasing: output[count...]).copyMemory(
            from: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        count += text.utf8CodeUnitCount
    }

    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: output[count...]).copyMemory(from: $0) }
        count += bytes.count
    }

    mutating func append(decimal number: Int) {
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = number
        for index in stride(from: count + digits - 1, through: count, by: -1) {
            output[index] = UInt8(0x30 + rest % 10)
            rest /= 10
        }
        count += digits
    }
}
