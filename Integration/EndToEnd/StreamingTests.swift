import Foundation
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// Bodies in both directions, and what clients do to them.
    @Suite(.serialized) struct StreamingTests {
        private static let endless = """
            export default { fetch() {
              const chunk = new Uint8Array(16384).fill(120);
              return new Response(new ReadableStream({ pull(controller) { controller.enqueue(chunk); } }));
            } };
            """

        @Test func aStreamedAnswerArrivesAsItIsWritten() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "ticks",
                    """
                    export default { fetch() {
                      let n = 0;
                      return new Response(new ReadableStream({
                        async pull(controller) {
                          if (n === 3) return controller.close();
                          await new Promise((done) => setTimeout(done, 50));
                          controller.enqueue(new TextEncoder().encode(`data: ${n++}\\n\\n`));
                        },
                      }), { headers: { 'content-type': 'text/event-stream' } });
                    } };
                    """)
            ])
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.request("ticks.localhost")
            let head = try connection.readHead()
            #expect(head.headers["content-type"] == "text/event-stream" && head.headers["transfer-encoding"] == "chunked")
            var chunks: [String] = []
            while let chunk = try connection.readChunk() { chunks.append(String(decoding: chunk, as: UTF8.self)) }
            #expect(chunks == ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"])
            // The connection is kept.
            try connection.request("ticks.localhost")
            #expect(try connection.readResponse().text == "data: 0\n\ndata: 1\n\ndata: 2\n\n")
        }

        @Test func aRequestsBodyIsStreamedThroughTheHandlerAndBack() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "echo", "export default { fetch(request) { return new Response(request.body); } };"),
                TestTenant(
                    "count",
                    """
                    export default { async fetch(request) {
                      let bytes = 0, sum = 0;
                      for await (const chunk of request.body) { bytes += chunk.length; for (const byte of chunk) sum += byte; }
                      return Response.json({ bytes, sum });
                    } };
                    """, policy: "limits: { cpu_ms: 20000, cpu_quota_ms_per_s: 100000 }"),
            ])
            defer { daemon.end() }
            let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let counted = try daemon.get("count", method: "POST", body: body)
            #expect(counted.text == "{\"bytes\":3000000,\"sum\":\(body.reduce(0) { $0 + Int($1) })}")
            let connection = try daemon.connect()
            try connection.send("POST / HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            try connection.send("5\r\nhello\r\n")
            #expect(try connection.readHead().status == 200)
            #expect(try connection.readChunk() == Array("hello".utf8))
            try connection.send("7\r\n, world\r\n")
            #expect(try connection.readChunk() == Array(", world".utf8))
            try connection.send("0\r\n\r\n")
            #expect(try connection.readChunk() == nil)
        }

        /// Larger than what may be under way to a client, with all that the kernel takes.
        private static let large = """
            const text = 'x'.repeat(12 << 20), bytes = new Uint8Array(12 << 20);
            export default { fetch(request) {
              const { pathname } = new URL(request.url);
              if (pathname === '/text') return new Response(text);
              if (pathname === '/piece') return new Response(new ReadableStream({ start(c) { c.enqueue(bytes); c.close(); } }));
              return new Response('small');
            } };
            """

        /// The rest of an answer that nobody takes is dropped, and its request's place is free again.
        @Test(arguments: ["/text", "/piece"]) func aClientThatLeavesDuringALargeAnswerFreesItsPlace(_ path: String) throws {
            let daemon = try TestDaemon([TestTenant("large", Self.large, policy: "limits: { concurrency: 2, wall_ms: 600000 }")])
            defer { daemon.end() }
            var clients = try (0..<2).map { _ in try daemon.connect() }
            for client in clients {
                client.setReceiveBuffer(8192)
                try client.request("large.localhost", path)
                #expect(try client.readHead().status == 200)
                client.endWithReset()
            }
            // Until nothing is under way any more: what arrives for who is gone is dropped, and lets more come.
            usleep(500_000)
            #expect(try daemon.list("/v1/tenants").first?["in_flight"] as? Int == 2)
            clients = []
            _ = try eventually("the places to be free") {
                try daemon.list("/v1/tenants").first?["in_flight"] as? Int == 0 ? true : nil
            }
            #expect(try daemon.get("large").text == "small")
        }

        @Test func aSlowReaderHoldsMemoryFlat() throws {
            let daemon = try TestDaemon([TestTenant("endless", Self.endless, policy: "limits: { cpu_ms: 60000 }"), .plain("good")])
            defer { daemon.end() }
            let connection = try daemon.connect()
            connection.setReceiveBuffer(8192)
            try connection.request("endless.localhost")
            #expect(try connection.readHead().status == 200)
            Thread.sleep(forTimeInterval: 0.5)
            let before = try daemon.residentKilobytes()
            Thread.sleep(forTimeInterval: 2)
            let after = try daemon.residentKilobytes()
            // An unbounded buffer would grow by hundreds of megabytes in this time.
            #expect(after - before < 20_000, "grew from \(before) to \(after) KiB")
            #expect(try daemon.get("good").text == "good")
        }

        @Test func aSlowHandlerStopsTheSenderAndMemoryStaysFlat() throws {
            let daemon = try TestDaemon([
                TestTenant("idle", "export default { fetch(request) { request.body.getReader(); return new Promise(() => {}); } };")
            ])
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.send("POST / HTTP/1.1\r\nHost: idle.localhost\r\nContent-Length: 90000000\r\n\r\n")
            let piece = [UInt8](repeating: 1, count: 64 << 10)
            var sent = 0
            var idleRounds = 0
            // Until nothing was taken for half a second.
            while idleRounds < 50, sent < 90_000_000 {
                let count = connection.sendWithoutWaiting(piece)
                sent += count
                if count == 0 {
                    idleRounds += 1
                    Thread.sleep(forTimeInterval: 0.01)
                } else {
                    idleRounds = 0
                }
            }
            #expect(sent < 40_000_000, "\(sent) bytes were taken for a handler that reads none")
        }

        @Test func aClientThatLeavesAbortsTheRequestsSignal() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "abort",
                    """
                    let aborted = 0;
                    export default { fetch(request) {
                      if (request.url.endsWith('/count')) return new Response(String(aborted));
                      request.signal.addEventListener('abort', () => { aborted++; });
                      return new Promise(() => {});
                    } };
                    """)
            ])
            defer { daemon.end() }
            do {
                let connection = try daemon.connect()
                try connection.request("abort.localhost")
                _ = try eventually("the request to run") { try daemon.list("/v1/tenants").first?["in_flight"] as? Int == 1 ? true : nil }
            }
            _ = try eventually("the abort") { try daemon.get("abort", "/count").text == "1" ? true : nil }
        }

        @Test func aBodyThatBreaksOffEndsTheConnection() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "broken",
                    """
                    export default { fetch() {
                      let n = 0;
                      return new Response(new ReadableStream({ pull(c) {
                        if (n++ === 0) c.enqueue(new Uint8Array(10)); else c.error(new Error('half way'));
                      } }));
                    } };
                    """)
            ])
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.request("broken.localhost")
            #expect(try connection.readHead().status == 200)
            #expect(try connection.readChunk()?.count == 10)
            #expect(connection.isClosed())
        }

        @Test func waitUntilGoesOnAfterTheAnswer() throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "later",
                    """
                    let done = 0;
                    export default { fetch(request, env, ctx) {
                      if (request.url.endsWith('/done')) return new Response(String(done));
                      ctx.waitUntil(new Promise((resolve) => setTimeout(() => { done++; resolve(); }, 100)));
                      return new Response('now');
                    } };
                    """)
            ])
            defer { daemon.end() }
            #expect(try daemon.get("later").text == "now")
            _ = try eventually("waitUntil") { try daemon.get("later", "/done").text == "1" ? true : nil }
        }
    }
}

extension TestDaemon {
    /// Memory of the daemon and its cells.
    func residentKilobytes() throws -> Int {
        try ([process.processIdentifier] + cells()).reduce(0) { $0 + (Self.statusField($1, "VmRSS").flatMap { Int($0) } ?? 0) }
    }

    /// The first word of a field of `/proc/PID/status`.
    static func statusField(_ pid: Int32, _ field: String) -> String? {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("\(field):") }
        return line?.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().first.map(String.init)
    }
}
