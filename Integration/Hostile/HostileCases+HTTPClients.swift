import Foundation
import Glibc
import IntegrationHarness
import Testing

/// The second half of the HTTP chapter: clients in numbers, and answers.
extension HostileCase {
    // MARK: 66, 67: clients that are ahead, and clients that leave

    static func pipelining(_ stage: HostileStage) throws {
        let host = "\(stage.offender).localhost"
        // A reader that keeps up is answered in order.
        nonisolated(unsafe) let connection = try stage.daemon.connect()
        let count = 2_000
        let sender = Thread { for index in 0..<count { try? connection.request(host, "/\(index)") } }
        sender.start()
        for index in 0..<count { #expect(try connection.readResponse().text == "/\(index)") }
        // One that does not read is not served on for ever: its requests stay where they are.
        let deaf = try stage.daemon.connect()
        deaf.setReceiveBuffer(4 << 10)
        let piece = Array(
            String(repeating: "GET /\(String(repeating: "p", count: 500)) HTTP/1.1\r\nHost: \(host)\r\n\r\n", count: 100).utf8)
        var taken = 0
        var stalled = 0
        while stalled < 50, taken < 256 << 20 {
            let sent = deaf.sendWithoutWaiting(piece)
            taken += sent
            stalled = sent == 0 ? stalled + 1 : 0
            if sent == 0 { usleep(10_000) }
        }
        #expect(taken < 64 << 20, "\(taken) bytes of requests were taken from one who reads no answer")
    }

    static func earlyAbort(_ stage: HostileStage) throws {
        let host = "\(stage.offender).localhost"
        let request = Array("POST /x HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n".utf8)
        func idle() throws {
            _ = try eventually("no request to be left") { try stage.report()["in_flight"] as? Int == 0 ? true : nil }
        }
        // At every byte of the request, by a reset and by an end.
        for count in 0...request.count {
            for resets in [true, false] {
                let connection = try stage.daemon.connect()
                try connection.send(Array(request[..<count]))
                if resets { connection.endWithReset() }
            }
        }
        try idle()
        // At every byte of the answer.
        let whole = try stage.daemon.connect()
        try whole.send(request)
        let length = try whole.readWhole(until: "ABCDEF").count
        for count in 0..<length {
            let connection = try stage.daemon.connect()
            try connection.send(request)
            _ = try connection.read(count)
            connection.endWithReset()
        }
        try idle()
        let response = try stage.get("/x", method: "POST", body: Array("late".utf8))
        #expect(response.text == "LATE")
        // Only the neighbour's connection, the admin API's none.
        _ = try eventually("the connections to go") { try stage.daemon.metric("cloister_gateway_connections") <= 2 ? true : nil }
    }

    // MARK: 68 to 70: answers, logs

    static func bodiesWhereNoneBelong(_ stage: HostileStage) throws {
        let host = "\(stage.offender).localhost"
        for status in ["204", "205", "304"] { #expect(try stage.get("/\(status)").text == "TypeError", "\(status)") }
        // One answer after the other on one connection: a body that does not belong there would be taken for the next one's head.
        let connection = try stage.daemon.connect()
        for _ in 0..<3 {
            try connection.request(host, "/", method: "HEAD")
            let head = try connection.readResponse(toHead: true)
            #expect(head.status == 200 && head.body.isEmpty)
            try connection.request(host, "/length")
            let empty = try connection.readResponse()
            #expect(empty.status == 204 && empty.headers["content-length"] == nil && empty.headers["transfer-encoding"] == nil)
            try connection.request(host, "/")
            #expect(try connection.readResponse().text == "a body")
        }
        // A length that the tenant made up is not believed where its body is known.
        try connection.request(host, "/lie")
        let lie = try connection.readResponse()
        #expect(lie.text == "a body" && lie.headers["content-length"] == "6")
        #expect(connection.unreadCount == 0)
    }

    static func consoleFlood(_ stage: HostileStage) throws {
        let begin = Date()
        #expect(try stage.get("/").text == "said")
        #expect(try stage.get("/").text == "said")
        #expect(try stage.get("/long").text == "said")
        // The next second's first line says how many were lost.
        _ = try eventually("the count of what was dropped") { () -> Bool? in
            _ = try stage.get("/")
            return stage.daemon.logLines.contains { $0["tenant"] == stage.offender && Int($0["dropped_lines"] ?? "") ?? 0 > 10_000 }
                ? true : nil
        }
        let seconds = Date().timeIntervalSince(begin)
        let lines = stage.daemon.logLines.filter { $0["tenant"] == stage.offender && $0["source"] == "tenant" }
        #expect(Double(lines.count) <= 200 * (seconds + 2), "\(lines.count) lines in \(seconds) s")
        #expect(lines.allSatisfy { ($0["message"] ?? "").utf8.count <= 64 << 10 })
    }

    // MARK: 71, 72

    static func idleConnections(_ stage: HostileStage) throws {
        let connections = 10_000
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        #expect(limit.rlim_max >= 2 * 10_000, "this case needs 20,000 open files, not \(limit.rlim_max)")
        let pid = stage.daemon.process.processIdentifier
        let before = Holdings.residentBytes(of: pid)
        var idle: [Connection] = []
        for index in 0..<connections {
            // One address may have only a part of them.
            let connection = try Connection(port: stage.daemon.port, from: "127.0.0.\(2 + index % 4)")
            // Some have been served before, most never said a word.
            if index % 10 == 0 {
                try connection.request("\(stage.offender).localhost")
                #expect(try connection.readResponse().text == "here")
            }
            idle.append(connection)
        }
        let open = try stage.daemon.metric("cloister_gateway_connections")
        #expect(open >= Double(connections) - 100, "only \(open) of \(connections) connections are open")
        let bytes = (Holdings.residentBytes(of: pid) - before) / connections
        #expect(bytes < 16 << 10, "\(bytes) bytes of memory a connection")
        // All places are taken, and still whoever has something to say gets one.
        var served: [Connection] = []
        for _ in 0..<50 {
            let connection = try stage.daemon.connect()
            try connection.request("\(stage.offender).localhost")
            #expect(try connection.readResponse().text == "here")
            served.append(connection)
        }
        #expect(try stage.daemon.metric("cloister_gateway_limits_total{limit=\"idle_evicted\"}") >= 40)
        served.removeAll()
        idle.removeAll()
        _ = try eventually("them to go") { try stage.daemon.metric("cloister_gateway_connections") < 20 ? true : nil }
    }

    static func mismatchedHost(_ stage: HostileStage) throws {
        let own = "\(stage.offender).localhost"
        let other = "\(stage.neighbour.name).localhost"
        func ask(_ target: String, _ fields: String) throws -> Response {
            let connection = try stage.daemon.connect()
            try connection.send("GET \(target) HTTP/1.1\r\n\(fields)\r\n\r\n")
            return try connection.readResponse()
        }
        for (target, fields) in [
            ("http://\(other)/", "Host: \(own)"), ("http://\(own)/", "Host: \(other)"), ("http://\(own)@\(other)/", "Host: \(own)"),
            ("http://\(own):81/", "Host: \(own)"), ("/", "Host: \(own)\r\nHost: \(other)"), ("/", "Host: \(own), \(other)"),
            ("/", "Host: \(own)@\(other)"), ("/", "Host: \(own)/\(other)"), ("/", "Host: \(own)\\\(other)"), ("/", "Host: \(own)#\(other)"),
            ("/", "Host: \(own):80:\(other)"), ("/", "Host: \(own) \(other)"), ("/", "Host:"), ("/", "X: y"), ("\(own)/", "Host: \(own)"),
            ("//\(other)/", "Host: \(own)\r\nHost: \(own)"), ("https://\(own)/", "Host: \(own)"), ("*", "Host: \(own)"),
            ("file:///etc/passwd", "Host: \(own)"),
        ] {
            let response = try ask(target, fields)
            #expect(
                response.status == 400 && response.code == "bad_request",
                "\(target) \(fields.debugDescription): \(response.status) \(response.text)")
        }
        for (target, host, seen) in [
            ("http://\(own)/", own, own), ("HTTP://\(own.uppercased())/", own, own), ("http://\(own):80/", own, own),
            ("/", "\(own):80", own),
            ("/", "\(own).", own), ("/", own.uppercased(), own), ("/", "\(own):8080", "\(own):8080"), ("//\(other)/", own, own),
            ("/http://\(other)/", own, own), ("/?http://\(other)/", own, own),
        ] {
            let response = try ask(
                target, "Host: \(host)\r\nX-Forwarded-Host: \(other)\r\nForwarded: host=\(other)\r\nX-Original-URL: http://\(other)/")
            #expect(response.text == "offender \(seen) \(host)", "\(target) \(host): \(response.status) \(response.text)")
        }
    }
}
