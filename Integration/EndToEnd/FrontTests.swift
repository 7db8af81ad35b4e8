import Foundation
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// What HTTP clients expect of the front, through to the handler.
    @Suite(.serialized) struct FrontTests {
        private static let mirror = TestTenant(
            "mirror",
            """
            export default { async fetch(request, env) {
              const url = new URL(request.url);
              if (url.pathname === '/204') return new Response(null, { status: 204 });
              if (url.pathname === '/304') return new Response(null, { status: 304 });
              if (url.pathname === '/cookies') {
                const headers = new Headers();
                headers.append('set-cookie', 'a=1');
                headers.append('set-cookie', 'b=2');
                return new Response('x', { headers });
              }
              return Response.json({
                method: request.method, url: request.url, header: request.headers.get('x-test'), greeting: env.GREETING, secret: env.KEY,
                body: await request.text(), agent: navigator.userAgent,
              });
            } };
            """,
            policy: "vars: { GREETING: 'good day' }\nsecrets: { KEY: { file: ../key } }\nhosts: [mirror.example.com, '*.wild.example.com']")

        private func daemon() throws -> TestDaemon {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-key-\(UUID().uuidString)")
            try "s3cret\n".write(to: folder, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: folder) }
            var tenant = Self.mirror
            tenant.policy = tenant.policy.replacingOccurrences(of: "../key", with: folder.path)
            return try TestDaemon([tenant])
        }

        @Test func theHandlerSeesTheRequestAndItsBindings() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.request(
                "MIRROR.example.com", "/a%20b?q=1", method: "POST", headers: ["X-Test": "caf\u{e9}"], body: Array("body".utf8))
            let seen = try JSONSerialization.jsonObject(with: Data(try connection.readResponse().body)) as! [String: String]
            #expect(seen["method"] == "POST" && seen["url"] == "http://mirror.example.com/a%20b?q=1")
            #expect(seen["greeting"] == "good day" && seen["secret"] == "s3cret" && seen["body"] == "body" && seen["agent"] == "Cloister")
            try connection.request("any.wild.example.com")
            #expect(try connection.readResponse().status == 200)
            try connection.request("two.levels.wild.example.com")
            #expect(try connection.readResponse().code == "tenant_unknown")
            try connection.request("mirror.localhost")
            #expect(try connection.readResponse().status == 200)
        }

        @Test func keptConnectionsPipelineInOrder() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let connection = try daemon.connect()
            for index in 0..<20 { try connection.request("mirror.localhost", "/\(index)") }
            for index in 0..<20 { #expect(try connection.readResponse().text.contains("/\(index)\"")) }
        }

        @Test func answersWithoutABodyHaveNone() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.request("mirror.localhost", method: "HEAD")
            let head = try connection.readResponse(toHead: true)
            #expect(head.status == 200 && head.body.isEmpty)
            for status in [204, 304] {
                try connection.request("mirror.localhost", "/\(status)")
                let response = try connection.readResponse()
                #expect(response.status == status && response.headers["transfer-encoding"] == nil)
            }
            try connection.request("mirror.localhost", "/cookies")
            #expect(try connection.readResponse().headers["set-cookie"] != nil)
        }

        @Test func aClientThatExpectsContinueIsTold() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.send("POST / HTTP/1.1\r\nHost: mirror.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try connection.readHead().status == 100)
            try connection.send("hello")
            #expect(try connection.readResponse().text.contains("hello"))
        }

        @Test func anHTTP10ClientIsAnsweredAndClosed() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let connection = try daemon.connect()
            try connection.send("GET / HTTP/1.0\r\nHost: mirror.localhost\r\n\r\n")
            #expect(try connection.readResponse().status == 200)
            #expect(connection.isClosed())
        }
    }
}
