import Foundation
import Gateway
import Glibc
import NIOCore
import NIOPosix
import Supervisor
import Telemetry
import Testing

/// A gateway on a free port of loopback with a fake dispatcher behind it.
struct TestGateway {
    let server: GatewayServer
    let notes = FakeDispatcher.SharedNotes()
    let group: MultiThreadedEventLoopGroup
    let metrics = MetricsRegistry()

    static func run(
        _ limits: GatewayLimits = GatewayLimits(), certificate: GatewayCertificate? = nil, script: @escaping FakeDispatcher.Script,
        _ body: (TestGateway) async throws -> Void
    ) async throws {
        // Clients block; on the shared pool of threads they would hold up those they wait for.
        try await withTaskExecutorPreference(ThreadPerJob()) {
            let gateway = try await TestGateway(limits, certificate, script)
            do {
                try await body(gateway)
            } catch {
                await gateway.stop()
                throw error
            }
            await gateway.stop()
        }
    }

    private init(_ limits: GatewayLimits, _ certificate: GatewayCertificate?, _ script: @escaping FakeDispatcher.Script) async throws {
        var limits = limits
        limits.tickMilliseconds = min(limits.tickMilliseconds, 10)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        let notes = self.notes
        let tls = certificate.map { GatewayTLS(host: "127.0.0.1", port: 0, certificate: $0) }
        server = try await GatewayServer.start(
            host: "127.0.0.1", port: 0, tls: tls, eventLoop: eventLoop, limits: limits, metrics: metrics
        ) {
            FakeDispatcher(eventLoop: eventLoop, notes: notes, script: script)
        }
    }

    private func stop() async {
        await server.close()
        try? await group.shutdownGracefully()
    }

    /// - Parameter source: the client's own address, of loopback.
    func connect(receiveBufferBytes: Int32? = nil, from source: String? = nil) throws -> Client {
        try Client(port: UInt16(server.address.port!), receiveBufferBytes: receiveBufferBytes, source: source)
    }

    /// Waits until `condition` holds of the notes. The bound is only there to end a test that has failed.
    func eventually(_ what: String, _ condition: (FakeDispatcher.Notes) -> Bool) async throws {
        for _ in 0..<2_000 {
            if condition(notes.now) { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("never happened: \(what); \(notes.now)")
    }
}

/// Asks again until it holds. The bound is only there to end a test that has failed.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<2_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("never happened: \(what)")
}

/// Runs each job on a thread of its own.
private final class ThreadPerJob: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        let thread = Thread { job.runSynchronously(on: executor) }
        thread.stackSize = 1 << 20
        thread.start()
    }
}

/// A blocking socket, for tests that say each byte themselves.
final class Client {
    private var descriptor: Int32
    private var pending: [UInt8] = []

    struct Failure: Error { var what: String }

    init(port: UInt16, receiveBufferBytes: Int32?, source: String? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if var size = receiveBufferBytes { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size)) }
        // Ends a test that has failed; no test waits for it.
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        if let source {
            address.sin_addr.s_addr = inet_addr(source)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            guard result == 0 else { throw Failure(what: "bind: errno \(errno)") }
        }
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(what: "connect: errno \(errno)") }
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Resets the connection.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failure(what: "send: errno \(errno)") }
            sent += count
        }
    }

    /// Sends what the kernel takes without waiting.
    func sendAvailable(_ bytes: [UInt8]) -> Int {
        let count = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        return max(count, 0)
    }

    /// The next bytes; empty at the end. Throws on a reset or when nothing comes.
    func receive() throws -> [UInt8] {
        if !pending.isEmpty {
            defer { pending = [] }
            return pending
        }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw Failure(what: "recv: errno \(errno)") }
        return Array(buffer[..<count])
    }

    /// Everything up to the connection's end.
    func receiveAll() throws -> String {
        var all: [UInt8] = []
        while true {
            let bytes = try receive()
            if bytes.isEmpty { return String(decoding: all, as: UTF8.self) }
            all += bytes
        }
    }

    func receive(until end: String) throws -> String {
        var all: [UInt8] = []
        let end = Array(end.utf8)
        while true {
            let bytes = try receive()
            guard !bytes.isEmpty else { throw Failure(what: "the end came before \(end): \(String(decoding: all, as: UTF8.self))") }
            all += bytes
            var index = max(0, all.count - bytes.count - end.count)
            while index + end.count <= all.count {
                if all[index..<(index + end.count)].elementsEqual(end) {
                    pending = Array(all[(index + end.count)...])
                    return String(decoding: all[..<(index + end.count)], as: UTF8.self)
                }
                index += 1
            }
        }
    }

    struct Response {
        var status: Int
        var head: String
        var body: String
        func field(_ name: String) -> String? {
            for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("\(name): ") {
                return String(line.dropFirst(name.count + 2))
            }
            return nil
        }
    }

    /// One response, by content-length, chunked or none.
    func response(hasBody: Bool = true) throws -> Response {
        let head = try receive(until: "\r\n\r\n")
        var response = Response(status: Int(head.dropFirst(9).prefix(3)) ?? 0, head: head, body: "")
        guard hasBody else { return response }
        if let length = response.field("content-length").flatMap({ Int($0) }) {
            response.body = String(decoding: try receive(count: length), as: UTF8.self)
        } else if response.field("transfer-encoding") == "chunked" {
            while true {
                let size = Int(try receive(until: "\r\n").dropLast(1), radix: 16) ?? 0
                response.body += String(decoding: try receive(count: size), as: UTF8.self)
                _ = try receive(until: "\r\n")
                if size == 0 { break }
            }
        }
        return response
    }

    /// The chunks of a body, up to its end.
    func chunks() throws -> [[UInt8]] {
        var chunks: [[UInt8]] = []
        while true {
            let line = try receive(until: "\r\n")
            guard let size = Int(line.dropLast(1), radix: 16) else { throw Failure(what: "no chunk: \(line)") }
            let chunk = try receive(count: size)
            _ = try receive(until: "\r\n")
            if size == 0 { return chunks }
            chunks.append(chunk)
        }
    }

    func receive(count: Int) throws -> [UInt8] {
        if count == 0 { return [] }
        var all: [UInt8] = []
        while all.count < count {
            let bytes = try receive()
            guard !bytes.isEmpty else { throw Failure(what: "the end came after \(all.count) of \(count) bytes") }
            all += bytes
        }
        pending = Array(all[count...])
        return Array(all[..<count])
    }
}
