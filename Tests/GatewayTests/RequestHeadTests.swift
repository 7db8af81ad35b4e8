import NIOCore
import Testing
import Wire

@testable import Gateway

@Suite struct RequestHeadTests {
    private func parse(_ text: String, _ limits: GatewayLimits = GatewayLimits()) throws -> (RequestHead, String) {
        var scanner = HeadScanner()
        var parser = RequestHeadParser(limits: limits, peer: "192.0.2.1")
        var headers = ByteBuffer()
        // One character a byte, so that bytes from 0x80 on can be written here.
        let bytes = text.unicodeScalars.map { UInt8($0.value) }
        let head = try bytes.withUnsafeBytes { bytes in
            guard let end = try scanner.end(of: bytes, limit: limits.headBytes) else { throw RequestRefusal.bad("incomplete") }
            return try parser.parse(UnsafeRawBufferPointer(rebasing: bytes[..<end]), into: &headers)
        }
        return (head, headers.readableBytesView.map { String(UnicodeScalar($0)) }.joined())
    }

    private func code(_ text: String, _ limits: GatewayLimits = GatewayLimits()) -> ErrorCode? {
        do {
            _ = try parse(text, limits)
            return nil
        } catch {
            return (error as? RequestRefusal)?.code
        }
    }

    @Test func aPlainRequestIsReadAndItsNamesAreLowered() throws {
        let (head, headers) = try parse("GET /a?b=c HTTP/1.1\r\nHost: Hello.LocalHost\r\nX-A:  b \t\r\nEmpty:\r\n\r\n")
        #expect(
            head
                == RequestHead(
                    method: "GET", host: "hello.localhost", url: "http://hello.localhost/a?b=c", isOld: false, keepsAlive: true,
                    expectsContinue: false, framing: .none))
        #expect(headers == "host\nHello.LocalHost\nx-a\nb\nempty\n\nx-real-ip\n192.0.2.1\n")
    }

    /// Each of these is read differently by somebody on the way, or means nothing.
    @Test(arguments: [
        "Content-Length: 1\r\nTransfer-Encoding: chunked", "Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1, 1",
        "Content-Length: 0x10", "Content-Length: +5", "Content-Length: -1", "Content-Length: ", "Content-Length: 1 1",
        "Content-Length: 1e1",
        "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{B}chunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\r\n chunked", "X-A: b\r\n c", "X-A: b\r\n\tc",
        " X-A: b", "X A: b", "X-A\t: b", ": b", "X-A", "X-A: b\u{0}c", "X-A: b\u{1}c", "X-A: b\u{7F}", "X-A: b\rc", "X-\u{E9}: b",
        "X-A: b\nX-B: c",
        "Host: other", "Connection: host", "Connection: content-length", "\u{0}: b", "X(A): b", "X-A\u{0}: b",
    ])
    func ambiguousFieldsAreRefused(_ fields: String) {
        #expect(code("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n") == .badRequest)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:+1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: .a\r\n\r\n", "GET / HTTP/1.1\r\nHost: .\r\n\r\n", "GET / HTTP/1.1\r\nHost: a%41\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \u{E9}\r\n\r\n", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
    ])
    func aMissingOrImproperHostIsRefused(_ head: String) {
        #expect(code(head) == .badRequest)
    }

    @Test(arguments: [
        "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / http/1.1",
        "GET / HTTP/1.10", "GET /", "GET", "GET\t/ HTTP/1.1", "GET / a HTTP/1.1", "GET /\u{0} HTTP/1.1", "GET /a#b HTTP/1.1",
        "GET # HTTP/1.1",
        "GET * HTTP/1.1", "OPTIONS ** HTTP/1.1", "CONNECT a:80 HTTP/1.1", "TRACE / HTTP/1.1", "G(T / HTTP/1.1", "GET a HTTP/1.1",
        "GET ?a HTTP/1.1", "GET https://a/ HTTP/1.1", "GET ftp://a/ HTTP/1.1", "GET http:///x HTTP/1.1", "GET http://b/ HTTP/1.1",
        "GET http://a:81/ HTTP/1.1", "GET http://u@a/ HTTP/1.1", "GET http://a\\b/ HTTP/1.1", "GET /\u{7F} HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1",
    ])
    func animproperRequestLineIsRefused(_ line: String) {
        #expect(code("\(line)\r\nHost: a\r\n\r\n") == .badRequest)
    }

    @Test(arguments: [
        ("/", "http://a/"), ("//evil/x", "http://a//evil/x"), ("/@evil", "http://a/@evil"), ("/\\evil", "http://a/\\evil"),
        ("http://a/x", "http://a/x"), ("HTTP://A:80/x", "http://a/x"), ("http://a", "http://a/"), ("http://a?q", "http://a/?q"),
        ("/\u{E9}\u{FF}", "http://a/%E9%FF"), ("/%00%2e%2E/", "http://a/%00%2e%2E/"), ("/?a//b", "http://a/?a//b"),
    ])
    func aTargetCannotMoveTheHost(_ target: String, _ url: String) throws {
        #expect(try parse("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n").0.url == url)
    }

    @Test(arguments: [
        ("A.Example.", "a.example", "http://a.example/"), ("a:8080", "a", "http://a:8080/"), ("a:80", "a", "http://a/"),
        ("a.:81", "a", "http://a:81/"), ("127.0.0.1:80", "127.0.0.1", "http://127.0.0.1/"), ("[::1]:81", "[::1]", "http://[::1]:81/"),
        ("x_y-z.b", "x_y-z.b", "http://x_y-z.b/"),
    ])
    func aHostIsLoweredAndLosesItsPortAndLastDot(_ field: String, _ host: String, _ url: String) throws {
        let head = try parse("GET / HTTP/1.1\r\nHost: \(field)\r\n\r\n").0
        #expect(head.host == host)
        #expect(head.url == url)
    }

    @Test func hopByHopFieldsAndThoseAClientMustNotSetAreDropped() throws {
        let (head, headers) = try parse(
            """
            POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n\
            Trailer: x\r\nTransfer-Encoding: Chunked\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\nX-Real-IP: 1.2.3.4\r\nX-Forwarded-For: x\r\n\
            X-Forwarded-Host: x\r\nX-Forwarded-Proto: x\r\nX-Forwarded-Anything: x\r\nForwarded: for=x\r\nExpect: 100-Continue\r\nX-Forward: kept\r\n\
            X-Request-Id: false\r\n\r\n
            """)
        #expect(headers == "host\na\nx-forward\nkept\nx-real-ip\n192.0.2.1\n")
        #expect(head.framing == .chunked && head.expectsContinue && !head.keepsAlive)
    }

    /// Whatever its length: some are looked at for other names first.
    @Test(arguments: 0...30) func noForwardedFieldOfAClientsPasses(length: Int) throws {
        let name = "X-Forwarded-" + String(repeating: "y", count: length)
        #expect(try parse("GET / HTTP/1.1\r\nHost: a\r\n\(name): x\r\n\r\n").1 == "host\na\nx-real-ip\n192.0.2.1\n")
    }

    @Test(arguments: [
        ("Cookie: a=1\r\nX: y\r\nCookie: b=\u{E9}\r\ncookie: c=3", "host\na\nx\ny\ncookie\na=1; b=\u{E9}; c=3\nx-real-ip\n192.0.2.1\n"),
        ("Cookie: a=1; b=2\r\nX: y", "host\na\ncookie\na=1; b=2\nx\ny\nx-real-ip\n192.0.2.1\n"),
        ("Cookie: a=1\r\nCookie: b=2\r\nConnection: cookie", "host\na\nx-real-ip\n192.0.2.1\n"),
        ("Accept: a\r\nAccept: b", "host\na\naccept\na\naccept\nb\nx-real-ip\n192.0.2.1\n"),
    ])
    func cookiesAreOneField(_ fields: String, _ headers: String) throws {
        #expect(try parse("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n").1 == headers)
    }

    @Test func aTrustedProxysWordIsPassedOn() throws {
        var limits = GatewayLimits()
        limits.trustsForwardedHeaders = true
        let headers = try parse("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: x\r\nForwarded: y\r\nX-Real-IP: z\r\n\r\n", limits).1
        #expect(headers == "host\na\nx-forwarded-for\nx\nforwarded\ny\nx-real-ip\n192.0.2.1\n")
    }

    @Test func bytesThatAreNotASCIIArePassedAsLatin1() throws {
        #expect(try parse("GET / HTTP/1.1\r\nHost: a\r\nX-A: \u{E9}\u{80}\u{FF}\r\n\r\n").1.contains("x-a\n\u{E9}\u{80}\u{FF}\n"))
    }

    @Test func anOtherExpectationFails() {
        #expect(code("GET / HTTP/1.1\r\nHost: a\r\nExpect: fire\r\n\r\n") == .expectationFailed)
        #expect(code("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n") == .expectationFailed)
        #expect(code("GET / HTTP/1.0\r\nHost: a\r\nExpect: fire\r\n\r\n") == nil)
    }

    @Test func hTTP10ClosesUnlessItSaysKeepAliveAndKnowsNoChunks() throws {
        #expect(try !parse("GET / HTTP/1.0\r\nHost: a\r\n\r\n").0.keepsAlive)
        #expect(try parse("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n").0.keepsAlive)
        #expect(code("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == .badRequest)
    }

    @Test func limitsOnTheHeadAreKept() {
        var limits = GatewayLimits()
        limits.headerCount = 3
        limits.targetBytes = 10
        limits.bodyBytes = 100
        limits.headBytes = 200
        #expect(code("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", limits) == nil)
        #expect(code("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits) == .headTooLarge)
        #expect(code("GET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n", limits) == nil)
        #expect(code("GET /2345678901 HTTP/1.1\r\nHost: a\r\n\r\n", limits) == .targetTooLong)
        #expect(code("GET /\(String(repeating: "x", count: 200))", limits) == .targetTooLong)
        #expect(code("GET / HTTP/1.1\r\nHost: a\r\nA: \(String(repeating: "x", count: 200))\r\n\r\n", limits) == .headTooLarge)
        #expect(code("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", limits) == .bodyTooLarge)
        #expect(code("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", limits) == nil)
    }

    @Test func theClassOfTokensIsRFC9110s() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(UnicodeScalar(byte))
            let expected = byte < 128 && (character.isLetter || character.isNumber || "!#$%&'*+-.^_`|~".contains(character))
            #expect(HTTPBytes.isToken(byte) == expected, "\(byte)")
        }
    }
}
