import ArgumentParser
import Foundation
import Glibc

/// Asks the admin API over a socket of its own: one request a connection, HTTP/1.1 with `connection: close`.
struct AdminClient {
    /// EX_UNAVAILABLE: no daemon answers.
    static let unavailable: Int32 = 69
    private static let answerBytesLimit = 64 << 20

    private enum Address {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
    }

    /// EX_NOPERM: the daemon wants a token, or another one.
    static let notPermitted: Int32 = 77

    private let address: Address
    private let text: String
    private let token: String?
    /// For how long it waits for an answer to go on.
    var timeoutSeconds = 60

    struct Answer {
        var status: Int
        var body: Data

        /// JSON, for a terminal.
        var text: String { printableJSON(String(decoding: body, as: UTF8.self)) }

        func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            do {
                return try decoder.decode(type, from: body)
            } catch {
                throw Failure(message: "the daemon's answer is not what this command knows: \(error)")
            }
        }
    }

    struct Failure: Error, CustomStringConvertible {
        var message: String
        var description: String { message }
    }

    /// - Parameter token: shown to the daemon; nil where none is known.
    init(address: String, token: String?) throws {
        text = address
        self.token = token
        if address.hasPrefix("unix:"), address.utf8.count > 5 {
            self.address = .unix(path: String(address.dropFirst(5)))
        } else if let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]),
            colon > address.startIndex
        {
            self.address = .tcp(host: address[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]")), port: port)
        } else {
            throw ValidationError("--admin takes HOST:PORT or unix:PATH, not \"\(address)\"")
        }
    }

    func get(_ path: String, accepting: Set<Int> = [200]) throws -> Answer { try exchange("GET", path, accepting) }

    func post(_ path: String) throws -> Answer {
        var client = self
        // All policies are read, perhaps after a reload that is under way.
        if path == "/v1/reload" { client.timeoutSeconds = 1_200 }
        return try client.exchange("POST", path, [200, 202])
    }

    private func exchange(_ method: String, _ path: String, _ accepting: Set<Int>) throws -> Answer {
        let descriptor = try connect()
        defer { close(descriptor) }
        var host = "localhost"
        if case .tcp(let name, let port) = address { host = name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)" }
        let authorization = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        let request =
            "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\nContent-Length: 0\r\n\(authorization)\r\n"
        try send(Array(request.utf8), descriptor)
        let answer = try parse(try receive(descriptor))
        guard accepting.contains(answer.status) else {
            let refusal = try? JSONDecoder().decode(Refusal.self, from: answer.body)
            if answer.status == 401 {
                let problem = refusal.map { printable($0.message) } ?? "the daemon wants a token"
                FileHandle.standardError.write(Data("cloister: \(problem); say where it is with --state or --token-file\n".utf8))
                throw ExitCode(Self.notPermitted)
            }
            throw Failure(
                message: refusal.map { "\($0.error): \(printable($0.message))" }
                    ?? "the daemon answered \(answer.status) to \(method) \(path)")
        }
        return answer
    }

    // MARK: Socket

    private func connect() throws -> Int32 {
        switch address {
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
                throw ValidationError("the path of --admin is over \(MemoryLayout.size(ofValue: address.sun_path) - 1) bytes")
            }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let descriptor = try open(AF_UNIX)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return descriptor }
            let code = errno
            close(descriptor)
            throw unavailable(String(cString: strerror(code)))
        case .tcp(let host, let port):
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var found: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host, String(port), &hints, &found)
            guard code == 0 else { throw unavailable(String(cString: gai_strerror(code))) }
            defer { freeaddrinfo(found) }
            var problem = "no address"
            var next = found
            while let candidate = next {
                let descriptor = try open(candidate.pointee.ai_family)
                if Glibc.connect(descriptor, candidate.pointee.ai_addr, candidate.pointee.ai_addrlen) == 0 { return descriptor }
                problem = String(cString: strerror(errno))
                close(descriptor)
                next = candidate.pointee.ai_next
            }
            throw unavailable(problem)
        }
    }

    private func open(_ family: Int32) throws -> Int32 {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw unavailable(String(cString: strerror(errno))) }
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        return descriptor
    }

    private func send(_ bytes: [UInt8], _ descriptor: Int32) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw unavailable(String(cString: strerror(errno))) }
            rest = rest.dropFirst(count)
        }
    }

    private func receive(_ descriptor: Int32) throws -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw unavailable(errno == EAGAIN ? "no answer in \(timeoutSeconds) s" : String(cString: strerror(errno)))
            }
            if count == 0 { return all }
            all += buffer[..<count]
            guard all.count <= Self.answerBytesLimit else { throw Failure(message: "the answer is over \(Self.answerBytesLimit) bytes") }
        }
    }

    // MARK: HTTP

    private func parse(_ bytes: [UInt8]) throws -> Answer {
        guard
            let end = (0..<max(bytes.count - 3, 0)).first(where: {
                bytes[$0] == 13 && bytes[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10])
            })
        else {
            throw unavailable("the connection ended before an answer")
        }
        let head = String(decoding: bytes[..<end], as: UTF8.self).lowercased()
        guard head.hasPrefix("http/1."), let status = Int(head.dropFirst(9).prefix(3)) else {
            throw unavailable("it does not speak HTTP")
        }
        var body = bytes[(end + 4)...]
        if head.contains("\r\ntransfer-encoding: chunked") { body = try joined(chunks: body)[...] }
        if let field = head.split(separator: "\r\n").first(where: { $0.hasPrefix("content-length:") }) {
            guard Int(field.dropFirst(15).trimmingCharacters(in: .whitespaces)) == body.count else {
                throw unavailable("the connection ended within the answer")
            }
        }
        return Answer(status: status, body: Data(body))
    }

    private func joined(chunks: ArraySlice<UInt8>) throws -> [UInt8] {
        var rest = chunks
        var body: [UInt8] = []
        while let lineEnd = rest.firstIndex(of: 13), let size = Int(String(decoding: rest[..<lineEnd], as: UTF8.self), radix: 16), size >= 0
        {
            if size == 0 { return body }
            rest = rest[lineEnd...].dropFirst(2)
            guard rest.count >= size + 2 else { break }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        throw unavailable("the connection ended within the answer")
    }

    private func unavailable(_ problem: String) -> any Error {
        FileHandle.standardError.write(Data("cloister: no daemon answers at \(text): \(problem)\n".utf8))
        return ExitCode(Self.unavailable)
    }
}
