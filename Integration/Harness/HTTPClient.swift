import Foundation
import Glibc

/// What went wrong with a connection under test.
package struct ClientError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// One answer.
package struct Response {
    package var status: Int
    package var headers: [String: String]
    package var body: [UInt8]
    package var text: String { String(decoding: body, as: UTF8.self) }
    /// The code of a refusal.
    package var code: String? { headers["cloister-error"] }
}

/// A blocking HTTP/1.1 client over one connection, so that tests say exactly what goes over the wire. Every wait ends after two minutes.
package final class Connection {
    package static let timeoutSeconds = 120
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// - Parameter source: the client's own address, of loopback.
    package init(port: Int, from source: String? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        if let source {
            // The port is chosen when the connection is made: it need be free only towards the daemon.
            var one: Int32 = 1
            let bindAddressNoPort: Int32 = 24  // IP_BIND_ADDRESS_NO_PORT of <linux/in.h>
            setsockopt(descriptor, Int32(IPPROTO_IP), bindAddressNoPort, &one, socklen_t(MemoryLayout<Int32>.size))
            address.sin_addr.s_addr = inet_addr(source)
            _ = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
        }
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard status == 0 else { throw ClientError("connect to port \(port): \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Its end, when nobody holds it any more, will be a reset.
    package func endWithReset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Says that nothing more will be sent or read.
    package func shut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    package func setReceiveBuffer(_ bytes: Int32) {
        var bytes = bytes
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw ClientError("send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// Sends what fits without waiting; returns how much that was.
    package func sendWithoutWaiting(_ bytes: [UInt8]) -> Int {
        max(0, bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) })
    }

    package func request(
        _ host: String, _ path: String = "/", method: String = "GET", headers: [String: String] = [:], body: [UInt8]? = nil
    ) throws {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        try send(Array((head + "\r\n").utf8) + (body ?? []))
    }

    /// More bytes into the buffer; false at the end of the stream.
    private func fill() throws -> Bool {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &piece, piece.count, 0)
        guard count >= 0 else { throw ClientError("receive: \(String(cString: strerror(errno)))") }
        buffer += piece[..<count]
        return count > 0
    }

    package func readLine() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end + 1)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            guard try fill() else { throw ClientError("the connection ended within a line") }
        }
    }

    /// Bytes that came and belong to no answer that was read.
    package var unreadCount: Int { buffer.count }

    package func read(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            guard try fill() else { throw ClientError("the connection ended \(count - buffer.count) bytes early") }
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// Everything up to and with `end`.
    package func readWhole(until end: String) throws -> [UInt8] {
        let end = Array(end.utf8)
        while true {
            if let index = buffer.indices.first(where: { buffer[$0...].starts(with: end) }) { return try read(index + end.count) }
            guard try fill() else { throw ClientError("the connection ended too early") }
        }
    }

    package func readHead() throws -> (status: Int, headers: [String: String]) {
        let line = try readLine()
        guard line.hasPrefix("HTTP/1.1 "), let status = Int(line.dropFirst(9).prefix(3)) else {
            throw ClientError("not a status line: \(line)")
        }
        var headers: [String: String] = [:]
        while true {
            let field = try readLine()
            if field.isEmpty { return (status, headers) }
            let colon = field.firstIndex(of: ":")!
            headers[field[..<colon].lowercased()] = field[field.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
    }

    /// The next piece of a chunked body; nil at its end.
    package func readChunk() throws -> [UInt8]? {
        guard let size = Int(try readLine(), radix: 16) else { throw ClientError("not a chunk's size") }
        let bytes = try read(size)
        _ = try readLine()
        return size == 0 ? nil : bytes
    }

    package func readResponse(toHead isHead: Bool = false) throws -> Response {
        var (status, headers) = try readHead()
        while status == 100 { (status, headers) = try readHead() }
        var body: [UInt8] = []
        if isHead || status == 204 || status == 304 {
        } else if let length = headers["content-length"].flatMap({ Int($0) }) {
            body = try read(length)
        } else if headers["transfer-encoding"] == "chunked" {
            while let chunk = try readChunk() { body += chunk }
        } else {
            while try fill() {}
            body = buffer
            buffer = []
        }
        return Response(status: status, headers: headers, body: body)
    }

    /// Whether the other side closes within the timeout.
    package func isClosed() -> Bool {
        do {
            while try fill() {}
            return true
        } catch { return false }
    }
}

/// Runs `body` on `count` threads and waits for all of them.
package func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        let thread = Thread {
            body(index)
            group.leave()
        }
        thread.stackSize = 512 << 10
        thread.start()
    }
    group.wait()
}

/// Counts by key, from any thread.
package final class Tally: @unchecked Sendable {
    private let lock = NSLock()
    private var counts: [String: Int] = [:]
    package init() {}
    package func add(_ key: String) { lock.withLock { counts[key, default: 0] += 1 } }
    package subscript(_ key: String) -> Int { lock.withLock { counts[key] ?? 0 } }
    package var total: Int { lock.withLock { counts.values.reduce(0, +) } }
    package var description: String { lock.withLock { "\(counts)" } }
}
