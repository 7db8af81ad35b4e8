import Foundation
import Glibc
import IntegrationHarness
import Testing

extension HostileCase {
    /// What a client may ask for without a tenant's doing.
    private static let open = "limits: { cpu_ms: 20000, cpu_quota_ms_per_s: 1000000, memory_mb: 64, concurrency: 256, queue: 2048 }"

    static let http: [HostileCase] = [
        .scene(59, "endless bodies", policy: "limits: { cpu_quota_ms_per_s: 1000000, memory_mb: 64, request_body_mb: 1 }") { stage in
            try endlessRequest(stage)
            try endlessAnswer(stage)
        },
        .scene(60, "slow reader", daemon: .own("http: { write_timeout_ms: 300 }\ndrain_s: 5\n"), slowReader),
        .scene(
            61, "slow head and body",
            daemon: .own("http: { head_timeout_ms: 500, body_timeout_ms: 500, body_bytes_per_s: 100000 }\ndrain_s: 5\n"), slowLoris),
        .scene(62, "smuggled requests", smuggling),
        .worker(63, "line ends in an answer's head", [.get("/", .answers("45 of 45"))]),
        .scene(64, "very many header fields", manyFields),
        .scene(65, "floods of chunks and their extensions", chunkFlood),
        .scene(66, "pipelined requests", policy: open, pipelining),
        .scene(67, "early abort at every byte", policy: open, earlyAbort),
        .scene(68, "bodies where none belong", bodiesWhereNoneBelong),
        .scene(69, "console flood", consoleFlood),
        .worker(70, "self-fetch loop", [.get("/", times: 4, .answers("outbound_denied"))]),
        .scene(71, "ten thousand idle connections", daemon: .own("http: { head_timeout_ms: 120000 }\ndrain_s: 5\n"), idleConnections),
        .scene(72, "absolute form and another Host", mismatchedHost),
    ]

    // MARK: 59 to 61: bodies without an end, clients without haste

    private static func endlessRequest(_ stage: HostileStage) throws {
        // Over the cap: refused, in the midst of it.
        let host = "\(stage.offender).localhost"
        let chunk = [UInt8]("10000\r\n".utf8) + [UInt8](repeating: 0x61, count: 65_536) + [UInt8]("\r\n".utf8)
        let capped = try stage.daemon.connect()
        try capped.send("POST /in HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<20 { guard (try? capped.send(chunk)) != nil else { break } }
        let refused = try capped.readResponse()
        #expect(refused.status == 413 && refused.code == "body_too_large", "\(refused.status) \(refused.text)")
        // Unread: what is taken is what windows and sockets hold, far from the end.
        let unread = try stage.daemon.connect()
        try unread.send("POST /unread HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\n\r\n")
        var taken = 0
        var stalled = 0
        while stalled < 50, taken < 64 << 20 {
            let count = unread.sendWithoutWaiting(chunk)
            taken += count
            stalled = count == 0 ? stalled + 1 : 0
            // A chunk that went in part only cannot be continued: nothing more than its count is of interest.
            if count > 0, count < chunk.count { break }
            if count == 0 { usleep(10_000) }
        }
        #expect(taken < 16 << 20, "\(taken) bytes of a body that nobody reads were taken")
    }

    private static func endlessAnswer(_ stage: HostileStage) throws {
        var reader: Connection! = try stage.daemon.connect()
        reader.setReceiveBuffer(64 << 10)
        try reader.request("\(stage.offender).localhost", "/out")
        _ = try reader.readHead()
        for _ in 0..<16 { _ = try reader.readChunk() }
        // Nobody reads on: the stream is not pulled on either.
        func pulled() throws -> Int { Int(try stage.get("/pulled").text.split(separator: " ")[0]) ?? 0 }
        var last = try pulled()
        _ = try eventually("the stream to stop") { () -> Bool? in
            usleep(100_000)
            let now = try pulled()
            defer { last = now }
            return now == last ? true : nil
        }
        #expect(last < 32 << 20, "\(last) bytes were made for nobody")
        // And goes on where it was.
        for _ in 0..<200 { #expect(try reader.readChunk()?.allSatisfy { $0 == 97 } == true) }
        // Closed with bytes unread: a reset.
        reader = nil
        _ = try eventually("the stream to be cancelled") { try stage.get("/pulled").text.hasSuffix(" 1") ? true : nil }
    }

    private static func slowReader(_ stage: HostileStage) throws {
        let readers = try (0..<20).map { _ in
            let reader = try stage.daemon.connect()
            reader.setReceiveBuffer(4 << 10)
            try reader.request("\(stage.offender).localhost")
            return reader
        }
        _ = try eventually("all of them to be given up") {
            try stage.daemon.metric("cloister_gateway_limits_total{limit=\"write_timeout_ms\"}") == 20 ? true : nil
        }
        _ = try eventually("their streams to be cancelled") { try stage.get("/cancelled").text == "20" ? true : nil }
        #expect(try stage.daemon.metric("cloister_gateway_buffered_bytes") < 64e6)
        withExtendedLifetime(readers) {}
    }

    private static func slowLoris(_ stage: HostileStage) throws {
        let host = "\(stage.offender).localhost"
        let heads = try (0..<100).map { _ in
            let connection = try stage.daemon.connect()
            try connection.send("G")
            return connection
        }
        let bodies = try (0..<100).map { _ in
            let connection = try stage.daemon.connect()
            try connection.send("POST / HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 100000\r\n\r\n")
            return connection
        }
        let limits = ["head_timeout_ms", "body_timeout_ms"].map { "cloister_gateway_limits_total{limit=\"\($0)\"}" }
        let text = Array("ET / HTTP/1.1\r\nHost: \(host)\r\nX-Slow: \(String(repeating: "x", count: 2_000))".utf8)
        var index = 0
        _ = try eventually("all of them to be refused") { () -> Bool? in
            for head in heads { _ = head.sendWithoutWaiting([text[index % text.count]]) }
            for body in bodies { _ = body.sendWithoutWaiting([0x61]) }
            index += 1
            return try limits.allSatisfy { try stage.daemon.metric($0) == 100 } ? true : nil
        }
        #expect(index < text.count, "the heads were whole before they were refused")
        for connection in heads + bodies {
            let response = try connection.readResponse()
            #expect(response.status == 408 && response.code == "request_timeout", "\(response.status)")
        }
    }

    // MARK: 62 to 65: what a request says of itself

    private static func smuggling(_ stage: HostileStage) throws {
        let host = "Host: \(stage.offender).localhost"
        let smuggled = "GET /smuggled HTTP/1.1\r\n\(host)\r\n\r\n"
        let length = smuggled.utf8.count
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 0\r\nContent-Length: \(length)", "Content-Length: \(length)\r\nContent-Length: \(length)",
            "Content-Length: 0, \(length)",
            "Content-Length: 0x10", "Content-Length: +\(length)", "Content-Length: -1", "Content-Length: \(length) ",
            "Content-Length:\u{B}\(length)",
            "Content-Length : \(length)", "Content-Length: \(length)\u{0}", "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding\u{0}: chunked", "X: y\r\n\tTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked",
            "X: y\rTransfer-Encoding: chunked", "X: y\u{0}z", " X: y", "Host: neighbour-standard.localhost",
            "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
        ] {
            // With a trailing space a length is still one number (RFC 9110 5.6.3): the body is then what would be smuggled.
            let isSound = fields == "Content-Length: \(length) "
            let connection = try stage.daemon.connect()
            try connection.send("POST /first HTTP/1.1\r\n\(host)\r\n\(fields)\r\n\r\n\(smuggled)")
            let response = try connection.readResponse()
            #expect(response.status == (isSound ? 200 : 400), "\(fields.debugDescription): \(response.status)")
            if isSound { #expect(response.text == "\(length)") } else { #expect(connection.isClosed() && connection.unreadCount == 0) }
        }
        for request in [
            "POST /first HTTP/1.1\n\(host)\nContent-Length: 0\n\n", "POST /first HTTP/1.1\r\n\(host)\r\n\n",
            "POST /first HTTP/1.1\r\r\n\(host)\r\n\r\n",
            "POST /first HTTP/1.1\r\n\(host)\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\r\n", "POST  /first HTTP/1.1\r\n\(host)\r\n\r\n",
            "POST /first HTTP/1.1\r\n\(host)\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "POST /first\r\n\(host)\r\n\r\n",
            "POST /first HTTP/1.1\r\n\(host)\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", "POST /first HTTP/1.2\r\n\(host)\r\n\r\n",
            "POST /first HTTP/1.1\r\n\(host)\r\nTransfer-Encoding: chunked\r\n\r\n100000000\r\n\r\n",
            "\0POST /first HTTP/1.1\r\n\(host)\r\n\r\n",
            "POST /first HTTP/1.1\r\n\(host)\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
            "POST /first\tHTTP/1.1\r\n\(host)\r\n\r\n",
        ] {
            let connection = try stage.daemon.connect()
            try connection.send(request + smuggled)
            // A chunked body may be wrong only after its request has begun: then its answer is the refusal, or the connection ends.
            if let response = try? connection.readResponse() {
                #expect(response.status == 400, "\(request.debugDescription): \(response.status)")
            }
            #expect(connection.isClosed() && connection.unreadCount == 0, "\(request.debugDescription)")
        }
        #expect(try !stage.get("/seen").text.contains("smuggled"))
    }

    private static func manyFields(_ stage: HostileStage) throws {
        let host = "\(stage.offender).localhost"
        let connection = try stage.daemon.connect()
        var head = "GET / HTTP/1.1\r\nHost: \(host)\r\n"
        for index in 0..<100_000 { head += "X-\(index): y\r\n" }
        // The refusal may come, and the rest be reset, before all of it is sent.
        try? connection.send(head + "\r\n")
        let refused = try connection.readResponse()
        #expect(refused.status == 431 && refused.code == "head_too_large")
        // Small ones, too many.
        let small = try stage.daemon.connect()
        try small.send("GET / HTTP/1.1\r\nHost: \(host)\r\n" + String(repeating: "a:\r\n", count: 1_000) + "\r\n")
        #expect(try small.readResponse().code == "head_too_large")
        // As many as HTTP carries for an answer, and far more.
        #expect(try stage.get("/?n=50").text == "answered")
        let answer = try stage.get("/?n=100000")
        #expect(answer.status == 500 && answer.code == "invalid_response", "\(answer.status) \(answer.text.prefix(100))")
        #expect(try stage.get("/").text == "answered")
    }

    private static func chunkFlood(_ stage: HostileStage) throws {
        let head = "POST / HTTP/1.1\r\nHost: \(stage.offender).localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for flood in [
            "1;" + String(repeating: "x", count: 100_000), String(repeating: "1;a=b\r\nx\r\n", count: 10_000),
            "1;a=\"" + String(repeating: "y", count: 9_000),
        ] {
            let connection = try stage.daemon.connect()
            try? connection.send(head + flood)
            let response = try connection.readResponse()
            #expect(response.status == 400 && response.code == "bad_request", "\(response.status)")
        }
        let trailers = try stage.daemon.connect()
        try? trailers.send(head + "0\r\n" + String(repeating: "T: \(String(repeating: "z", count: 1_000))\r\n", count: 200))
        #expect(try trailers.readResponse().code == "head_too_large")
        // Many chunks are a body like any other.
        let many = try stage.daemon.connect()
        try many.send(head + String(repeating: "1\r\nx\r\n", count: 100_000) + "0\r\n\r\n")
        #expect(try many.readResponse().text == "100000")
    }
}
