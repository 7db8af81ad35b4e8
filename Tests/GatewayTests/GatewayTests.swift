import NIOCore
import Testing
import Wire

@testable import Gateway

/// Requests and answers over real sockets.
@Suite struct GatewayTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func aConnectionIsKeptAndEachAnswerIsFramed() async throws {
        try await TestGateway.run {
            $0.answer(200, "content-type\ntext/plain\n", "hello")
        } _: { gateway in
            let client = try gateway.connect()
            var ids: Set<String> = []
            for _ in 0..<3 {
                try client.send(get)
                let response = try client.response()
                #expect(response.status == 200)
                #expect(response.body == "hello")
                #expect(response.field("content-length") == "5")
                #expect(response.field("content-type") == "text/plain")
                #expect(response.field("date")?.hasSuffix(" GMT") == true)
                #expect(response.field("server") == nil && response.field("connection") == nil)
                ids.insert(try #require(response.field("x-request-id")))
            }
            #expect(ids.count == 3)
        }
    }

    @Test func aRequestMayArriveByteByByte() async throws {
        try await TestGateway.run { request in
            request.afterBody { request.answer(200, "", String(buffer: request.received)) }
        } _: { gateway in
            let client = try gateway.connect()
            for byte in "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n02\r\nde\r\n0\r\nT: x\r\n\r\n\r\n"
                .utf8
            {
                try client.send([byte])
            }
            #expect(try client.response().body == "abcde")
            try client.send(get)
            #expect(try client.response().status == 200)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrderOneAtATime() async throws {
        try await TestGateway.run { request in
            // Later ones are quicker: only the gateway can keep the order.
            let number = Int(request.request.url.drop { !$0.isNumber }) ?? 0
            request.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(Int64(2_000 - 20 * number))) {
                request.answer(200, "", "\(number)")
            }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send((0..<100).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
            for number in 0..<100 { #expect(try client.response().body == "\(number)") }
            #expect(gateway.notes.now.mostInFlight == 1)
        }
    }

    @Test func bodiesOfBothFramingsStreamThroughBothWays() async throws {
        try await TestGateway.run { request in
            request.begin(200, "content-type\ntext/plain\n")
            request.afterBody {
                request.exchange.body(ByteBuffer(string: "got "))
                request.exchange.body(request.received)
                request.end()
            }
        } _: { gateway in
            let client = try gateway.connect()
            let body = String(repeating: "0123456789", count: 60_000)
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            let first = try client.response()
            #expect(first.field("transfer-encoding") == "chunked")
            #expect(first.body == "got " + body)
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<10 { try client.send("EA60\r\n\(body.prefix(60_000))\r\n") }
            try client.send("0\r\n\r\n")
            #expect(try client.response().body == "got " + body)
            #expect(gateway.notes.now.endedBodies == 2)
            #expect(gateway.notes.now.requests.map(\.contentLength) == [600_000, nil])
        }
    }

    @Test func headAndBodilessStatusesHaveNoBody() async throws {
        try await TestGateway.run { request in
            let status = Int(request.request.url.suffix(3)) ?? 200
            if request.request.url.contains("stream") {
                request.begin(status, "content-length\n7\n")
                request.exchange.body(ByteBuffer(string: "ignored"))
                request.end()
            } else {
                request.answer(status, "", "ignored")
            }
        } _: { gateway in
            let client = try gateway.connect()
            for kind in ["full", "stream"] {
                for status in [204, 205, 304] {
                    try client.send("GET /\(kind)/\(status) HTTP/1.1\r\nHost: a\r\n\r\n")
                    let response = try client.response(hasBody: false)
                    #expect(response.status == status)
                    #expect(response.field("transfer-encoding") == nil)
                    if status == 204 { #expect(response.field("content-length") == nil) }
                    if status == 205 { #expect(response.field("content-length") == "0") }
                }
                try client.send("HEAD /\(kind)/200 HTTP/1.1\r\nHost: a\r\n\r\n")
                let response = try client.response(hasBody: false)
                #expect(response.status == 200)
                #expect(response.field("content-length") == "7")
            }
            // Nothing of those bodies was left on the connection.
            try client.send("GET /full/200 HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response().body == "ignored")
        }
    }

    @Test func hTTP10GetsABodyThatEndsWithTheConnectionAndMayKeepIt() async throws {
        try await TestGateway.run { request in
            if request.request.url.hasSuffix("stream") {
                request.begin()
                request.exchange.body(ByteBuffer(string: "piece"))
                request.end()
            } else {
                request.answer(200, "", "whole")
            }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            let kept = try client.response()
            #expect(kept.body == "whole")
            #expect(kept.field("connection") == "keep-alive")
            try client.send("GET /stream HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            let text = try client.receiveAll()
            #expect(text.hasSuffix("\r\n\r\npiece"))
            #expect(text.contains("connection: close\r\n") && !text.contains("transfer-encoding"))
        }
    }

    @Test func theClientsCloseIsHonoured() async throws {
        try await TestGateway.run {
            $0.answer()
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(try client.receiveAll().contains("\r\nconnection: close\r\n"))
        }
    }

    @Test func aTenantCannotSetWhatIsTheGatewaysToSay() async throws {
        let headers = """
            connection\nclose\ntransfer-encoding\ngzip\nkeep-alive\n1\nupgrade\nx\ncontent-length\n99\nx-request-id\nmine\ndate\nnever
            cloister-error\ntenant_busy\ntrailer\nx\nproxy-connection\nx\nte\nx\nx-own\nyes\nset-cookie\na=1\nset-cookie\nb=2\n
            """
        try await TestGateway.run {
            $0.answer(200, headers, "hello")
        } _: { gateway in
            let client = try gateway.connect()
            for _ in 0..<2 {
                try client.send(get)
                let response = try client.response()
                #expect(response.body == "hello")
                #expect(response.field("content-length") == "5")
                for name in ["connection", "transfer-encoding", "keep-alive", "upgrade", "cloister-error", "trailer", "te"] {
                    #expect(response.field(name) == nil)
                }
                #expect(response.field("x-request-id") != "mine" && response.field("date") != "never")
                #expect(response.field("x-own") == "yes")
                #expect(response.head.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"))
            }
        }
    }

    @Test(arguments: [
        "x\na\rset-cookie: b\n", "x\na\u{0}\n", "x y\na\n", "\na\n", "x\n", "x", "x:\na\n", "x\na", "x\na\u{7F}\n",
    ])
    func aHeadThatHTTPCannotCarryIsTheTenantsError(_ headers: String) async throws {
        try await TestGateway.run {
            $0.answer(200, headers, "hello")
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            let response = try client.response()
            #expect(response.status == 500)
            #expect(response.field("cloister-error") == "invalid_response")
            #expect(!response.head.contains("set-cookie"))
        }
    }

    @Test(arguments: [99, 100, 101, 199, 600, 1_000, -1]) func anImproperStatusIsTheTenantsError(_ status: Int) async throws {
        try await TestGateway.run {
            $0.answer(status)
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            #expect(try client.response().field("cloister-error") == "invalid_response")
        }
    }

    @Test func theTenantSeesTheRequestIDThatTheAnswerHas() async throws {
        try await TestGateway.run {
            $0.answer(200, "", String(buffer: $0.request.headers))
        } _: { gateway in
            let client = try gateway.connect()
            for field in ["", "X-Request-Id: 0000000000000001\r\n", "Connection: x-request-id\r\n"] {
                try client.send("GET / HTTP/1.1\r\nHost: a\r\n\(field)\r\n")
                let response = try client.response()
                let id = try #require(response.field("x-request-id"))
                #expect(response.body == "host\na\nx-real-ip\n127.0.0.1\nx-request-id\n\(id)\n")
            }
        }
    }

    @Test func everyRegisteredStatusHasItsReason() async throws {
        // RFC 9110 and the rest of IANA's registry; 306 and 418 have no meaning there.
        let registered = [
            200...208, 226...226, 300...305, 307...308, 400...417, 421...426, 428...429, 431...431, 451...451, 500...508, 510...511,
        ].joined()
        for status in 200...599 where status != 418 {
            #expect((ResponseHead.reason(status).utf8CodeUnitCount > 0) == registered.contains(status), "\(status)")
        }
        try await TestGateway.run {
            $0.answer(Int($0.request.url.suffix(3))!)
        } _: { gateway in
            let client = try gateway.connect()
            for (status, reason) in [(203, "Non-Authoritative Information"), (451, "Unavailable For Legal Reasons"), (599, "")] {
                try client.send("GET /\(status) HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try client.response().head.hasPrefix("HTTP/1.1 \(status) \(reason)\r\n"))
            }
        }
    }

    @Test func aQuestionToTheServerIsAnsweredWithoutATenant() async throws {
        try await TestGateway.run {
            $0.answer(200, "", "tenant")
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\(get)")
            let response = try client.response(hasBody: false)
            #expect(response.status == 204 && response.field("x-request-id") != nil)
            #expect(response.field("allow") == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
            #expect(try client.response().body == "tenant")
            try client.send("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response().body == "tenant")
            #expect(gateway.notes.now.requests.map(\.method) == ["GET", "OPTIONS"])
        }
    }

    /// In one piece and in two, before the first request and the next.
    @Test(arguments: ["\r\n|", "|\r\n", "\r|\n"]) func anEmptyLineBeforeARequestIsForgiven(_ line: String) async throws {
        try await TestGateway.run {
            $0.answer(200, "", "hello")
        } _: { gateway in
            let client = try gateway.connect()
            for _ in 0..<3 {
                let pieces = (line + get).split(separator: "|", omittingEmptySubsequences: false)
                try client.send(String(pieces[0]))
                // The gateway has read it by now, or the test is weaker, not wrong.
                if !pieces[0].isEmpty { try await Task.sleep(for: .milliseconds(30)) }
                try client.send(String(pieces[1]))
                #expect(try client.response().body == "hello")
            }
        }
    }

    @Test func aTenantsContentLengthFramesAStreamAndIsEnforced() async throws {
        try await TestGateway.run { request in
            request.begin(200, "content-length\n5\n")
            switch request.request.url.last {
            case "0": request.exchange.body(ByteBuffer(string: "12345"))
            case "1": request.exchange.body(ByteBuffer(string: "123456"))
            default: request.exchange.body(ByteBuffer(string: "1234"))
            }
            request.end()
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /0 HTTP/1.1\r\nHost: a\r\n\r\n")
            for _ in 0..<2 {
                let response = try client.response()
                #expect(response.field("content-length") == "5" && response.body == "12345")
            }
            for path in ["/1", "/2"] {
                let client = try gateway.connect()
                try client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n\(get)")
                let text = try client.receiveAll()
                #expect(text.split(separator: "HTTP/1.1 ").count == 1, "the connection must end with a body that does not fit")
                #expect(!text.hasSuffix("\r\n\r\n12345"))
            }
            #expect(gateway.notes.now.requests.count == 4)
            // Who does not keep to it is the tenant, whose work is given up.
            #expect(gateway.notes.now.gone == 2)
            #expect(gateway.metrics.text().contains("cloister_gateway_clients_gone_total 0\n"))
        }
    }

    @Test func aBrokenBodyEndsTheConnectionWithoutItsLastChunk() async throws {
        try await TestGateway.run { request in
            request.begin()
            request.exchange.body(ByteBuffer(string: "begun"))
            request.exchange.broken("the tenant threw")
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            #expect(try client.receiveAll().hasSuffix("5\r\nbegun\r\n"))
            // What HTTP/1.0 would take for a proper end is a reset.
            let old = try gateway.connect()
            try old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            #expect(throws: Client.Failure.self) { try old.receiveAll() }
        }
    }

    @Test(arguments: ErrorCode.allCases) func aRefusalHasItsStatusCodeAndBody(_ code: ErrorCode) async throws {
        try await TestGateway.run { request in
            request.notes { $0.inFlight -= 1 }
            request.exchange.failed(code, message: "say \"why\"\n", retryAfterSeconds: 7)
        } _: { gateway in
            var client = try gateway.connect()
            for _ in 0..<2 {
                try client.send(get)
                let response = try client.response()
                let id = try #require(response.field("x-request-id"))
                #expect(response.status == code.status)
                #expect(response.field("connection") == (code == .draining ? "close" : nil))
                if code == .draining { client = try gateway.connect() }
                #expect(response.field("cloister-error") == code.code)
                #expect(response.field("content-type") == "application/json")
                #expect(response.field("retry-after") == (code.mayRetry ? "7" : nil))
                #expect(response.body == "{\"error\":\"\(code.code)\",\"message\":\"say \\\"why\\\"\\u000a\",\"request_id\":\"\(id)\"}\n")
            }
            try client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\(get)")
            #expect(try client.response(hasBody: false).status == code.status)
            if code != .draining { #expect(try client.response().status == code.status) }
        }
    }
}
