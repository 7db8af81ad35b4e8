import NIOCore
import Testing
import Wire

@testable import Gateway

@Suite struct ChunkedDecoderTests {
    /// Decodes `text` given in pieces of `pieceBytes`.
    private func decode(_ text: String, pieceBytes: Int, extensionLimit: Int = 100, trailerLimit: Int = 100) throws -> (
        String, Bool, String
    ) {
        var decoder = ChunkedDecoder(extensionBytesLimit: extensionLimit, trailerBytesLimit: trailerLimit)
        var body = ""
        var rest = ByteBuffer(string: text)
        while rest.readableBytes > 0, !decoder.isComplete {
            var piece = rest.readSlice(length: min(pieceBytes, rest.readableBytes))!
            while let data = try decoder.next(from: &piece, limit: 7) {
                #expect((1...7).contains(data.readableBytes))
                body += String(buffer: data)
            }
            if piece.readableBytes > 0 { return (body, decoder.isComplete, String(buffer: piece) + String(buffer: rest)) }
        }
        return (body, decoder.isComplete, String(buffer: rest))
    }

    @Test(arguments: [1, 2, 3, 1_000])
    func chunksExtensionsAndTrailersAreTakenApart(_ pieceBytes: Int) throws {
        let text = "5\r\nhello\r\nA;x=\"y\";z\r\n, world it\r\n0;q\r\nT: a\r\nU:\r\n\r\nGET"
        let (body, isComplete, rest) = try decode(text, pieceBytes: pieceBytes)
        #expect(body == "hello, world it")
        #expect(isComplete)
        #expect(rest == "GET")
    }

    @Test(arguments: [
        "\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\na", "1 \r\na", "1\na\n", "1\r\nab\r\n", "1\r\na\n", "1\r\na\r1",
        "123456789\r\n", "1;\u{0}\r\n",
        "1;a\nb\r\n", "1;a\rb", ";a\r\n", "0\r\n T: a\r\n", "0\r\nT : a\r\n", "0\r\nT\r\n", "0\r\n: a\r\n", "0\r\nT: a\nb",
        "0\r\nT: a\u{1}\r\n",
        "1;\r\na", "1;a=\r\n", "1;=b\r\n", "1;a b\r\n", "1;a= b\r\n", "1;a=\"b\r\n", "1;a=\"b\"c\r\n", "1;;a\r\n", "0\r\n\n", "0\r\n\rx",
        "1,1\r\n",
    ])
    func ambiguousChunksAreRefused(_ text: String) {
        #expect(throws: RequestRefusal.self) { try decode(text, pieceBytes: 1) }
        #expect(throws: RequestRefusal.self) { try decode(text, pieceBytes: 1_000) }
    }

    @Test func extensionsAndTrailersAreBounded() throws {
        let many = String(repeating: "1;abcdefghi\r\nx\r\n", count: 10) + "0\r\n\r\n"
        #expect(try decode(many, pieceBytes: 1_000, extensionLimit: 100).1)
        #expect(throws: RequestRefusal.self) { try decode(many, pieceBytes: 1_000, extensionLimit: 99) }
        let trailers = "0\r\n" + String(repeating: "T: abc\r\n", count: 10) + "\r\n"
        #expect(try decode(trailers, pieceBytes: 1_000).1)
        #expect(throws: RequestRefusal(code: .headTooLarge, message: "the trailer fields are over 60 bytes", limit: .headBytes)) {
            try decode(trailers, pieceBytes: 1_000, trailerLimit: 60)
        }
    }
}
