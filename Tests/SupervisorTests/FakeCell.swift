import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Wire

@testable import Supervisor

/// A cell without a process: the test speaks for it, at the other end of its socket.
final class FakeCell: SpawnedCell, Sendable {
    struct Received: Sendable {
        var header: FrameHeader
        var payload: ByteBuffer
        var kind: FrameKind { header.kind }
        var id: UInt64 { header.id }
    }

    let name: String
    let jit: Bool
    let pid: Int32 = 0
    let isSandboxed: Bool
    let seal: (any Error)?
    /// All frames but pings and budgets.
    let frames = Mailbox<Received>()
    let pings = Mailbox<UInt64>()
    /// What its isolates may hold, as it was told each second.
    let budgets = Mailbox<UInt64>()
    private let supervisorEnd: Int32
    private let channel: EventLoopFuture<any Channel>
    private let killed = Atomic<Bool>(false)

    /// - Parameter seal: what the check from outside throws; a cell without is not sandboxed.
    init(name: String, jit: Bool, eventLoop: any EventLoop, seal: (any Error)? = nil) {
        self.name = name
        self.jit = jit
        self.seal = seal
        isSandboxed = seal != nil
        var ends: [Int32] = [-1, -1]
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        supervisorEnd = ends[0]
        let reader = FrameReader(frames, pings, budgets)
        channel = ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(reader) }
            }
            .withConnectedSocket(ends[1])
    }

    func takeSocket() -> Int32 { supervisorEnd }
    func verifySealed() throws { if let seal { throw seal } }
    func reap() -> (status: String, diagnostics: String) { ("signal 9", "") }

    func setCPUShare(_ share: Double?) { shares.withLock { $0 = share } }
    /// What the supervisor set last.
    var share: Double? { shares.withLock { $0 } }
    private let shares = Mutex<Double?>(nil)

    /// Like the kernel's, a limit is not set below what is held.
    func setMemoryLimit(_ bytes: UInt64) -> Bool {
        memory.withLock { memory in
            guard memory.held < bytes else { return false }
            memory.limit = bytes
            return true
        }
    }
    var memoryLimit: UInt64? { memory.withLock { $0.limit } }
    func hold(_ bytes: UInt64) { memory.withLock { $0.held = bytes } }
    private let memory = Mutex<(held: UInt64, limit: UInt64?)>((0, nil))

    func kill() {
        killed.store(true, ordering: .sequentiallyConsistent)
        die()
    }
    /// The supervisor ended it, or reaped it after its end.
    var isKilled: Bool { killed.load(ordering: .sequentiallyConsistent) }

    /// Waits until the supervisor has ended it, which it must.
    func expectEnd(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await channel.get().closeFuture.get()
        // Where it closed its end itself, the supervisor has yet to see it.
        let deadline = ContinuousClock.now + .seconds(20)
        while !isKilled, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(1)) }
        #expect(isKilled, sourceLocation: sourceLocation)
    }

    /// Its process ends.
    func die() { channel.whenSuccess { $0.close(promise: nil) } }

    // MARK: What the supervisor says

    struct Unexpected: Error { var kind: FrameKind }

    /// The next frame, which must be of this kind.
    @discardableResult
    func next(_ kind: FrameKind) async throws -> Received {
        let frame = try await frames.next()
        guard frame.kind == kind else { throw Unexpected(kind: frame.kind) }
        return frame
    }

    /// The next request, after its tenant's bundle where that is new to the cell.
    @discardableResult
    func nextRequest() async throws -> Received {
        let frame = try await frames.next()
        if frame.kind == .tenant { return try await next(.request) }
        guard frame.kind == .request else { throw Unexpected(kind: frame.kind) }
        return frame
    }

    // MARK: What it says

    func send(_ kind: FrameKind, flags: FrameFlags = [], extra: UInt16 = 0, id: UInt64 = 0, _ payload: ByteBuffer = ByteBuffer()) {
        send(Self.frame(kind, flags: flags, extra: extra, id: id, payload))
    }

    private static func frame(_ kind: FrameKind, flags: FrameFlags = [], extra: UInt16 = 0, id: UInt64, _ payload: ByteBuffer) -> ByteBuffer
    {
        var bytes = ByteBuffer()
        FrameHeader(kind, length: payload.readableBytes, flags: flags, extra: extra, id: id).encode(into: &bytes)
        bytes.writeImmutableBuffer(payload)
        return bytes
    }

    func send(_ bytes: ByteBuffer) {
        channel.whenSuccess { $0.writeAndFlush(bytes, promise: nil) }
    }

    /// Takes its configuration and says that it is ready.
    func becomeReady() async throws {
        try await next(.configure)
        send(.ready, ByteBuffer(string: "10.2"))
    }

    func head(_ id: UInt64, status: UInt16 = 200, headers: String = "", body: String = "", flags: FrameFlags = []) {
        send(Self.response(id, status: status, headers: headers, body: body, flags: flags))
    }

    private static func response(_ id: UInt64, status: UInt16, headers: String, body: String, flags: FrameFlags) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.append(string: headers)
        payload.writeString(body)
        return frame(.response, flags: flags, extra: status, id: id, payload)
    }

    func finish(_ id: UInt64, cpuMilliseconds: UInt64 = 1) { send(Self.finished(id, cpuMilliseconds: cpuMilliseconds)) }

    private static func finished(_ id: UInt64, cpuMilliseconds: UInt64) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.append(integer: cpuMilliseconds * 1000)
        return frame(.finished, id: id, payload)
    }

    /// A whole answer, in one write: who sees the answer sees the request over.
    func answer(_ id: UInt64, _ body: String = "", cpuMilliseconds: UInt64 = 1) {
        var bytes = Self.response(id, status: 200, headers: "", body: body, flags: .end)
        bytes.writeImmutableBuffer(Self.finished(id, cpuMilliseconds: cpuMilliseconds))
        send(bytes)
    }

    func fail(_ id: UInt64, code: UInt16, message: String = "why") {
        var payload = ByteBuffer()
        payload.append(string: message)
        send(.failure, extra: code, id: id, payload)
    }

    func log(version: UInt64, request: UInt64 = 0, _ message: String) {
        var payload = ByteBuffer()
        LogFrame(level: .info, request: request, dropped: 0, message: message).encode(into: &payload)
        send(.log, id: version, payload)
    }

    func credit(_ id: UInt64, _ bytes: UInt32) { send(.requestCredit, id: id, ByteBuffer(integer: bytes, endianness: .little)) }

    /// Answers the oldest ping.
    func status(_ change: (inout CellStatus) -> Void = { _ in }) async throws {
        let ping = try await pings.next()
        var status = CellStatus()
        change(&status)
        var payload = ByteBuffer()
        status.encode(into: &payload)
        send(.status, id: ping, payload)
    }
}

/// Takes the supervisor's bytes apart.
private final class FrameReader: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let frames: Mailbox<FakeCell.Received>
    private let pings: Mailbox<UInt64>
    private let budgets: Mailbox<UInt64>
    private let rest = Mutex(ByteBuffer())

    init(_ frames: Mailbox<FakeCell.Received>, _ pings: Mailbox<UInt64>, _ budgets: Mailbox<UInt64>) {
        self.frames = frames
        self.pings = pings
        self.budgets = budgets
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        rest.withLock { rest in
            rest.writeBuffer(&bytes)
            while let header = try! rest.withUnsafeReadableBytes({ try FrameHeader($0) }),
                rest.readableBytes >= FrameHeader.size + header.length
            {
                rest.moveReaderIndex(forwardBy: FrameHeader.size)
                let payload = rest.readSlice(length: header.length)!
                if header.kind == .ping {
                    pings.put(header.id)
                } else if header.kind == .budget {
                    budgets.put(payload.getInteger(at: payload.readerIndex, endianness: .little, as: UInt64.self)!)
                } else {
                    frames.put(FakeCell.Received(header: header, payload: payload))
                }
            }
        }
    }
}

/// Makes fake cells, and hands them to the test in order.
final class FakeSpawner: CellSpawner {
    let cells = Mailbox<FakeCell>()
    private let eventLoop: any EventLoop
    private let seal: (any Error)?
    private let failure = Mutex<(any Error)?>(nil)

    init(eventLoop: any EventLoop, seal: (any Error)? = nil) {
        self.eventLoop = eventLoop
        self.seal = seal
    }

    func setMemoryLimit(_ bytes: UInt64) { limit.withLock { $0 = bytes } }
    /// Of cells that it is to start.
    var memoryLimit: UInt64? { limit.withLock { $0 } }
    private let limit = Mutex<UInt64?>(nil)

    /// From now on no cell can be started, or can again.
    func fail(with error: (any Error)?) { failure.withLock { $0 = error } }

    func spawn(name: String, jit: Bool) throws -> any SpawnedCell {
        if let error = failure.withLock({ $0 }) { throw error }
        let cell = FakeCell(name: name, jit: jit, eventLoop: eventLoop, seal: seal)
        cells.put(cell)
        return cell
    }
}
