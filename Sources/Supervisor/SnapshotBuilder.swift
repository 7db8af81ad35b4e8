import Glibc
import Sandbox
import Wire

/// Has a throw-away cell build a snapshot.
public enum SnapshotBuilder {
    /// A builder that takes longer is ended.
    public static let deadlineSeconds = 60

    /// Why there is no snapshot.
    public struct Failure: Error, CustomStringConvertible {
        /// What went wrong, and how the builder ended.
        public var description: String
        /// The call that a seccomp filter has ended the builder for.
        var deniedCall: DeniedCall?
    }

    /// Why there can be no snapshot of a tenant.
    struct Refusal: Error { var why: String }

    /// The base snapshot. Blocks until the builder is done. The calling thread must not end meanwhile.
    public static func build(launcher: CellLauncher, jit: Bool, hashSeed: UInt32) throws -> [UInt8] {
        try run(
            launcher, CellConfiguration(cell: "builder", workers: 1, jit: jit, hashSeed: hashSeed, buildsSnapshot: true),
            deadlineSeconds: deadlineSeconds, onReady: { _, _ in }
        ).get()
    }

    /// A tenant's snapshot: what V8 holds when its modules have been evaluated. Vars and secrets are not in it. Blocks like `build`.
    static func build(_ bundle: TenantBundle, launcher: CellLauncher, jit: Bool, hashSeed: UInt32, base: [UInt8]) throws -> Result<
        [UInt8], Refusal
    > {
        var bundle = bundle
        bundle.vars = []
        bundle.secrets = []
        // Nobody preempts it, and on a busy machine it waits for a processor most of the time.
        let seconds = bundle.limits.startupCPUMilliseconds / 100 + 20
        return try run(
            launcher, CellConfiguration(cell: "builder", workers: 1, jit: jit, hashSeed: hashSeed, buildsSnapshot: true, snapshot: base),
            deadlineSeconds: min(seconds, deadlineSeconds)
        ) { process, send in
            if process.isSandboxed {
                // Where that is not to be had, a denied call has no name.
                try? process.watchDeniedCalls()
                try process.verifySealed()
            }
            var payload = ByteWriter()
            bundle.encode(into: &payload)
            try send(.tenant, payload.bytes)
        }
    }

    /// Called when the seal is complete, with how to send the builder something.
    typealias OnReady = (_ builder: any SpawnedCell, _ send: (FrameKind, [UInt8]) throws -> Void) throws -> Void

    private static func run(
        _ launcher: CellLauncher, _ configuration: CellConfiguration, deadlineSeconds: Int, onReady: OnReady
    ) throws -> Result<[UInt8], Refusal> {
        // A base snapshot is waited for; a tenant's is not.
        let process = try launcher.launch(
            name: configuration.jit ? "builder" : "builder-jitless", jit: configuration.jit,
            priority: configuration.snapshot.isEmpty ? .cell : .background)
        return try run(SandboxedCell(process: process), configuration, deadlineSeconds: deadlineSeconds, onReady: onReady)
    }

    /// Whatever the builder does, it is gone when this returns, which is soon after the deadline at the latest.
    static func run(_ builder: any SpawnedCell, _ configuration: CellConfiguration, deadlineSeconds: Int, onReady: OnReady) throws
        -> Result<[UInt8], Refusal>
    {
        let socket = builder.takeSocket()
        defer { close(socket) }
        var timeout = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(socket, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        let deadline = ContinuousClock.now + .seconds(deadlineSeconds)
        let outcome = Result {
            try send(configuration, to: socket, until: deadline)
            return try receive(from: socket, until: deadline) {
                try onReady(builder) { try send($0, $1, to: socket, until: deadline) }
            }
        }
        // One that has said all may go on for good.
        builder.kill()
        let (status, diagnostics) = builder.reap()
        do { return try outcome.get() } catch {
            let end = status + (diagnostics.isEmpty ? "" : ": \(diagnostics)")
            throw Failure(description: "\(error); the builder ended: \(end)", deniedCall: builder.deniedCall)
        }
    }

    static func send(
        _ configuration: CellConfiguration, to socket: Int32, until deadline: ContinuousClock.Instant = .now + .seconds(deadlineSeconds)
    ) throws {
        var payload = ByteWriter()
        configuration.encode(into: &payload)
        try send(.configure, payload.bytes, to: socket, until: deadline)
    }

    private static func send(_ kind: FrameKind, _ payload: [UInt8], to socket: Int32, until deadline: ContinuousClock.Instant) throws {
        guard payload.count <= kind.payloadBytesLimit else { throw Failure(description: "\(payload.count) bytes for a builder") }
        var frame = ByteWriter()
        FrameHeader(kind, length: payload.count).encode(into: &frame)
        let bytes = frame.bytes + payload
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            // EAGAIN: the socket's own limit. Any other error: it has ended, and why, its diagnostics say.
            if count < 0, errno != EAGAIN { return }
            guard count > 0, ContinuousClock.now < deadline else { throw Failure(description: "the builder does not read") }
            sent += count
        }
    }

    private static let untakable =
        "V8 cannot keep what a module made at its top level: an Intl object, a frozen built-in object or something of the kind"

    private static func receive(from socket: Int32, until deadline: ContinuousClock.Instant, onReady: () throws -> Void) throws
        -> Result<[UInt8], Refusal>
    {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var (isReady, isTaking) = (false, false)
        while true {
            while let header = try bytes.withUnsafeBytes({ try FrameHeader($0) }), bytes.count >= FrameHeader.size + header.length {
                let payload = bytes[FrameHeader.size..<(FrameHeader.size + header.length)]
                if header.kind == .snapshot { return .success(Array(payload)) }
                if header.kind == .snapshotRefused { return .failure(Refusal(why: String(decoding: payload, as: UTF8.self))) }
                bytes.removeFirst(FrameHeader.size + header.length)
                switch header.kind {
                case .ready where !isReady:
                    isReady = true
                    try onReady()
                case .entered where isReady && !isTaking: isTaking = true
                default: throw Failure(description: "the builder sent \(header.kind)")
                }
            }
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count != 0 else {
                throw Failure(description: isTaking ? untakable : "the builder ended while it evaluated the modules")
            }
            // EAGAIN: the socket's own limit.
            guard count > 0, ContinuousClock.now < deadline else { throw Failure(description: "the builder took too long") }
            bytes += buffer[..<count]
        }
    }
}
