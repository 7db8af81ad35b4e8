import Gateway
import NIOCore
import NIOPosix
import NIOSSL
import Testing

/// TLS on the front: what is served over it, who is kept out, and how the certificate changes.
@Suite struct TLSTests {
    private let get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

    private func run(
        _ limits: GatewayLimits = GatewayLimits(), certificate: TestCertificate? = nil, script: @escaping FakeDispatcher.Script,
        _ body: (TestGateway, Int, any EventLoopGroup) async throws -> Void
    ) async throws {
        let certificate = try certificate ?? TestCertificate()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await TestGateway.run(limits, certificate: certificate.load(), script: script) { gateway in
                try await body(gateway, try #require(gateway.server.tlsAddress?.port), group)
            }
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    @Test(arguments: [TLSVersion.tlsv12, .tlsv13]) func requestsAreServedAndTheirURLSaysSo(_ version: TLSVersion) async throws {
        try await run { request in
            request.afterBody { request.answer(200, "", "\(request.request.url) \(request.received.readableBytes)") }
        } _: { gateway, port, group in
            let client = try await TLSClient.connect(port: port, group: group, maximum: version)
            #expect(client.negotiated == "http/1.1")
            for (text, expected) in [
                (get, "https://a/x 0"), ("GET / HTTP/1.1\r\nHost: a:443\r\n\r\n", "https://a/ 0"),
                ("GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "https://a:80/ 0"),
                ("GET https://a/y HTTP/1.1\r\nHost: a\r\n\r\n", "https://a/y 0"),
                (
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + String(repeating: "x", count: 300_000),
                    "https://a/ 300000"
                ),
            ] {
                try await client.send(text)
                #expect(try await client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
                #expect(String(decoding: try await client.receive(count: expected.utf8.count), as: UTF8.self) == expected)
            }
            // The wrong scheme, and the connection ends as TLS ends.
            try await client.send("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.receiveAll().hasPrefix("HTTP/1.1 400 "))
            // Without TLS nothing has changed.
            let plain = try gateway.connect()
            try plain.send(get)
            #expect(try plain.response().body == "http://a/x 0")
        }
    }

    @Test func aLongAnswerComesWholeAndAtTheReadersPace() async throws {
        try await run { request in
            request.begin()
            for _ in 0..<64 { request.exchange.body(ByteBuffer(repeating: 0x61, count: 64 << 10)) }
            request.end()
        } _: { _, port, group in
            let client = try await TLSClient.connect(port: port, group: group)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let text = try await client.receiveAll()
            #expect(text.utf8.count { $0 == 0x61 } >= 4 << 20 && text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func whoSpeaksPlainHTTPToTheTLSPortIsToldSo() async throws {
        try await run {
            $0.answer()
        } _: { gateway, port, _ in
            let client = try Client(port: UInt16(port), receiveBufferBytes: nil)
            try client.send(get)
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 400 ") && text.contains("cloister-error: bad_request") && text.contains("https://"))
            #expect(gateway.notes.now.requests.isEmpty)
            #expect(gateway.metrics.text().contains("cloister_gateway_handshake_failures_total{reason=\"plain_text\"} 1\n"))
        }
    }

    /// What is neither TLS nor HTTP, what stops within the handshake, and what goes away there.
    @Test func aHandshakeThatComesToNothingIsClosedAndHoldsNobodyUp() async throws {
        var limits = GatewayLimits()
        limits.handshakeTimeoutMilliseconds = 100
        try await run(limits) {
            $0.answer(200, "", "ok")
        } _: { gateway, port, group in
            let garbage = try Client(port: UInt16(port), receiveBufferBytes: nil)
            try garbage.send([0x16, 0x03, 0x01, 0x00, 0x05, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
            _ = try? garbage.receiveAll()
            let silent = try Client(port: UInt16(port), receiveBufferBytes: nil)
            let slow = try Client(port: UInt16(port), receiveBufferBytes: nil)
            try slow.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
            let gone = try Client(port: UInt16(port), receiveBufferBytes: nil)
            try gone.send([0x16, 0x03])
            gone.reset()
            #expect((try? silent.receiveAll()) ?? "" == "")
            #expect((try? slow.receiveAll()) ?? "" == "")
            let client = try await TLSClient.connect(port: port, group: group)
            try await client.send(get)
            #expect(try await client.receive(until: "ok").hasPrefix("HTTP/1.1 200 "))
            let metrics = gateway.metrics.text()
            #expect(metrics.contains("cloister_gateway_handshake_failures_total{reason=\"timeout\"} 2\n"))
            #expect(metrics.contains("cloister_gateway_limits_total{limit=\"handshake_timeout_ms\"} 2\n"))
            #expect(!metrics.contains("cloister_gateway_handshake_failures_total{reason=\"protocol\"} 0\n"))
        }
    }

    @Test func onlySoManyHandshakesAreUnderWayAtOnce() async throws {
        var limits = GatewayLimits()
        limits.handshakes = 2
        try await run(limits) {
            $0.answer(200, "", "ok")
        } _: { gateway, port, group in
            let waiting = [
                try Client(port: UInt16(port), receiveBufferBytes: nil), try Client(port: UInt16(port), receiveBufferBytes: nil),
            ]
            try await eventually("two connections") { gateway.metrics.text().contains("cloister_gateway_connections 2\n") }
            await #expect(throws: (any Error).self) { try await TLSClient.connect(port: port, group: group) }
            #expect(gateway.metrics.text().contains("cloister_gateway_limits_total{limit=\"handshakes\"} 1\n"))
            // Plain connections have no part in it, and whoever gives up makes room.
            let plain = try gateway.connect()
            try plain.send(get)
            #expect(try plain.response().status == 200)
            waiting[0].close()
            try await eventually("room") {
                guard let client = try? await TLSClient.connect(port: port, group: group) else { return false }
                try await client.send(get)
                return try await client.receive(until: "ok").hasPrefix("HTTP/1.1 200 ")
            }
        }
    }

    @Test func anOldVersionIsRefusedAndALesserProtocolIsNotAsked() async throws {
        try await run {
            $0.answer(200, "", "ok")
        } _: { _, port, group in
            await #expect(throws: (any Error).self) { try await TLSClient.connect(port: port, group: group, maximum: .tlsv11) }
            let client = try await TLSClient.connect(port: port, group: group, protocols: [])
            #expect(client.negotiated == nil)
            try await client.send(get)
            #expect(try await client.receive(until: "ok").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func aNewCertificateIsForNewConnectionsOnly() async throws {
        let old = try TestCertificate()
        let new = try TestCertificate()
        try await run(certificate: old) {
            $0.answer(200, "", "ok")
        } _: { gateway, port, group in
            let first = try await TLSClient.connect(port: port, group: group)
            try await first.send(get)
            _ = try await first.receive(until: "ok")
            await gateway.server.replaceCertificate(try new.load())
            // The connection that was open goes on.
            try await first.send(get)
            #expect(try await first.receive(until: "ok").hasPrefix("HTTP/1.1 200 "))
            let second = try await TLSClient.connect(port: port, group: group)
            #expect(try await first.certificate() == NIOSSLCertificate.fromPEMBytes(old.certificate)[0])
            #expect(try await second.certificate() == NIOSSLCertificate.fromPEMBytes(new.certificate)[0])
        }
    }

    @Test func filesThatCannotBeServedAreRefusedWithTheReason() throws {
        let good = try TestCertificate()
        let other = try TestCertificate()
        let locked = try TestCertificate(keyPassword: "secret")
        for (certificate, key, part) in [
            ([], good.key, GatewayCertificateError.Part.certificate), (Array("junk\n".utf8), good.key, .certificate),
            (Array(good.certificate.prefix(100)), good.key, .certificate), (good.key, good.key, .certificate),
            (good.certificate, [], .key), (good.certificate, good.certificate, .key), (good.certificate, other.key, .key),
            (locked.certificate, locked.key, .key),
        ] {
            let error = #expect(throws: GatewayCertificateError.self) { try GatewayCertificate(certificates: certificate, key: key) }
            #expect(error?.part == part)
        }
        #expect(try TestCertificate(days: -1).load().expiresUnixSeconds < good.load().expiresUnixSeconds)
    }

    /// Where the connection's end is the body's, TLS's farewell says that all of it came: a broken answer must not say so.
    @Test(arguments: [true, false]) func onlyAWholeAnswerEndsWithTheFarewell(_ isBroken: Bool) async throws {
        try await run { request in
            request.begin()
            request.exchange.body(ByteBuffer(string: "part"))
            if isBroken { request.exchange.broken("why") } else { request.end() }
        } _: { _, port, group in
            let client = try await TLSClient.connect(port: port, group: group)
            try await client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            if isBroken {
                await #expect(throws: (any Error).self) { try await client.receiveAll() }
            } else {
                #expect(try await client.receiveAll().hasSuffix("part"))
            }
        }
    }

    @Test func aClientThatIsCutOffLeavesNothingBehind() async throws {
        var limits = GatewayLimits()
        limits.halfClosedMilliseconds = 20
        try await run(limits) { request in
            if request.request.url.hasSuffix("done") { request.answer(200, "", "ok") }
        } _: { gateway, port, group in
            let cut = try await TLSClient.connect(port: port, group: group)
            try await cut.send(get)
            let polite = try await TLSClient.connect(port: port, group: group)
            try await polite.send(get)
            try await gateway.eventually("both") { $0.inFlight == 2 }
            await cut.cut()
            await polite.close()
            try await gateway.eventually("both given up") { $0.gone == 2 }
            try await eventually("no connection") { gateway.metrics.text().contains("cloister_gateway_connections 0\n") }
        }
    }

    /// Whoever has said nothing yet has nothing to wait for.
    @Test func drainingDoesNotWaitForAHandshake() async throws {
        var limits = GatewayLimits()
        limits.handshakeTimeoutMilliseconds = 100_000
        try await run(limits) {
            $0.answer()
        } _: { gateway, port, group in
            let silent = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
            try await eventually("the connection") { gateway.metrics.text().contains("cloister_gateway_connections 1\n") }
            async let drained: Void = gateway.server.drain(withinMilliseconds: 600_000)
            // Long before anything that is limited by time alone.
            try await eventually("its end") { gateway.metrics.text().contains("cloister_gateway_connections 0\n") }
            await drained
            try await silent.closeFuture.get()
        }
    }

    @Test func drainingAnswersWhatIsInFlight() async throws {
        try await run { request in
            let delay = request.request.url.hasSuffix("now") ? 0 : 1_000
            request.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(delay))) { request.answer(200, "", "late") }
        } _: { gateway, port, group in
            let idle = try await TLSClient.connect(port: port, group: group)
            try await idle.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await idle.receive(until: "late")
            let client = try await TLSClient.connect(port: port, group: group)
            try await client.send(get)
            try await gateway.eventually("in flight") { $0.inFlight == 1 }
            async let drained: Void = gateway.server.drain(withinMilliseconds: 20_000)
            #expect(try await idle.receiveAll().isEmpty)
            let text = try await client.receiveAll()
            #expect(text.hasSuffix("late") && text.contains("connection: close"))
            await drained
            await #expect(throws: (any Error).self) { try await TLSClient.connect(port: port, group: group) }
        }
    }
}
