import Collections
import Engine
import Scheduling
import WebRuntime
import Wire

/// The isolate of one tenant's version, or the place where one is made when an event comes: inbox, requests, timers and, while a turn is
/// suspended, its fiber. At most one worker runs it at a time.
final class TenantIsolate: RuntimeHost {
    /// Timers an isolate may have at once; `setTimer` refuses more.
    static let timerLimit = 10_000
    /// Log lines an isolate may write in one turn; more are dropped and counted.
    static let logLinesPerTurnLimit = 100

    enum Phase {
        /// No V8 isolate: the next request makes one.
        case cold
        /// The main module is being evaluated.
        case starting
        case ready
    }

    unowned let cell: Cell
    let version: TenantVersion

    // Guarded by the cell's lock.
    var inbox = Deque<Event>()
    /// Its place in the run queue.
    var slot: FairQueue.Slot = -1
    /// It is in the run queue or a worker runs it.
    var isScheduled = false
    /// Its turn was preempted, and has not ended since.
    var isSuspended = false
    var isRemoved = false
    var isRetired = false
    /// When the supervisor was told that the cell has no room for what it keeps of it; 0: not since it was called.
    var givenUpNanoseconds: UInt64 = 0
    /// Its turn does not end and is never gone on with: it stays as it is until the process ends.
    var isForsaken = false
    /// Requests that came and are not finished.
    var openRequests = 0
    /// A request came that the eviction order has not heard of.
    var wasCalled = false
    var lastUseNanoseconds: UInt64 = 0
    /// Whether there is a V8 isolate.
    var isHot = false
    /// It is idle and gave back what it could.
    var isTrimmed = false
    /// It is evicted as soon as it is idle.
    var isAskedToGo = false
    /// Its place in the eviction order.
    var evictionSlot: EvictionOrder.Slot = -1
    /// What bringing it back is taken to cost when somebody has to go: the least CPU time that the cheaper way took, or takes others.
    var costNanoseconds: UInt64 = 0
    /// The least CPU time that it took from its source with an isolate made ahead, and from its snapshot.
    var sourceNanoseconds: UInt64?
    var snapshotNanoseconds: UInt64?
    /// What it held when its last slice ended.
    var bytes = 0
    var arrayBufferBytes = 0
    var nativeBytes = 0
    /// Bodies of responses that wait for their clients.
    var waitingBytes = 0
    /// When the eviction order last heard of its use.
    var notedNanoseconds: UInt64 = 0
    /// Tells the timers of this V8 isolate from those of one before it.
    var generation: UInt64 = 0

    // Owned by the worker that runs it.
    var isolate: Isolate?
    var phase = Phase.cold
    /// Events that wait for the module to be evaluated, in order.
    var held: [Event] = []
    var requests: [UInt64: RequestState] = [:]
    /// Requests that ended in this turn.
    var finishedRequests: [RequestState] = []
    var timers: [Int: IsolateTimer] = [:]
    var startupCPUNanoseconds: UInt64 = 0
    /// CPU time of a turn that belongs to no request.
    var orphanCPUNanoseconds: UInt64 = 0
    var startedMilliseconds = 0.0
    /// When the start from the source that is under way began; 0: none is.
    var startedNanoseconds: UInt64 = 0
    let turn = Turn()
    /// Holds the turn that is running or suspended.
    var fiber: OpaquePointer?
    /// What the turn's arguments point into.
    var turnPayload: FrameBytes?
    /// The request the turn's event belongs to.
    var turnRequest: RequestState?
    var turnIsAbortByLimit = false
    var lastWorker = -1
    var logLinesThisTurn = 0
    /// It was revived, trimmed or disposed of: work that no request caused, or should pay for.
    var didOwnWork = false
    var droppedLogLines: UInt32 = 0
    /// Set by `ready` and `startFailed`.
    var startFailure: String?

    /// Why the ticker ended the running turn. Guarded by the running worker's lock.
    var doom: ErrorCode?
    /// It was not over its own limit, but kept a thread from others. Guarded likewise.
    var isEndedForOthers = false
    /// Times that the turn was suspended after it had been told to end.
    var ignoredEnds = 0

    init(cell: Cell, version: TenantVersion) {
        self.cell = cell
        self.version = version
    }

    // MARK: Modules

    override func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        try version.resolve(specifier, referrer: referrer)
    }

    override func module(at index: Int) -> EngineModule { version.module(at: index) }

    // MARK: The Web runtime's host

    override var environment: String { version.environment }
    override var isStarting: Bool { phase == .starting }
    override var subrequestLimit: Int { version.limits.subrequests }
    override var timeOriginMilliseconds: Double { startedMilliseconds }

    override func ready() {
        guard phase == .starting else { return }
        phase = .ready
    }

    override func startFailed(_ message: String) {
        guard phase == .starting else { return }
        startFailure = message
    }

    private func request(_ id: UInt64) -> RequestState? {
        if let turnRequest, turnRequest.id == id { return turnRequest }
        return requests[id]
    }

    override func respond(
        _ id: UInt64, status: Int, headers: TextArgument, body: BodyArgument, state: ResponseState
    ) {
        guard let request = request(id), !request.isAnswered else { return }
        let fits = body.count <= FrameHeader.bodyBytesLimit
        guard fits || hasRoom(forWaiting: body.count) else {
            fail(request, .memoryLimit, waitingBodiesMessage)
            if state == .finished { finished(id) }
            return
        }
        request.isAnswered = true
        let inlineCount = fits ? body.count : 0
        let isComplete = state != .streams
        // Before the head is out: credit may come at once.
        if fits, isComplete { request.outgoing.isEnded = true }
        if fits, !isComplete { cell.lock.withLock { request.outgoing.windowBytes -= inlineCount } }
        cell.socket.send(
            FrameHeader(
                .response, length: 4 + headers.count + inlineCount,
                flags: isComplete && fits ? .end : [], extra: UInt16(clamping: status), id: id)
        ) { output in
            output.append(integer: UInt32(headers.count))
            output.append(count: headers.count) { headers.write(into: $0) }
            if inlineCount > 0 { output.append(count: inlineCount) { body.write(into: $0) } }
        }
        if !fits {
            let bytes = FrameBytes.make(count: body.count) { body.write(into: $0) }
            cell.lock.withLock { sendBody(bytes, of: request, end: isComplete) }
        }
        if state == .finished { finished(id) }
    }

    /// Sends what the window allows, keeps the rest. Under the cell's lock.
    private func sendBody(_ bytes: FrameBytes, of request: RequestState, end: Bool) {
        let sent = request.outgoing.send(bytes.bytes, request: request.id, end: end, to: cell.socket)
        if sent < bytes.bytes.count { hold(bytes, from: sent, of: request, end: end) }
    }

    /// Keeps what went over the window. Under the cell's lock.
    private func hold(_ bytes: FrameBytes, from start: Int, of request: RequestState, end: Bool) {
        request.outgoing.pending = bytes
        request.outgoing.pendingStart = start
        request.outgoing.endsAfterPending = end
        cell.waitingBytes(of: self, changedBy: bytes.bytes.count)
    }

    /// Whether the isolate may have so many more bytes of bodies wait for their clients.
    private func hasRoom(forWaiting count: Int) -> Bool {
        guard let memory = isolate?.memory else { return false }
        let waiting = cell.lock.withLock { waitingBytes }
        return memory.bytes + waiting + count <= memory.limitBytes + Ticker.memorySlackBytes
    }

    private var waitingBodiesMessage: String {
        "with the bodies that wait for their clients the isolate takes more than \(version.limits.memoryBytes >> 20) MiB of memory"
    }

    override func bodyWrite(_ id: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let request = request(id), request.isAnswered else { return true }
        let isLarge = bytes.count > FrameHeader.windowBytes
        let mayWait = !isLarge || hasRoom(forWaiting: bytes.count)
        // Megabytes are copied before everybody else waits for the lock.
        let copy = isLarge && mayWait ? FrameBytes.copy(bytes) : nil
        return cell.lock.withLock {
            guard !request.outgoing.isEnded else { return true }
            guard mayWait else {
                breakBody(request, waitingBodiesMessage)
                return true
            }
            // JavaScript waits while the window is full; a writer that does not gets its bytes dropped with its request.
            guard request.outgoing.pending == nil else {
                breakBody(request, "the body was written past a full window")
                return true
            }
            if let copy {
                sendBody(copy, of: request, end: false)
            } else {
                let sent = request.outgoing.send(bytes, request: id, end: false, to: cell.socket)
                if sent < bytes.count {
                    hold(FrameBytes.copy(UnsafeRawBufferPointer(rebasing: bytes[sent...])), from: 0, of: request, end: false)
                }
            }
            request.outgoing.wantsCredit = request.outgoing.windowBytes <= 0
            return !request.outgoing.wantsCredit
        }
    }

    override func bodyEnd(_ id: UInt64) {
        guard let request = request(id), request.isAnswered else { return }
        cell.lock.withLock {
            guard !request.outgoing.isEnded else { return }
            if request.outgoing.pending != nil {
                request.outgoing.endsAfterPending = true
                return
            }
            request.outgoing.isEnded = true
            cell.socket.send(FrameHeader(.responseBody, length: 0, flags: .end, id: id))
        }
    }

    override func bodyBroken(_ id: UInt64, _ message: String) {
        guard let request = request(id), request.isAnswered else { return }
        cell.lock.withLock { breakBody(request, message) }
        log(level: 4, request: id, message: "the response's body broke off: \(message)")
    }

    /// Ends a body that cannot be completed. Under the cell's lock.
    func breakBody(_ request: RequestState, _ message: String) {
        guard !request.outgoing.isEnded else { return }
        request.outgoing.isEnded = true
        if let held = request.outgoing.pending.take() { cell.release(held, of: self) }
        cell.socket.send(.responseBroken, id: request.id, payload: Array(message.utf8.prefix(Self.messageBytesLimit)))
    }

    override func fail(_ id: UInt64, code: UInt16, message: String) {
        guard let request = request(id) else { return }
        fail(request, ErrorCode(rawValue: code) ?? .exception, message)
    }

    /// Tells the supervisor that there is no response; after a head, that the body broke off.
    func fail(_ request: RequestState, _ code: ErrorCode, _ message: String) {
        guard !request.isAnswered else {
            cell.lock.withLock { breakBody(request, message) }
            return
        }
        request.isAnswered = true
        request.outgoing.isEnded = true
        // Bytes, not characters: one of those may be of any length.
        let text = String(decoding: message.utf8.prefix(Self.messageBytesLimit), as: UTF8.self)
        var payload = ByteWriter(capacity: text.utf8.count + 4)
        payload.append(string: text)
        cell.socket.send(.failure, extra: code.rawValue, id: request.id, payload: payload.bytes)
    }

    override func finished(_ id: UInt64) {
        guard let request = request(id), !request.isFinished else { return }
        request.isFinished = true
        finishedRequests.append(request)
    }

    override func requestCredit(_ id: UInt64, byteCount: Int) {
        guard byteCount > 0, request(id) != nil else { return }
        cell.socket.send(FrameHeader(.requestCredit, length: 4, id: id)) {
            $0.append(integer: UInt32(clamping: byteCount))
        }
    }

    override func setTimer(_ timer: Int, delayMilliseconds: Double, repeats: Bool, request id: UInt64) -> UInt64? {
        guard timers.count < Self.timerLimit else { return nil }
        // What start-up, or a request that is over, left behind is woken by another: whoever woke it pays for it, and it ends with that request.
        guard let owner = request(id) ?? turnRequest, !owner.isFinished else { return 0 }
        let milliseconds = delayMilliseconds.isFinite ? min(max(delayMilliseconds, 0), 2_147_483_647) : 0
        let delay = UInt64(milliseconds * 1_000_000)
        timers[timer] = IsolateTimer(
            request: owner.id, intervalNanoseconds: repeats ? max(delay, IsolateTimer.shortestIntervalNanoseconds) : nil)
        owner.timers.insert(timer)
        cell.schedule(timer, of: self, inNanoseconds: delay)
        return owner.id
    }

    override func clearTimer(_ timer: Int) {
        guard let known = timers.removeValue(forKey: timer) else { return }
        requests[known.request]?.timers.remove(timer)
        cell.unschedule(timer, of: self)
    }

    override func log(level: Int, request: UInt64, message: String) {
        logLinesThisTurn += 1
        guard logLinesThisTurn <= Self.logLinesPerTurnLimit,
            cell.socket.backlogBytes < SupervisorSocket.logBacklogBytesLimit
        else {
            droppedLogLines &+= 1
            return
        }
        let text = String(decoding: message.utf8.prefix(Self.messageBytesLimit), as: UTF8.self)
        var payload = ByteWriter(capacity: text.utf8.count + 20)
        LogFrame(
            level: LogFrame.Level(rawValue: UInt8(clamping: level)) ?? .log, request: request, dropped: droppedLogLines, message: text
        ).encode(into: &payload)
        droppedLogLines = 0
        cell.socket.send(.log, id: version.id, payload: payload.bytes)
    }
}

/// A timer of an isolate.
struct IsolateTimer {
    /// Repeating timers come no more often than this, as browsers clamp them.
    static let shortestIntervalNanoseconds: UInt64 = 1_000_000
    var request: UInt64
    /// Nil: fires once.
    var intervalNanoseconds: UInt64?
}
