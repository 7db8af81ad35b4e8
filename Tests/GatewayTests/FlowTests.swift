import Gateway
import NIOCore
import Synchronization
import Testing
import Wire

/// Backpressure, early answers and expectations.
@Suite struct FlowTests {
    @Test(arguments: [false, true]) func aRequestBodyIsReadOnlyAsFarAsThereIsCredit(_ isChunked: Bool) async throws {
        let total = 24 << 20
        let held = Mutex<FakeRequestBox?>(nil)
        try await TestGateway.run { request in
            request.grantsCredit = false
            held.withLock { $0 = FakeRequestBox(request) }
            request.afterBody { request.answer(200, "", "\(request.received.readableBytes)") }
        } _: { gateway in
            let client = try gateway.connect()
            let bytes = [UInt8](repeating: 0x61, count: 64 << 10)
            let framing =
                isChunked ? "Transfer-Encoding: chunked\r\n\r\n\(String(total, radix: 16))\r\n" : "Content-Length: \(total)\r\n\r\n"
            try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)")
            // Until nobody takes any more, the kernel included.
            var sent = 0
            var idleRounds = 0
            while idleRounds < 20, sent < total {
                let count = client.sendAvailable(Array(bytes.prefix(total - sent)))
                sent += count
                idleRounds = count == 0 ? idleRounds + 1 : 0
                if count == 0 { try await Task.sleep(for: .milliseconds(5)) }
            }
            #expect(sent < total, "the kernel took everything: the test tests nothing")
            try await gateway.eventually("a full window") { $0.bodyBytes == FrameHeader.windowBytes }
            // Credit for exactly 100,000 bytes more.
            let box = try #require(held.withLock { $0 })
            box.onLoop { $0.exchange.requestBodyCredit(100_000) }
            try await gateway.eventually("the credit is used") { $0.bodyBytes == FrameHeader.windowBytes + 100_000 }
            box.onLoop {
                $0.grantsCredit = true
                $0.exchange.requestBodyCredit(FrameHeader.windowBytes)
            }
            while sent < total {
                let count = min(bytes.count, total - sent)
                try client.send(Array(bytes.prefix(count)))
                sent += count
            }
            if isChunked { try client.send("\r\n0\r\n\r\n") }
            #expect(try client.response().body == "\(total)")
        }
    }

    @Test func aSlowReaderHoldsBackTheResponse() async throws {
        let total = 48 << 20
        let written = Mutex(0)
        try await TestGateway.run { request in
            request.stream(total) { sent in written.withLock { $0 = sent } }
        } _: { gateway in
            let client = try gateway.connect(receiveBufferBytes: 64 << 10)
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            // Nobody reads: what was produced stands still, far from the end.
            var last = -1
            while true {
                let now = written.withLock { $0 }
                if now == last, now > 0 { break }
                last = now
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(last < total / 2)
            #expect(gateway.notes.now.takenBytes <= last)
            let head = try client.receive(until: "\r\n\r\n")
            #expect(head.contains("transfer-encoding: chunked"))
            #expect(try client.chunks().reduce(0) { $0 + $1.count } == total)
        }
    }

    /// To the tenant each piece is a turn.
    @Test func chunksOfARequestThatComeTogetherArePassedOnTogether() async throws {
        try await TestGateway.run { request in
            request.afterBody { request.answer(200, "", "\(request.received.readableBytes)") }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            try await gateway.eventually("dispatched") { $0.requests.count == 1 }
            try client.send(String(repeating: "1\r\na\r\n", count: 2_000) + "0\r\n\r\n")
            #expect(try client.response().body == "2000")
            // One a read, and reads take at least 1 KiB.
            #expect((1..<100).contains(gateway.notes.now.pieces))
        }
    }

    /// Each write that waits takes far more memory than a few bytes.
    @Test(arguments: [false, true]) func smallPiecesThatWaitForTheClientAreJoined(_ statesLength: Bool) async throws {
        let (large, small) = (512, 2_000)
        let total = large * (64 << 10) + small
        try await TestGateway.run { request in
            request.begin(200, statesLength ? "content-length\n\(total)\n" : "")
            for _ in 0..<large { request.exchange.body(ByteBuffer(repeating: 0x61, count: 64 << 10)) }
            for number in 0..<small { request.exchange.body(ByteBuffer(integer: UInt8(0x30 + number % 10))) }
            request.end()
        } _: { gateway in
            let client = try gateway.connect(receiveBufferBytes: 64 << 10)
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            // Everything was written before anything is read.
            try await gateway.eventually("the end") { $0.requests.count == 1 && $0.inFlight == 0 }
            _ = try client.receive(until: "\r\n\r\n")
            let chunks = try statesLength ? [client.receive(count: total)] : client.chunks()
            let body = chunks.reduce(into: [UInt8]()) { $0 += $1 }
            let end: [UInt8] = [0x61] + (0..<small).map { UInt8(0x30 + $0 % 10) }
            #expect(body.count == total && Array(body.suffix(end.count)) == end)
            #expect(chunks.count < large + small / 10)
        }
    }

    @Test func aPipeliningClientThatDoesNotReadIsNotServedOn() async throws {
        // All of them arrive with one read.
        let total = 120
        let body = String(repeating: "b", count: 512 << 10)
        try await TestGateway.run {
            $0.answer(200, "", body)
        } _: { gateway in
            let client = try gateway.connect(receiveBufferBytes: 64 << 10)
            try client.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: total))
            // Until the sockets are full; what stands still is far from the end.
            var last = -1
            while true {
                let now = gateway.notes.now.requests.count
                if now == last, now > 0 { break }
                last = now
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(last < total / 2)
            for _ in 0..<total {
                _ = try client.receive(until: "\r\n\r\n")
                _ = try client.receive(count: body.utf8.count)
            }
        }
    }

    @Test func a100IsSentWhenTheBodyIsWantedAndNotWhenTheRequestIsRefused() async throws {
        try await TestGateway.run { request in
            if request.request.url.hasSuffix("refused") {
                request.exchange.failed(.bodyTooLarge, message: "no", retryAfterSeconds: nil)
            } else {
                request.afterBody { request.answer(200, "", String(buffer: request.received)) }
            }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try client.send("abc")
            #expect(try client.response().body == "abc")
            // With the body at hand there is nothing to wait for.
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
            #expect(try client.response().body == "abc")
            try client.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 413 ") && text.contains("connection: close"))
        }
    }

    @Test func aSmallBodyThatNobodyReadsIsThrownAwayAndTheConnectionKept() async throws {
        try await TestGateway.run {
            $0.answer(200, "", "early")
        } _: { gateway in
            let client = try gateway.connect()
            for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
                try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
                #expect(try client.response().body == "early")
                try client.send(framing.hasSuffix("d") ? "a\r\n0123456789\r\n0\r\n\r\n" : "0123456789")
            }
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response().body == "early")
            #expect(gateway.notes.now.requests.map(\.method) == ["POST", "POST", "GET"])
        }
    }

    @Test func aLargeBodyThatNobodyReadsEndsTheConnectionButNotTheAnswer() async throws {
        try await TestGateway.run {
            $0.exchange.failed(.bodyTooLarge, message: "no", retryAfterSeconds: nil)
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            // The client goes on for a while before it looks.
            for _ in 0..<8 { try client.send([UInt8](repeating: 0, count: 64 << 10)) }
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 413 ") && text.contains("connection: close") && text.contains("body_too_large"))
        }
    }

    @Test func aChunkedBodyOverTheLimitIsRefused() async throws {
        var limits = GatewayLimits()
        limits.bodyBytes = 100_000
        try await TestGateway.run(limits) { request in
            request.afterBody { request.answer() }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<3 { try client.send("8000\r\n\(String(repeating: "a", count: 0x8000))\r\n") }
            try client.send("8000\r\n\(String(repeating: "a", count: 0x8000))")
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 413 "))
            try await gateway.eventually("the request is given up") { $0.gone == 1 }
        }
    }
}

/// A request of the fake dispatcher, to be touched on its loop only.
final class FakeRequestBox: Sendable {
    private let request: NIOLoopBound<FakeRequest>
    private let eventLoop: any EventLoop

    init(_ request: FakeRequest) {
        eventLoop = request.eventLoop
        self.request = NIOLoopBound(request, eventLoop: request.eventLoop)
    }

    func onLoop(_ body: @escaping @Sendable (FakeRequest) -> Void) {
        let request = self.request
        eventLoop.execute { body(request.value) }
    }
}
