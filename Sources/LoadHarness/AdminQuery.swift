import Foundation

/// One request to the admin API on loopback, blocking.
enum AdminQuery {
    /// Why it cannot be used.
    struct Failure: Error, CustomStringConvertible { var description: String }

    struct Answer {
        var status: Int
        var body: Data
    }

    /// The token of the daemon with this state folder.
    static func token(state: String) throws -> String {
        do {
            return try String(contentsOfFile: state + "/admin.token", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw Failure(description: "the admin API's token cannot be read from \(state)/admin.token: \(error.localizedDescription)")
        }
    }

    /// The daemon's cells.
    /// - Throws: what is wrong when there is no answer or it is a refusal.
    static func cells(port: Int, token: String?) throws -> [[String: Any]] {
        guard let answer = exchange("GET", "/v1/cells", port: port, token: token) else {
            throw Failure(description: "no admin API answers at 127.0.0.1:\(port)")
        }
        guard answer.status == 200, let cells = try JSONSerialization.jsonObject(with: answer.body) as? [[String: Any]] else {
            let text = String(decoding: answer.body.prefix(500), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            let advice = token == nil ? "; --state must name the daemon's state folder, which has the token" : ""
            throw Failure(description: "the admin API at 127.0.0.1:\(port) refuses with \(answer.status): \(text)\(advice)")
        }
        return cells
    }

    /// - Parameter token: of the daemon's state folder.
    /// - Returns: the answer's body; nil when there is none within five seconds, or a refusal.
    static func get(_ path: String, port: Int, token: String?) -> Data? {
        exchange("GET", path, port: port, token: token).flatMap { $0.status == 200 ? $0.body : nil }
    }

    static func exchange(_ method: String, _ path: String, port: Int, token: String?, withinSeconds seconds: Int = 5) -> Answer? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        let authorization = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        let request = Array(
            "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\(authorization)\r\n".utf8)
        guard status == 0, Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return nil }
        var answer = Data()
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { break }
            answer.append(contentsOf: piece[..<count])
        }
        guard let end = answer.range(of: Data("\r\n\r\n".utf8)), answer.starts(with: Data("HTTP/1.1 ".utf8)),
            let code = Int(String(decoding: answer.dropFirst(9).prefix(3), as: UTF8.self))
        else { return nil }
        return Answer(status: code, body: Data(answer[end.upperBound...]))
    }
}
