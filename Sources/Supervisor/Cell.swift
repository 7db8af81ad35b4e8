import Logging
import NIOCore
import NIOPosix
import Scheduling
import Wire

/// A cell's end in the supervisor: its process, its socket, and the requests it holds. Lives on the supervisor's event loop.
/// Every byte from the cell is taken as hostile: what does not fit the protocol ends the cell.
final class Cell: @unchecked Sendable {
    enum State: String { case starting, ready, gone }

    /// Requests may wait for a cell that is starting; more get `overloaded`.
    static let waitingLimit = 4_096
    /// Output that may wait in a cell's socket before the cell counts as stuck.
    static let backlogBytesLimit = 256 << 20
    /// Pings that a cell may leave unanswered before it gets no more: six seconds of them while it competes.
    static let pingsLimit = 64
    /// No bundle is sent while more than this waits: the largest bundle and its snapshot fit besides.
    static let bundleBacklogBytesLimit = 160 << 20

    let name: String
    let key: CellKey
    let process: any SpawnedCell
    /// Which origin it comes from.
    let originNumber: Int
    /// Until the cell is gone each keeps the other.
    let supervisor: Supervisor

    private(set) var state = State.starting
    private var channel: (any Channel)?
    private var pending: ByteBuffer
    private var flushIsScheduled = false

    /// Requests that were sent and are not finished.
    private(set) var requests: [UInt64: RequestRecord] = [:]
    /// Requests that wait for READY.
    var waiting: [RequestRecord] = []
    var versions: [UInt64: TenantVersionRecord] = [:]
    /// Those of which it gave a turn up.
    var abandonedVersions: Set<UInt64> = []
    /// It has lost a thread, or does not end what is over: it is replaced.
    var isDamaged = false
    /// Versions that live in it.
    var homes = 0
    /// Its place in the admission.
    var place = Admission.nowhere
    /// The cell that it replaces, until it is ready.
    var predecessor: Cell?
    /// Set when it takes no more requests: when it ends at the latest.
    var leavesBy: UInt64?
    /// What weight is runnable in it, what it uses, and the share of the machine that the kernel was told.
    var shares = CellShares.Cell()
    var toldShare: Double?
    /// What those weigh that had requests in it when it was pinged last.
    var mostWeight = CellShares.idleWeight
    /// How many of its workers it may run at once, as it was told.
    var toldWorkers: Int
    var status = CellStatus()
    var memoryBytes: UInt64 = 0
    /// The first reading of it.
    var newMemoryBytes: UInt64 = 0
    /// It has been given some version.
    var hadVersions = false
    /// What of the memory for all cells is its part, as the kernel counts.
    var memoryShareBytes = 0.0
    /// What its isolates may hold, as it was told.
    var budgetBytes: UInt64 = 0
    /// What the kernel gives it at the most.
    var memoryLimitBytes: UInt64
    /// For how long it has held much more than it accounts for.
    var secondsOfDrift = 0
    /// Whether it gives back what it holds too much of.
    var overrun = MemoryShares.Overrun()
    /// Lists that were asked for, by the number of the question.
    var isolateQueries: [UInt64: IsolateQuery] = [:]
    let startedNanoseconds: UInt64
    /// It is replaced for its age alone.
    var isAged = false
    /// Since it was heard last, as far as the supervisor looked.
    var secondsOfSilence = 0
    /// As many answers may come.
    var unansweredPings = 0
    /// Log lines that were dropped since the second began.
    var droppedLines = 0
    private(set) var isReadSlowly = false
    /// Frames of this second that concern nothing.
    var strayFrames = 0
    var straySecond: UInt64 = 0
    /// Why the cell was told to end, if it was.
    private(set) var endReason: String?
    /// It ends because nobody needs it: no loss.
    private(set) var isUnneeded = false
    /// The cell has named the tenant it cannot go on because of; nobody else is to blame then.
    var blamedTenant: String?
    /// It named one that has left it.
    var namesWhoLeft = false

    init(name: String, key: CellKey, process: any SpawnedCell, supervisor: Supervisor) {
        self.name = name
        self.key = key
        self.process = process
        originNumber = supervisor.originNumber
        self.supervisor = supervisor
        memoryLimitBytes = supervisor.cellMemoryLimitBytes
        toldWorkers = supervisor.configuration.workersPerCell
        startedNanoseconds = supervisor.now
        pending = ByteBufferAllocator().buffer(capacity: 64 << 10)
    }

    var takesRequests: Bool { state != .gone && leavesBy == nil && endReason == nil }

    // MARK: Life

    /// Takes the process's socket and sends the configuration.
    func connect(_ configuration: CellConfiguration) {
        send(.configure) { configuration.encode(into: &$0) }
        ClientBootstrap(group: supervisor.eventLoop)
            .channelOption(.maxMessagesPerRead, value: Self.readsAtOnce)
            .channelOption(.recvAllocator, value: Self.usualReads)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CellFrameHandler(cell: self))
                }
            }
            .withConnectedSocket(process.takeSocket())
            .whenComplete { [self] result in
                switch result {
                case .success(let channel):
                    self.channel = channel
                    flush()
                case .failure(let error): supervisor.cellEnded(self, "its socket: \(error)")
                }
            }
    }

    private static let readsAtOnce: UInt = 4
    private static let usualReads = AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 32 << 10, maximum: 256 << 10)
    /// Some five hundred of the shortest log lines: half a millisecond.
    private static let slowReads = FixedSizeRecvByteBufferAllocator(capacity: 16 << 10)

    /// Has little of it read in a turn of the loop, or as much as usual again.
    func readSlowly(_ isSlow: Bool) {
        guard isSlow != isReadSlowly, let options = channel?.syncOptions else { return }
        isReadSlowly = isSlow
        let reads: any RecvByteBufferAllocator = isSlow ? Self.slowReads : Self.usualReads
        let count: UInt = isSlow ? 1 : Self.readsAtOnce
        try? options.setOption(.maxMessagesPerRead, value: count)
        try? options.setOption(.recvAllocator, value: reads)
    }

    func becomeReady() {
        state = .ready
        let requests = waiting
        waiting = []
        for request in requests where request.clientState != .over { supervisor.send(request, to: self) }
    }

    /// Ends a cell that no version of a tenant needs any more, and no request.
    func endUnneeded(_ reason: String) {
        isUnneeded = true
        end(reason)
    }

    /// Ends the process; what it held is dealt with when its socket closes.
    func end(_ reason: String) {
        guard state != .gone else { return }
        endReason = endReason ?? reason
        process.kill()
        channel?.close(promise: nil)
        if channel == nil { supervisor.cellEnded(self, reason) }
    }

    /// The socket is closed: gives up what the cell held.
    func becomeGone() -> [RequestRecord] {
        state = .gone
        channel = nil
        let held = Array(requests.values) + waiting
        requests = [:]
        waiting = []
        for version in versions.values { version.cells[ObjectIdentifier(self)] = nil }
        predecessor = nil
        versions = [:]
        isolateQueries.values.forEach { $0.promise.succeed([]) }
        isolateQueries = [:]
        return held
    }

    // MARK: Sending

    /// Appends a frame; it is written with all others of this turn of the loop.
    func send(
        _ kind: FrameKind, flags: FrameFlags = [], extra: UInt16 = 0, id: UInt64 = 0,
        _ payload: (inout ByteBuffer) -> Void = { _ in }
    ) {
        guard state != .gone else { return }
        let start = pending.writerIndex
        FrameHeader(kind, length: 0, flags: flags, extra: extra, id: id).encode(into: &pending)
        payload(&pending)
        let length = pending.writerIndex - start - FrameHeader.size
        precondition(length <= kind.payloadBytesLimit, "a \(kind) frame of \(length) bytes")
        pending.setInteger(UInt32(length), at: start, endianness: .little)
        guard !flushIsScheduled else { return }
        flushIsScheduled = true
        supervisor.eventLoop.execute { [self] in
            flushIsScheduled = false
            flush()
        }
    }

    /// What waits for the cell to read it.
    private var backlogBytes: Int { pending.readableBytes + Int((try? channel?.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0) }

    /// Whether a tenant's bundle may be sent.
    var hasRoomForBundle: Bool { backlogBytes <= Self.bundleBacklogBytesLimit }

    private func flush() {
        guard let channel, pending.readableBytes > 0 else { return }
        let bytes = pending
        pending = channel.allocator.buffer(capacity: min(max(bytes.readableBytes, 4 << 10), 64 << 10))
        channel.writeAndFlush(bytes, promise: nil)
        if let buffered = try? channel.syncOptions?.getOption(.bufferedWritableBytes), buffered > Self.backlogBytesLimit {
            end("it does not read: \(buffered) bytes wait for it")
        }
    }

    func add(_ request: RequestRecord) { requests[request.id] = request }
    func forget(_ request: RequestRecord) { requests[request.id] = nil }
    func request(_ id: UInt64) -> RequestRecord? { requests[id] }

    /// Those that have requests in it, each once.
    var versionsInUse: [TenantVersionRecord] {
        Array(Dictionary(requests.values.map { ($0.version.id, $0.version) }) { first, _ in first }.values)
    }
}

extension ByteBuffer: ByteSink {
    /// Writes a copy at the end.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) { writeBytes(bytes) }
}

extension ByteBuffer {
    /// Appends what was just read from a socket to what is not parsed yet. What was parsed is discarded, which NIO leaves to its user: a buffer
    /// that never happens to be parsed to its end would grow by all that ever comes.
    public mutating func append(read bytes: consuming ByteBuffer) {
        guard readableBytes > 0 else { return self = bytes }
        discardReadBytes()
        writeBuffer(&bytes)
    }
}

/// Takes frames out of the bytes from a cell.
private final class CellFrameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let cell: Cell
    private var rest = ByteBuffer()

    init(cell: Cell) { self.cell = cell }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = rest
        rest = ByteBuffer()
        bytes.append(read: unwrapInboundIn(data))
        do {
            while let header = try bytes.withUnsafeReadableBytes({ try FrameHeader($0) }) {
                guard bytes.readableBytes >= FrameHeader.size + header.length else { break }
                bytes.moveReaderIndex(forwardBy: FrameHeader.size)
                let payload = bytes.readSlice(length: header.length)!
                try cell.supervisor.take(header, payload, from: cell)
                // What comes after the reason to end it does not count.
                if cell.state == .gone || cell.endReason != nil { return }
            }
            if bytes.readableBytes > 0 { rest = bytes }
        } catch {
            cell.end("it broke the protocol: \(error)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        cell.supervisor.cellEnded(cell, cell.endReason ?? "its process ended")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { cell.end("its socket: \(error)") }
}

/// Which cells tenants may share.
struct CellKey: Hashable {
    /// The cordon, with the tenant's name for a private one.
    var cordon: String
    var jit: Bool

    var description: String { jit ? cordon : "\(cordon)-jitless" }
}
