import Glibc
import Sandbox
import Wire

/// Has a throw-away cell build the base snapshot.
public enum SnapshotBuilder {
    /// A builder that takes longer is ended.
    public static let deadlineSeconds = 60

    /// Why there is no snapshot.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// Blocks until the builder is done. The calling thread must not end meanwhile.
    public static func build(launcher: CellLauncher, jit: Bool, hashSeed: UInt32) throws -> [UInt8] {
        let process = try launcher.launch(name: jit ? "builder" : "builder-jitless", jit: jit)
        let socket = process.takeSocket()
        defer { close(socket) }
        var timeout = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        defer { process.kill() }
        try send(CellConfiguration(cell: "builder", workers: 1, jit: jit, hashSeed: hashSeed, buildsSnapshot: true), to: socket)
        do {
            let blob = try receive(from: socket)
            _ = process.reap()
            return blob
        } catch {
            process.kill()
            let (status, diagnostics) = process.reap()
            throw Failure(
                description:
                    "\(error); the builder ended: \(SandboxedCell.describe(status))\(diagnostics.isEmpty ? "" : ": \(diagnostics)")")
        }
    }

    static func send(_ configuration: CellConfiguration, to socket: Int32) throws {
        var payload = ByteWriter()
        configuration.encode(into: &payload)
        var frame = ByteWriter()
        FrameHeader(.configure, length: payload.bytes.count).encode(into: &frame)
        let bytes = frame.bytes + payload.bytes
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            // The builder has ended: why, its diagnostics say.
            if count <= 0 { return }
            sent += count
        }
    }

    private static func receive(from socket: Int32) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            while let header = try bytes.withUnsafeBytes({ try FrameHeader($0) }), bytes.count >= FrameHeader.size + header.length {
                let payload = bytes[FrameHeader.size..<(FrameHeader.size + header.length)]
                if header.kind == .snapshot { return Array(payload) }
                guard header.kind == .ready else { throw Failure(description: "the builder sent \(header.kind)") }
                bytes.removeFirst(FrameHeader.size + header.length)
            }
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(description: "the builder closed its socket") }
            bytes += buffer[..<count]
        }
    }
}
