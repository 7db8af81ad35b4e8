import NIOCore
import Wire

@testable import Gateway

/// The front's parsers: how the bytes are cut into pieces makes no difference, and what they accept is only what HTTP's grammar has.
enum HTTPFuzzing {
    // MARK: Heads

    /// The first byte says how large the pieces are that the head comes in.
    static func requestHead(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let whole = read(bytes, pieceBytes: max(bytes.count, 1))
        let pieces = read(bytes, pieceBytes: Int(first) + 1)
        hold(whole == pieces, "a head in pieces is \(pieces), and \(whole) in one")
    }

    private enum Outcome: Equatable {
        case incomplete
        case refused(ErrorCode)
        case head(RequestHead, bytes: Int)
    }

    private static func read(_ bytes: [UInt8], pieceBytes: Int) -> Outcome {
        var scanner = HeadScanner()
        var given = 0
        do {
            repeat {
                given = min(given + pieceBytes, bytes.count)
                let end = try bytes[..<given].withUnsafeBytes { try scanner.end(of: $0, limit: GatewayLimits().headBytes) }
                guard let end else { continue }
                hold(bytes[..<end].suffix(2).elementsEqual("\r\n".utf8), "a head that does not end a line")
                return .head(try parse(Array(bytes[..<end])), bytes: end)
            } while given < bytes.count
        } catch {
            guard let refusal = error as? RequestRefusal else { fatalError("a parser threw \(error)") }
            hold((400...499).contains(refusal.code.status), "a client's mistake has the status \(refusal.code.status)")
            return .refused(refusal.code)
        }
        return .incomplete
    }

    private static func parse(_ head: [UInt8]) throws -> RequestHead {
        var parser = RequestHeadParser(limits: GatewayLimits(), peer: "192.0.2.1")
        var headers = ByteBuffer()
        let parsed = try head.withUnsafeBytes { try parser.parse($0, into: &headers) }
        hold(!parsed.method.isEmpty && parsed.method.utf8.allSatisfy(HTTPBytes.isToken), "a method that is no token")
        hold(!parsed.host.isEmpty && parsed.host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !(0x41...0x5A).contains($0) }, "a host")
        hold(parsed.url.hasPrefix("http://") && parsed.url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "an address: \(parsed.url)")
        check(headers: headers)
        return parsed
    }

    /// Names and values in turn, one a line: a line more or less would shift them.
    private static func check(headers: ByteBuffer) {
        let lines = headers.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        hold(lines.count % 2 == 1 && lines.last?.isEmpty == true, "an odd number of lines in the headers")
        var framing = 0
        for index in stride(from: 0, to: lines.count - 1, by: 2) {
            let name = lines[index]
            hold(!name.isEmpty && name.allSatisfy { HTTPBytes.isToken($0) && !(0x41...0x5A).contains($0) }, "a header's name")
            hold(lines[index + 1].allSatisfy { $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F }, "a header's value")
            let text = String(decoding: name, as: UTF8.self)
            if text == "transfer-encoding" || text == "connection" { framing += 1 }
        }
        hold(framing == 0, "what is for this hop only went on")
    }

    // MARK: Bodies

    /// The first byte says how large the pieces are, the second how large the pieces of data may be.
    static func chunkedBody(_ input: [UInt8]) {
        guard input.count >= 2 else { return }
        let bytes = Array(input.dropFirst(2))
        let whole = decode(bytes, pieceBytes: max(bytes.count, 1), dataBytes: bytes.count + 1)
        let pieces = decode(bytes, pieceBytes: Int(input[0]) + 1, dataBytes: Int(input[1]) + 1)
        hold(whole.data == pieces.data, "a body in pieces is another than the same body in one")
        hold(whole.refusal == pieces.refusal && whole.isComplete == pieces.isComplete && whole.left == pieces.left, "it ends elsewhere")
        hold(whole.data.count <= bytes.count, "more data than bytes")
        guard whole.isComplete else { return }
        // Encoded anew, it is the same body.
        let again = decode(
            Array("\(String(whole.data.count, radix: 16))\r\n".utf8) + whole.data
                + Array(whole.data.isEmpty ? "\r\n".utf8 : "\r\n0\r\n\r\n".utf8), pieceBytes: 7, dataBytes: 5)
        hold(again.isComplete && again.data == whole.data && again.left == 0, "the same body reads otherwise")
    }

    private struct Decoded {
        var data: [UInt8] = []
        var isComplete = false
        var refusal: ErrorCode?
        /// Bytes after the body's end.
        var left = 0
    }

    private static func decode(_ bytes: [UInt8], pieceBytes: Int, dataBytes: Int) -> Decoded {
        var decoder = ChunkedDecoder(extensionBytesLimit: 256, trailerBytesLimit: 256)
        var decoded = Decoded()
        var rest = ByteBuffer(bytes: bytes)
        while rest.readableBytes > 0, !decoder.isComplete {
            var piece = rest.readSlice(length: min(pieceBytes, rest.readableBytes))!
            do throws(RequestRefusal) {
                while let data = try decoder.next(from: &piece, limit: dataBytes) {
                    hold((1...dataBytes).contains(data.readableBytes), "a piece of data that is empty or too long")
                    decoded.data += data.readableBytesView
                }
            } catch {
                decoded.refusal = error.code
                decoded.left = 0
                return decoded
            }
            decoded.left = piece.readableBytes + rest.readableBytes
        }
        decoded.isComplete = decoder.isComplete
        if !decoded.isComplete { decoded.left = 0 }
        return decoded
    }
}
