import Gateway
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import Wire

@testable import Gateway

@Suite struct SmugglingTests {
    /// What follows a request that was refused is never taken for a request.
    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{0}", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    ])
    func nothingAfterARefusedRequestIsServed(_ request: String) async throws {
        try await TestGateway.run { request in
            request.afterBody { request.answer(200, "", "served") }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("\(request)GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 400 "))
            #expect(text.contains("cloister-error: bad_request") && text.contains("connection: close"))
            #expect(!text.contains("served"))
            #expect(!gateway.notes.now.requests.contains { $0.url.contains("smuggled") })
        }
    }

    @Test func whatIsTooLargeIsRefusedAndClosed() async throws {
        var limits = GatewayLimits()
        limits.headBytes = 1_000
        limits.targetBytes = 500
        limits.bodyBytes = 1_000
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            for (request, status, code) in [
                ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 1_000))", 431, "head_too_large"),
                ("GET /\(String(repeating: "x", count: 500)) HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target_too_long"),
                ("GET /\(String(repeating: "x", count: 1_000))", 414, "target_too_long"),
                ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, "body_too_large"),
                ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "expectation_failed"),
            ] {
                let client = try gateway.connect()
                try client.send(request)
                let text = try client.receiveAll()
                #expect(text.hasPrefix("HTTP/1.1 \(status) "))
                #expect(text.contains("cloister-error: \(code)\r\n") && text.contains("\"error\":\"\(code)\""))
                #expect(text.contains("connection: close"))
            }
            #expect(gateway.notes.now.requests.isEmpty)
            #expect(gateway.metrics.text().contains("cloister_gateway_refusals_total{code=\"head_too_large\"} 1\n"))
        }
    }

    /// It has no body (RFC 9110 9.3.2), wherever the refusal came from.
    @Test(arguments: [
        "/ HTTP/1.1\r\n\r\n", "/\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", "/ HTTP/1.1\nHost: a\n\n",
        "/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ])
    func aRefusedHEADHasNoBody(_ rest: String) async throws {
        try await TestGateway.run { request in
            request.afterBody { request.answer() }
        } _: { gateway in
            for method in ["HEAD", "GET"] {
                let client = try gateway.connect()
                try client.send("\(method) \(rest)")
                let text = try client.receiveAll()
                #expect(text.hasPrefix("HTTP/1.1 400 ") && text.contains("content-length: "))
                #expect(text.hasSuffix(method == "HEAD" ? "\r\n\r\n" : "\"}\n"))
            }
        }
    }

    /// Whatever this parser takes, llhttp in its strict mode takes too, and sees the same method, target, fields and framing: nobody behind
    /// a proxy built on it can be shown another request than the one it checked.
    @Test(arguments: 0..<4 as Range<UInt64>) func whatIsAcceptedMeansTheSameToLLHTTP(_ seed: UInt64) throws {
        var random = SplitMix(state: seed &* 0xD1B5_4A32_D192_ED03 &+ 1)
        var accepted = 0
        for round in 0..<1_500 {
            let bytes = mutatedRequest(&random)
            // llhttp knows a list of methods, here any token is one.
            guard let ours = readOurs(bytes),
                ours.heads.allSatisfy({ $0.hasPrefix("GET ") || $0.hasPrefix("POST ") || $0.hasPrefix("PUT ") })
            else { continue }
            accepted += 1
            let theirs = readLLHTTP(bytes)
            #expect(ours == theirs, "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
            if ours != theirs { return }
        }
        // Otherwise the comparison has seen nothing.
        #expect(accepted > 200)
    }

    private struct Reading: Equatable {
        var heads: [String]
        var bodies: [String]
    }

    private func readOurs(_ bytes: [UInt8]) -> Reading? {
        var input = ByteBuffer(bytes: bytes)
        let limits = GatewayLimits()
        var parser = RequestHeadParser(limits: limits, peer: "")
        var reading = Reading(heads: [], bodies: [])
        while input.readableBytes > 0 {
            var scanner = HeadScanner()
            var headers = ByteBuffer()
            let bytes = Array(input.readableBytesView)
            guard let end = try? bytes.withUnsafeBytes({ try scanner.end(of: $0, limit: limits.headBytes) }),
                let head = try? bytes.withUnsafeBytes({ try parser.parse(UnsafeRawBufferPointer(rebasing: $0[..<end]), into: &headers) })
            else { return nil }
            input.moveReaderIndex(forwardBy: end)
            var body = RequestBodyReader(head.framing, limits: limits)
            var text = ""
            do {
                while !body.isComplete, let piece = try body.next(from: &input, limit: .max) { text += latin1(piece.readableBytesView) }
            } catch {
                return nil
            }
            guard body.isComplete else { return nil }
            let fields = headers.readableBytesView.split(separator: 0x0A, omittingEmptySubsequences: false)
            var names = ""
            for index in stride(from: 0, to: fields.count - 1, by: 2) { names += "|\(latin1(fields[index]))=\(latin1(fields[index + 1]))" }
            reading.heads.append("\(head.method) \(head.isOld ? "1.0" : "1.1")\(names)")
            reading.bodies.append(text)
        }
        return reading
    }

    private func readLLHTTP(_ bytes: [UInt8]) -> Reading? {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish() }
        var reading = Reading(heads: [], bodies: [])
        do {
            try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            while let part: HTTPServerRequestPart = try channel.readInbound() {
                switch part {
                case .head(let head):
                    let hidden: Set<String> = [
                        "te", "upgrade", "trailer", "keep-alive", "connection", "transfer-encoding", "expect", "x-real-ip",
                        "x-forwarded-for",
                    ]
                    let names = head.headers.filter { !hidden.contains($0.name.lowercased()) }
                        .map { "|\($0.name.lowercased())=\(latin1(trimmed($0.value.utf8)))" }.joined()
                    reading.heads.append("\(head.method.rawValue) \(head.version.minor == 0 ? "1.0" : "1.1")\(names)")
                    reading.bodies.append("")
                case .body(let piece): reading.bodies[reading.bodies.count - 1] += latin1(piece.readableBytesView)
                case .end: break
                }
            }
        } catch {
            return nil
        }
        return reading
    }

    /// NIO leaves the optional white space behind a value in place.
    private func trimmed(_ value: String.UTF8View) -> Substring.UTF8View {
        var value = value[...]
        while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
        return value
    }

    private func latin1(_ bytes: some Sequence<UInt8>) -> String { bytes.map { String(UnicodeScalar($0)) }.joined() }

    /// Two pipelined requests with a few bytes changed, put in or taken out.
    private func mutatedRequest(_ random: inout SplitMix) -> [UInt8] {
        let framings = ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""]
        let fields = ["X-A: b\r\n", "Accept: */*\r\n", "TE: x\r\n", "X-Empty:\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n"]
        var text = ""
        for _ in 0..<2 {
            let framing = framings.randomElement(using: &random)!
            text += "\(["GET", "POST", "PUT"].randomElement(using: &random)!) /p?q HTTP/1.1\r\nHost: a\r\n"
            for field in fields where Bool.random(using: &random) && !(field.hasPrefix("Connection")) { text += field }
            text += "\(framing)\r\n"
            if framing.hasPrefix("C") { text += "hello" }
            if framing.hasPrefix("T") { text += "3;e=1\r\nabc\r\n0\r\nT: u\r\n\r\n" }
        }
        var bytes = Array(text.utf8)
        let odd: [UInt8] = [0, 9, 10, 11, 13, 32, 0x2B, 0x2C, 0x30, 0x35, 0x3A, 0x3B, 0x41, 0x7F, 0x78]
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[index] = odd.randomElement(using: &random)!
            case 1: bytes.insert(odd.randomElement(using: &random)!, at: index)
            default: bytes.remove(at: index)
            }
        }
        return bytes
    }
}

/// SplitMix64, so that a failure's seed tells everything.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
