import Gateway
import NIOCore
import Testing

/// Limits that concern all connections together, or all of one client.
@Suite struct LimitTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private func count(_ gateway: TestGateway, _ limit: String) -> Int {
        let name = "cloister_gateway_limits_total{limit=\"\(limit)\"} "
        let line = gateway.metrics.text().split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
    }

    @Test func oneAddressTakesOnlyItsPartOfTheConnections() async throws {
        var limits = GatewayLimits()
        limits.connectionsPerAddress = 2
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
            #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("cloister-error: overloaded") && text.contains("from your address"))
            #expect(count(gateway, "connections_per_address") == 1)
            // Another address has its own part, and one that leaves makes room.
            let other = try gateway.connect(from: "127.0.0.2")
            try other.send(get)
            #expect(try other.response().status == 200)
            clients[0].close()
            third.close()
            try await eventually("room") {
                let next = try gateway.connect()
                try? next.send(get)
                return (try? next.response().status) == 200
            }
        }
    }

    @Test func aCrowdOfIdleConnectionsKeepsNobodyOut() async throws {
        var limits = GatewayLimits()
        limits.connections = 3
        try await TestGateway.run(limits) { request in
            if request.request.url.hasSuffix("/") { request.answer() }
        } _: { gateway in
            let busy = try gateway.connect()
            try busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            try await gateway.eventually("in flight") { $0.inFlight == 1 }
            let silent = try gateway.connect()
            let idle = try gateway.connect()
            try idle.send(get)
            #expect(try idle.response().status == 200)
            // Refused at first; once the others have been idle for a while, one of them goes.
            try await eventually("a place") {
                let next = try gateway.connect()
                try? next.send(get)
                return (try? next.response().status) == 200
            }
            #expect(count(gateway, "idle_evicted") >= 1)
            #expect(try silent.receiveAll().isEmpty)
            #expect(gateway.notes.now.gone == 0)
        }
    }

    @Test func anAddressThatAsksTooOftenIsToldToWait() async throws {
        var limits = GatewayLimits()
        limits.requestsPerSecondPerAddress = 20
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            // Far more than can be earned meanwhile, over connections that keep being closed.
            var refused = 0
            for _ in 0..<200 {
                let client = try gateway.connect()
                try client.send(get)
                let response = try client.response()
                if response.status == 429 {
                    refused += 1
                    #expect(response.field("cloister-error") == "rate_limited" && response.field("retry-after") == "1")
                    #expect(response.field("connection") == "close")
                } else {
                    #expect(response.status == 200)
                }
            }
            #expect(refused > 0 && count(gateway, "requests_per_s_per_address") == refused)
            #expect(gateway.notes.now.requests.count == 200 - refused)
            #expect(gateway.notes.now.requests.count >= 20)
            let other = try gateway.connect(from: "127.0.0.2")
            try other.send(get)
            #expect(try other.response().status == 200)
            try await eventually("the allowance to grow") {
                let client = try gateway.connect()
                try client.send(get)
                return try client.response().status == 200
            }
        }
    }

    @Test func pipelinedRequestsCountAsWell() async throws {
        var limits = GatewayLimits()
        limits.requestsPerSecondPerAddress = 10
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            let client = try gateway.connect()
            try client.send(String(repeating: get, count: 500))
            let text = try client.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 200 ") && text.contains("cloister-error: rate_limited"))
            #expect(gateway.notes.now.requests.count < 500)
        }
    }

    @Test func whatAllConnectionsHoldTogetherIsBounded() async throws {
        var limits = GatewayLimits()
        limits.bufferedBytes = 256 << 10
        try await TestGateway.run(limits) {
            $0.answer()
        } _: { gateway in
            // Heads that never end, until one of them is too much.
            var holders: [Client] = []
            let part = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 60_000)
            while holders.count < 64, count(gateway, "buffered_mb") == 0 {
                let client = try gateway.connect()
                try client.send(part)
                holders.append(client)
            }
            try await eventually("somebody refused") { count(gateway, "buffered_mb") > 0 }
            // For the others the rest of the head is all that is missing.
            var statuses: [Int] = []
            for client in holders {
                try? client.send("\r\n\r\n")
                let response = try client.response()
                statuses.append(response.status)
                #expect(response.status == 200 || response.field("cloister-error") == "overloaded")
            }
            #expect(statuses.count { $0 == 503 } == count(gateway, "buffered_mb"))
            #expect(statuses.contains(200) && statuses.contains(503), "\(statuses)")
            for client in holders { client.close() }
            try await eventually("nothing to be held") { holds(gateway) == 0 }
        }
    }

    @Test func aConnectionThatIsAlwaysAPartAheadHoldsNoMoreForIt() async throws {
        try await TestGateway.run {
            $0.answer()
        } _: { gateway in
            let client = try gateway.connect()
            let request = Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 8_000))\r\n\r\n".utf8)
            let half = request.count / 2
            try client.send(Array(request[..<half]))
            for _ in 0..<400 {
                try client.send(Array(request[half...] + request[..<half]))
                #expect(try client.response().status == 200)
            }
            #expect((1...(64 << 10)).contains(holds(gateway)), "\(holds(gateway)) bytes")
        }
    }

    private func holds(_ gateway: TestGateway) -> Int {
        let name = "cloister_gateway_buffered_bytes "
        let line = gateway.metrics.text().split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
    }

    @Test func readersThatHoldTooMuchAreCutOff() async throws {
        var limits = GatewayLimits()
        limits.bufferedBytes = 8 << 20
        try await TestGateway.run(limits) { request in
            request.begin()
            for _ in 0..<96 { request.exchange.body(ByteBuffer(repeating: 0x61, count: 64 << 10)) }
        } _: { gateway in
            let clients = try (0..<4).map { _ in try gateway.connect(receiveBufferBytes: 64 << 10) }
            for client in clients { try client.send(get) }
            try await gateway.eventually("somebody given up") { $0.gone >= 1 }
            try await eventually("little to be held") { holds(gateway) <= limits.bufferedBytes }
            #expect(count(gateway, "buffered_mb") >= 1 && count(gateway, "write_timeout_ms") == 0)
            #expect(gateway.notes.now.gone < 4)
        }
    }

    @Test func everyTimeoutThatStrikesIsCounted() async throws {
        var limits = GatewayLimits()
        limits.headTimeoutMilliseconds = 50
        limits.idleTimeoutMilliseconds = 50
        limits.bodyTimeoutMilliseconds = 50
        try await TestGateway.run(limits) { request in
            request.afterBody { request.answer() }
        } _: { gateway in
            for (text, limit, status) in [
                ("GET / HTT", "head_timeout_ms", 408),
                ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", "body_timeout_ms", 408),
                (get, "idle_timeout_ms", 200),
            ] {
                let client = try gateway.connect()
                try client.send(text)
                #expect(try client.response().status == status)
                _ = try client.receiveAll()
                #expect(count(gateway, limit) == 1, "\(limit)")
            }
        }
    }

    /// One byte at a time is progress, but not enough of it.
    @Test func aBodyThatTricklesIsRefused() async throws {
        var limits = GatewayLimits()
        limits.bodyTimeoutMilliseconds = 300
        limits.bodyBytesPerSecond = 10_000
        try await TestGateway.run(limits) { request in
            request.afterBody { request.answer() }
        } _: { gateway in
            let client = try gateway.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            var sent = 0
            while sent < 50_000, count(gateway, "body_timeout_ms") == 0 {
                guard (try? client.send("x")) != nil else { break }
                sent += 1
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(count(gateway, "body_timeout_ms") == 1 && sent < 50_000)
        }
    }
}
