import Gateway
import NIOCore
import Synchronization
import Testing
import Wire

/// Clients that go away, stall or arrive in numbers; and the gateway's own end.
@Suite struct ConnectionEndTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test(arguments: [false, true]) func aClientThatGoesAwayAtAnyByteLeavesNothingBehind(_ resets: Bool) async throws {
        var limits = GatewayLimits()
        limits.halfClosedMilliseconds = 20
        try await TestGateway.run(limits) { request in
            if request.request.method == "GET" { return request.answer(200, "", "ok") }
            // Answers only a complete body, so that each early end is seen by the dispatcher.
            request.afterBody { request.answer(200, "", "ok") }
        } _: { gateway in
            let text = Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n".utf8)
            let headBytes = text.count - "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n".utf8.count
            for count in 0...text.count {
                let client = try gateway.connect()
                try client.send(Array(text[..<count]))
                if count >= headBytes { try await gateway.eventually("request \(count)") { $0.requests.count == count - headBytes + 1 } }
                if resets { client.reset() } else { client.close() }
            }
            try await gateway.eventually("no request left") { $0.inFlight == 0 }
            // All but the whole one were given up, each once.
            #expect(gateway.notes.now.gone == text.count - headBytes)
            let client = try gateway.connect()
            try client.send(get)
            #expect(try client.response().body == "ok")
        }
    }

    @Test func aClientThatOnlyShutsItsSendingSideGetsItsAnswers() async throws {
        try await TestGateway.run { request in
            request.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(30)) { request.answer(200, "", "late") }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get + get)
            client.finishSending()
            #expect(try client.response().body == "late")
            #expect(try client.response().body == "late")
            #expect(try client.receiveAll().isEmpty)
            #expect(gateway.notes.now.gone == 0)
        }
    }

    @Test func aClientThatShutItsSendingSideMayReadSlowly() async throws {
        var limits = GatewayLimits()
        limits.halfClosedMilliseconds = 500
        let total = 32 << 20
        try await TestGateway.run(limits) {
            $0.stream(total)
        } _: { gateway in
            let client = try gateway.connect(receiveBufferBytes: 64 << 10)
            try client.send(get)
            client.finishSending()
            _ = try client.receive(until: "\r\n\r\n")
            // Without having more to read it would be given up meanwhile.
            try await Task.sleep(for: .milliseconds(2_000))
            #expect(try client.chunks().reduce(0) { $0 + $1.count } == total)
            #expect(gateway.notes.now.gone == 0)
        }
    }

    /// The client could ask for something else, and would wait for good.
    @Test(arguments: ["GET /5", "GET /0", "HEAD /5"]) func anAnswerThatIsWholeButNotEndedEndsTheConnection(_ line: String) async throws {
        try await TestGateway.run { request in
            let length = request.request.url.hasSuffix("5") ? 5 : 0
            request.begin(200, "content-length\n\(length)\n")
            if length > 0 { request.exchange.body(ByteBuffer(string: "12345")) }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("\(line) HTTP/1.1\r\nHost: a\r\n\r\n\(get)")
            let text = try client.receiveAll()
            #expect(text.split(separator: "HTTP/1.1 ").count == 1)
            #expect(text.hasSuffix(line == "GET /5" ? "\r\n\r\n12345" : "\r\n\r\n"))
            // The tenant's work is given up, once; the client is not to blame.
            try await gateway.eventually("given up") { $0.gone == 1 }
            #expect(gateway.notes.now.requests.count == 1)
            #expect(gateway.metrics.text().contains("cloister_gateway_clients_gone_total 0\n"))
        }
    }

    @Test func aRequestThatIsNeverAnsweredIsAbortedWhenItsClientCloses() async throws {
        var limits = GatewayLimits()
        limits.halfClosedMilliseconds = 20
        try await TestGateway.run(limits) { _ in
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            try await gateway.eventually("dispatched") { $0.requests.count == 1 }
            client.close()
            try await gateway.eventually("aborted") { $0.gone == 1 }
        }
    }

    @Test func anEndedStreamIsAbortedWhenItsClientCloses() async throws {
        var limits = GatewayLimits()
        limits.halfClosedMilliseconds = 20
        try await TestGateway.run(limits) {
            $0.begin()
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            _ = try client.receive(until: "\r\n\r\n")
            client.close()
            try await gateway.eventually("aborted") { $0.gone == 1 }
        }
    }

    @Test func aHeadThatDoesNotEndTimesOut() async throws {
        var limits = GatewayLimits()
        limits.headTimeoutMilliseconds = 50
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            let slow = try gateway.connect()
            try slow.send("GET / HTTP/1.1\r\nHost")
            let text = try slow.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains("cloister-error: request_timeout"))
            // One that never says anything is closed without a word.
            #expect(try gateway.connect().receiveAll().isEmpty)
            // On a kept connection the same holds.
            let kept = try gateway.connect()
            try kept.send(get)
            #expect(try kept.response().status == 200)
            try kept.send("G")
            #expect(try kept.receiveAll().hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func anIdleConnectionIsClosed() async throws {
        var limits = GatewayLimits()
        limits.idleTimeoutMilliseconds = 50
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            #expect(try client.response().status == 200)
            #expect(try client.receiveAll().isEmpty)
        }
    }

    @Test func aBodyThatStallsOrTricklesTimesOut() async throws {
        var limits = GatewayLimits()
        limits.bodyTimeoutMilliseconds = 400
        try await TestGateway.run(limits) { request in
            request.afterBody { request.answer() }
        } _: { gateway in
            let stalled = try gateway.connect()
            try stalled.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try stalled.receiveAll().hasPrefix("HTTP/1.1 408 "))
            // A byte now and then does not help: 256 of them would be needed for each second.
            let trickling = try gateway.connect()
            try trickling.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            var isRefused = false
            // Counted, not timed: beside other tests this one may not run for seconds.
            for _ in 0..<1_500 where !isRefused {
                isRefused = (try? trickling.send("a")) == nil || gateway.notes.now.gone == 2
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(isRefused)
        }
    }

    @Test func aBodyIsNotTimedWhileTheGatewayDoesNotWantIt() async throws {
        var limits = GatewayLimits()
        // Long enough for a client that has to wait for a processor once the body is wanted again.
        limits.bodyTimeoutMilliseconds = 3_000
        let size = 2 * FrameHeader.windowBytes
        try await TestGateway.run(limits) { request in
            request.grantsCredit = false
            request.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(6_000)) {
                request.grantsCredit = true
                request.exchange.requestBodyCredit(FrameHeader.windowBytes)
            }
            request.afterBody { request.answer(200, "", "patient") }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
            try client.send([UInt8](repeating: 0, count: size))
            #expect(try client.response().body == "patient")
        }
    }

    @Test func aReaderThatStopsForGoodIsGivenUp() async throws {
        var limits = GatewayLimits()
        limits.writeTimeoutMilliseconds = 100
        try await TestGateway.run(limits) { request in
            request.begin()
            for _ in 0..<512 { request.exchange.body(ByteBuffer(repeating: 0x61, count: 64 << 10)) }
        } _: { gateway in
            let client = try gateway.connect(receiveBufferBytes: 64 << 10)
            try client.send(get)
            try await gateway.eventually("given up") { $0.gone == 1 }
        }
    }

    @Test func aConnectionOverTheLimitIsToldSo() async throws {
        var limits = GatewayLimits()
        limits.connections = 2
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            let clients = [try gateway.connect(), try gateway.connect()]
            for client in clients {
                try client.send(get)
                #expect(try client.response().status == 200)
            }
            let third = try gateway.connect()
            let text = try third.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("cloister-error: overloaded") && text.contains("retry-after: 1"))
            third.close()
            clients[0].close()
            // A place is free again.
            for _ in 0..<1_000 {
                let next = try gateway.connect()
                try? next.send(get)
                if (try? next.response().status) == 200 { return }
                try await Task.sleep(for: .milliseconds(5))
            }
            Issue.record("the place was never free again")
        }
    }

    @Test func drainingAnswersWhatIsInFlightAndClosesWhatIsIdle() async throws {
        let held = Mutex<FakeRequestBox?>(nil)
        try await TestGateway.run { request in
            if request.request.url.hasSuffix("slow") {
                held.withLock { $0 = FakeRequestBox(request) }
            } else {
                request.answer(200, "", "done")
            }
        } _: { gateway in
            let idle = try gateway.connect()
            try idle.send(get)
            #expect(try idle.response().body == "done")
            let busy = try gateway.connect()
            try busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            try await gateway.eventually("in flight") { $0.inFlight == 1 }
            async let drained: Void = gateway.server.drain(withinMilliseconds: 20_000)
            // Idle ones are closed at once, while the other is still at work.
            #expect(try idle.receiveAll().isEmpty)
            held.withLock { $0 }?.onLoop { $0.answer(200, "", "done") }
            let text = try busy.receiveAll()
            #expect(text.hasSuffix("done") && text.contains("connection: close"))
            busy.close()
            await drained
            #expect(gateway.notes.now.gone == 0)
            // Not at once: a child that another test has just forked keeps the socket until its exec.
            try await eventually("nobody listens") { (try? gateway.connect()) == nil }
        }
    }

    /// Dispatchers begin to drain before the gateway does.
    @Test func aClientThatIsToldOfTheDrainingIsSentAway() async throws {
        try await TestGateway.run { request in
            request.exchange.failed(.draining, message: "the server is shutting down", retryAfterSeconds: 5)
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("cloister-error: draining") && text.contains("connection: close"))
        }
    }

    @Test func whatIsStillThereAtTheDeadlineIsCut() async throws {
        try await TestGateway.run { _ in
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(get)
            try await gateway.eventually("in flight") { $0.inFlight == 1 }
            await gateway.server.drain(withinMilliseconds: 20)
            #expect(gateway.notes.now.gone == 1)
        }
    }
}
