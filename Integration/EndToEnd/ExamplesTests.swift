import Foundation
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// The examples answer as README.md says, each under the policy that comes with it.
    @Suite(.serialized) struct ExamplesTests {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()

        /// A daemon on the policies of this repository.
        private func daemon() throws -> TestDaemon {
            let daemon = try TestDaemon([])
            let policies = Self.root.appendingPathComponent("policies")
            for name in try FileManager.default.contentsOfDirectory(atPath: policies.path) where name.hasSuffix(".yaml") {
                let text = try String(contentsOf: policies.appendingPathComponent(name), encoding: .utf8)
                try daemon.writePolicy(
                    String(name.dropLast(5)),
                    text.replacingOccurrences(of: "main: ../", with: "main: \(Self.root.path)/"))
            }
            try daemon.reload()
            return daemon
        }

        private func json(_ response: Response) throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any] ?? [:]
        }

        @Test func helloGreetsWithItsVariable() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            #expect(try daemon.get("hello", "/you").text == "hello you\n")
            #expect(try daemon.get("hello").text == "hello world\n")
        }

        @Test func theAPIKeepsNotes() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            #expect(try daemon.get("api", "/notes").text == "[]")
            let made = try daemon.get("api", "/notes", method: "POST", body: Array(#"{"text":"remember"}"#.utf8))
            #expect(made.status == 201 && made.headers["location"] == "/notes/1")
            #expect(try json(made)["text"] as? String == "remember")
            let changed = try daemon.get("api", "/notes/1", method: "PUT", body: Array(#"{"text":"forget"}"#.utf8))
            #expect(try json(changed)["text"] as? String == "forget")
            #expect(try json(try daemon.get("api", "/notes/1"))["text"] as? String == "forget")
            #expect(try daemon.get("api", "/notes/1", method: "DELETE").status == 204)
            #expect(try daemon.get("api", "/notes/1").status == 404)
            // What does not fit is said as JSON, with the status that HTTP has for it.
            #expect(try daemon.get("api", "/notes", method: "POST", body: Array("no JSON".utf8)).status == 400)
            #expect(try daemon.get("api", "/notes", method: "POST", body: Array(#"{"text":7}"#.utf8)).status == 422)
            let refused = try daemon.get("api", "/notes", method: "PATCH", body: [])
            #expect(refused.status == 405 && refused.headers["allow"] == "GET, POST")
            #expect(try json(try daemon.get("api", "/nowhere"))["error"] as? String == "there is nothing at /nowhere")
        }

        @Test func theStreamSendsEventsAsTheyHappenAndBodiesBackAsTheyCome() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            #expect(try daemon.get("stream").text.contains("EventSource"))
            let events = try daemon.connect()
            try events.request("stream.localhost", "/events")
            #expect(try events.readHead().headers["content-type"] == "text/event-stream")
            for count in 1...2 {
                let event = String(decoding: try #require(try events.readChunk()), as: UTF8.self)
                #expect(event.hasPrefix("id: \(count)\ndata: {\"count\":\(count),"), "\(event)")
            }
            let upper = try daemon.connect()
            try upper.send("POST /upper HTTP/1.1\r\nHost: stream.localhost\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n")
            #expect(try upper.readHead().status == 200)
            #expect(try upper.readChunk() == Array("HELLO ".utf8))
            // A character in two pieces comes back whole.
            try upper.send("1\r\n\u{c3}\r\n".unicodeScalars.map { UInt8($0.value) })
            try upper.send("1\r\n\u{a9}\r\n0\r\n\r\n".unicodeScalars.map { UInt8($0.value) })
            var rest: [UInt8] = []
            while let chunk = try upper.readChunk() { rest += chunk }
            #expect(String(decoding: rest, as: UTF8.self) == "\u{c9}")
        }

        @Test func theModuleOfWebAssemblyAddsUp() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let response = try daemon.get("wasm", "/?n=1000000")
            // Without sum.wasm (scripts/build-wasm) the bundle does not start.
            #expect(response.text == #"{"n":1000000,"sum":"499999500000"}"#)
            #expect(try daemon.get("wasm", "/?n=x").status == 400)
        }

        @Test func thePageIsRenderedFromItsDataAndEscapesWhatItIsGiven() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            let table = try daemon.get("page")
            #expect(table.headers["content-type"] == "text/html;charset=UTF-8" && table.body.count > 20_000)
            #expect(table.text.components(separatedBy: "class=\"cell ").count == 119)
            let iron = try daemon.get("page", "/fe").text
            #expect(iron.contains("<dd>55.845</dd>") && iron.contains("group 8, period 4"))
            let search = try daemon.get("page", "/?q=%3Cb%3E%22").text
            #expect(search.contains("value=\"&lt;b&gt;&quot;\"") && search.contains("0 elements"))
            #expect(try daemon.get("page", "/nothing").status == 404)
        }

        @Test func theMisbehavingOnesGetWhatTheTableOfErrorsSays() throws {
            let daemon = try daemon()
            defer { daemon.end() }
            for (tenant, status, code) in [
                ("loop", 503, "cpu_limit"), ("bomb", 503, "cpu_limit"), ("hog", 503, "memory_limit"), ("throws", 500, "exception"),
                ("silent", 504, "wall_limit"),
            ] {
                let response = try daemon.get(tenant)
                #expect(response.status == status && response.code == code, "\(tenant): \(response.text)")
            }
            #expect(try daemon.get("hello").status == 200)
            #expect(try daemon.metric("cloister_cells_lost_total") == 0)
        }
    }
}
