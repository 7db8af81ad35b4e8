import CFiber
import Engine
import SnapshotDelta
import WebRuntime
import Wire

/// The life of a turn: an event is taken, a fiber leased, JavaScript runs in slices, and what came of it is told to the supervisor.
/// Everything here is called by the worker that runs the isolate.
extension TenantIsolate {
    /// CPU time that may still be taken before what runs now is over its limit.
    var remainingCPUNanoseconds: UInt64 { remainingCPUNanoseconds(of: turnRequest) }

    private func remainingCPUNanoseconds(of request: RequestState?) -> UInt64 {
        let (limit, used) =
            switch phase {
            case .ready: (version.limits.cpuNanoseconds, request?.cpuNanoseconds ?? orphanCPUNanoseconds)
            case .starting, .cold: (version.limits.startupCPUNanoseconds, startupCPUNanoseconds)
            }
        return limit > used ? limit - used : 0
    }

    /// Charges CPU time to the request that the code ran for: at a suspension the one whose continuation was running, at the end of a turn the
    /// one whose event began it.
    /// - Returns: whether it is over its limit.
    func charge(_ nanoseconds: UInt64, isSuspended: Bool) -> Bool {
        guard phase == .ready else {
            startupCPUNanoseconds += nanoseconds
            return isSuspended && remainingCPUNanoseconds == 0
        }
        let request = isSuspended ? requests[turn.currentRequest] ?? turnRequest : turnRequest
        if let request { request.cpuNanoseconds += nanoseconds } else { orphanCPUNanoseconds += nanoseconds }
        guard remainingCPUNanoseconds(of: request) == 0 else { return false }
        // A turn that has ended matters where its request goes on: many short ones are as much as a long one.
        guard isSuspended || request?.isFinished == false else { return false }
        turnRequest = request
        return true
    }

    /// Has the suspended or running turn end instead of going on.
    func endRunningTurn(_ code: ErrorCode) {
        doom = code
        isolate?.terminate()
    }

    /// V8 ends a turn at the next place where it looks. But it has places that catch the end with everything else (the text of an error whose
    /// getters throw, for one), and a turn that leads back to them would go on for good: this often it may.
    private static let ignoredEndsLimit = 16

    /// Has a suspended turn that is over a limit end.
    /// - Returns: false when it has been told to often enough.
    func endSuspendedTurn() -> Bool {
        ignoredEnds += 1
        guard ignoredEnds <= Self.ignoredEndsLimit else { return false }
        endRunningTurn(doom ?? .cpuLimit)
        return true
    }

    // MARK: Beginning

    /// Takes up an event: prepares a turn on `spare`, which is then the isolate's until the turn has ended, or deals with it at once.
    /// - Returns: whether there is a turn to run.
    func begin(_ event: Event, on spare: OpaquePointer) -> Bool {
        if phase == .starting, event.waitsForStart {
            if let joined = held.last?.joined(with: event) {
                held[held.count - 1] = joined
            } else {
                held.append(event)
            }
            return false
        }
        switch event {
        case .request(let request, let payload, let isComplete, let hasBody):
            guard phase == .ready || !startsSooner() && revive() else {
                held.append(event)
                return beginStart(on: spare)
            }
            begin(request, payload, isComplete: isComplete, hasBody: hasBody, on: spare)
            return true
        case .requestBody(let id, let payload, let isEnd):
            return beginTurn(.requestBody, for: id, payload, on: spare) {
                if payload.bytes.isEmpty { $0.addUndefined() } else { $0.add(bytes: payload.bytes) }
                $0.add(bool: isEnd)
            }
        case .responseCredit(let id):
            return beginTurn(.responseCredit, for: id, on: spare)
        case .abort(let id, let reason):
            let begins = beginTurn(.abort, for: id, on: spare) { $0.add(number: Double(reason)) }
            turnIsAbortByLimit = begins && (reason == AbortReason.wallLimit.rawValue || reason == AbortReason.failed.rawValue)
            return begins
        case .timer(let timer, let generation):
            return generation == self.generation && begin(timer: timer, on: spare)
        case .trim:
            trim()
            return false
        case .prewarm:
            return phase == .cold && (startsSooner() || !revive()) && beginStart(on: spare)
        case .end(let reason):
            end(reason)
            return false
        }
    }

    private func prepare(_ hook: RuntimeHook, request: RequestState?, evaluatesMain: Bool = false, on fiber: OpaquePointer) {
        self.fiber = fiber
        turnRequest = request
        turnIsAbortByLimit = false
        logLinesThisTurn = 0
        ignoredEnds = 0
        orphanCPUNanoseconds = 0
        turn.prepare(
            isolate!, hook: hook.rawValue, evaluatesMain: evaluatesMain, timeMilliseconds: Clock.wallMilliseconds,
            request: request?.id ?? 0, fiber: fiber, stackLow: cfiber_stack_low(fiber), stackHigh: cfiber_stack_high(fiber))
        cfiber_prepare(fiber, Turn.body, turn.context)
    }

    /// Whether the source is quicker than the snapshot: small modules are evaluated in less time than V8 takes to make an isolate.
    private func startsSooner() -> Bool { phase == .cold && cell.lock.withLock { cell.prefersSource(self) } && cell.reserve.isReady }

    /// Makes the isolate from the tenant's snapshot, ready for requests.
    /// - Returns: false without one that can be used.
    private func revive() -> Bool {
        guard phase == .cold, let snapshot = cell.lock.withLock({ version.snapshot }) else { return false }
        cell.makeRoomForIsolate(besides: self)
        let (before, cpuBefore) = (Clock.monotonicNanoseconds, Clock.threadCPUNanoseconds)
        do {
            try doOwnWork { () throws in take(try revived(from: snapshot)) }
        } catch is NoRoomForBlob {
            // This time; the snapshot is as good as it was.
            return false
        } catch {
            cell.refuseSnapshot(of: self, "\(error)")
            return false
        }
        phase = .ready
        startedMilliseconds = Clock.wallMilliseconds
        cell.coldStarted(self)
        cell.revived(
            self, nanoseconds: Clock.monotonicNanoseconds - before, cpuNanoseconds: Clock.threadCPUNanoseconds - cpuBefore)
        return true
    }

    private struct NoRoomForBlob: Error {}

    private func revived(from snapshot: SnapshotFrame) throws -> Isolate {
        let base = cell.reserve.snapshot
        // V8 reads it while it makes isolate and context, and not afterwards.
        guard let blob = cell.blobs.lease(byteCount: snapshot.blobBytes) else { throw NoRoomForBlob() }
        defer { cell.blobs.giveBack(blob) }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: blob[..<snapshot.blobBytes])
        try snapshot.delta.withUnsafeBytes { try SnapshotDelta.decompress($0, base: base, into: bytes) }
        guard V8.fits(UnsafeRawBufferPointer(bytes), beside: base) else {
            throw SnapshotDelta.Failure(description: "its read-only heap is not the base snapshot's")
        }
        return try Isolate(reviving: UnsafeRawBufferPointer(bytes), bundle: version.engineModules)
    }

    private func doOwnWork<T, E: Error>(_ work: () throws(E) -> T) throws(E) -> T {
        didOwnWork = true
        // The warm-up has no worker.
        return lastWorker < 0 ? try work() : try cell.workers[lastWorker].doOwnWork(on: self, work)
    }

    private func take(_ made: consuming Isolate) {
        made.assign(
            memoryLimitBytes: version.limits.memoryBytes, user: Unmanaged<RuntimeHost>.passUnretained(self).toOpaque(),
            allowsEval: version.allowsEval)
        isolate = consume made
    }

    private func beginStart(on spare: OpaquePointer) -> Bool {
        cell.makeRoomForIsolate(besides: self)
        startedNanoseconds = Clock.monotonicNanoseconds
        do throws(EngineError) {
            try doOwnWork { () throws(EngineError) in take(try cell.reserve.take()) }
        } catch {
            startedNanoseconds = 0
            failHeld(.overloaded, "\(error)")
            return false
        }
        cell.coldStarted(self)
        phase = .starting
        startFailure = nil
        startupCPUNanoseconds = 0
        startedMilliseconds = Clock.wallMilliseconds
        prepare(.started, request: nil, evaluatesMain: true, on: spare)
        return true
    }

    private func begin(
        _ request: RequestState, _ payload: FrameBytes, isComplete: Bool, hasBody: Bool, on spare: OpaquePointer
    ) {
        guard let frame = try? RequestFrame(payload.bytes) else { preconditionFailure("the frame was checked when it came") }
        requests[request.id] = request
        request.isDelivered = true
        prepare(.request, request: request, on: spare)
        turnPayload = payload
        turn.add(number: Double(request.id))
        turn.add(latin1: frame.method)
        turn.add(latin1: frame.url)
        turn.add(latin1: frame.headers)
        turn.add(number: hasBody ? (isComplete ? 1 : 2) : 0)
        if frame.body.isEmpty, !hasBody || !isComplete { turn.addUndefined() } else { turn.add(bytes: frame.body) }
    }

    private func beginTurn(
        _ hook: RuntimeHook, for id: UInt64, _ payload: FrameBytes? = nil, on spare: OpaquePointer,
        _ arguments: (borrowing Turn) -> Void = { _ in }
    ) -> Bool {
        guard phase == .ready, let request = requests[id] else { return false }
        prepare(hook, request: request, on: spare)
        turnPayload = payload
        turn.add(number: Double(id))
        arguments(turn)
        return true
    }

    private func begin(timer id: Int, on spare: OpaquePointer) -> Bool {
        guard phase != .cold, let timer = timers[id] else { return false }
        if let interval = timer.intervalNanoseconds {
            cell.schedule(id, of: self, inNanoseconds: interval)
        } else {
            timers[id] = nil
            requests[timer.request]?.timers.remove(id)
        }
        prepare(.timer, request: requests[timer.request], on: spare)
        turn.add(number: Double(id))
        return true
    }

    // MARK: Ending

    /// Deals with a turn that has run to its end.
    /// - Returns: the fiber it ran on.
    func endTurn() -> OpaquePointer {
        guard let fiber else { preconditionFailure("a turn ends on its fiber") }
        self.fiber = nil
        turnPayload = nil
        concludeTurn()
        return fiber
    }

    private func concludeTurn() {
        let request = turnRequest
        // The ticker may have told the turn to end when it already had.
        switch doom == nil ? turn.outcome : .terminated {
        case .completed: break
        case .threw(let message):
            if phase == .starting {
                startFailure = message
            } else if let request {
                fail(request, .exception, message)
                // The runtime has to forget it, too, which it does when it is told of an end; not again where it was that which failed.
                if turnIsAbortByLimit {
                    finished(request.id)
                } else if !request.isFinished {
                    cell.lock.withLock { inbox.prepend(.abort(request.id, reason: AbortReason.failed.rawValue)) }
                }
            } else {
                log(level: 4, request: 0, message: message)
            }
        case .terminated:
            turnRequest = nil
            endOfTerminated(offender: request)
            return
        }
        if let request, turnIsAbortByLimit { finished(request.id) }
        if let request, !request.isAnswered, !request.isFinished, !request.isKnownAsEntered {
            request.isKnownAsEntered = true
            cell.socket.send(FrameHeader(.entered, length: 0, id: request.id))
        }
        turnRequest = nil
        if phase == .starting || startFailure != nil { checkStart() }
        if phase == .ready, startedNanoseconds != 0 {
            cell.startedFromSource(
                self, nanoseconds: Clock.monotonicNanoseconds - startedNanoseconds, cpuNanoseconds: evaluationCPUNanoseconds)
            startedNanoseconds = 0
            releaseHeld()
        }
        tellFinished()
    }

    /// After a turn of the start-up: has it failed, or can it never succeed?
    private func checkStart() {
        if startFailure == nil, phase == .starting, timers.isEmpty {
            startFailure = "the main module's top-level await never settles: nothing is left that could settle it"
        }
        guard let startFailure else { return }
        self.startFailure = nil
        log(level: 4, request: 0, message: "start-up failed: \(startFailure)")
        doOwnWork { disposeOfIsolate() }
        failHeld(.startupFailed, startFailure)
    }

    /// What the start-up that ended now took. The turn in which it succeeded belonged to no request.
    private var evaluationCPUNanoseconds: UInt64 { startupCPUNanoseconds &+ orphanCPUNanoseconds }

    /// The request that the start-up was for tells the supervisor what it took.
    private func noteStartupCPU() {
        for case .request(let request, _, _, _) in held {
            request.startupCPUNanoseconds = evaluationCPUNanoseconds
            startupCPUNanoseconds = 0
            return
        }
    }

    private func releaseHeld() {
        noteStartupCPU()
        cell.lock.withLock { inbox.prepend(contentsOf: held) }
        held.removeAll()
    }

    /// Fails every request that waits for the start-up.
    private func failHeld(_ code: ErrorCode, _ message: String) {
        noteStartupCPU()
        let events = held
        held.removeAll()
        for case .request(let request, _, _, _) in events {
            fail(request, code, message)
            request.isFinished = true
            finishedRequests.append(request)
        }
        // Its end need not wait any more.
        cell.lock.withLock { inbox.prepend(contentsOf: events.filter(\.isEnd)) }
        tellFinished()
    }

    private func tookMoreCPU(_ what: String, _ nanoseconds: UInt64) -> String {
        "\(what) took more than \(nanoseconds / 1_000_000) ms of CPU time"
    }

    /// The turn was cut off: the isolate is dead. Requests it was handling fail, those that wait get a new one.
    private func endOfTerminated(offender: RequestState?) {
        var code = doom ?? .memoryLimit
        doom = nil
        if isolate?.memory.isOverLimit == true { code = .memoryLimit }
        // Also where the main module was evaluated in this very turn: nobody was released yet.
        let wasStarting = phase != .ready || startedNanoseconds != 0
        let isForOthers = isEndedForOthers
        isEndedForOthers = false
        let message =
            switch code {
            case .cpuLimit where isForOthers: "a builtin that cannot be interrupted kept a thread that others needed"
            case .cpuLimit where phase != .ready: tookMoreCPU("start-up", version.limits.startupCPUNanoseconds)
            case .cpuLimit: tookMoreCPU(wasStarting ? "what start-up began" : "a request", version.limits.cpuNanoseconds)
            default: "the isolate took more than \(version.limits.memoryBytes >> 20) MiB of memory"
            }
        log(level: 4, request: offender?.id ?? 0, message: "isolate ended, \(code.code): \(message)")
        doOwnWork { disposeOfIsolate() }
        for request in requests.values where request.isDelivered {
            fail(request, code, request === offender ? message : "with the isolate of another request: \(message)")
            finished(request.id)
        }
        if wasStarting { failHeld(code == .cpuLimit ? .startupFailed : code, message) }
        cell.socket.send(FrameHeader(.isolateEnded, length: 0, extra: code.rawValue, id: version.id))
        tellFinished()
    }

    /// Takes finished requests out of the tables and reports their CPU time.
    func tellFinished() {
        guard !finishedRequests.isEmpty else { return }
        for request in finishedRequests {
            requests[request.id] = nil
            for timer in request.timers where timers.removeValue(forKey: timer) != nil { cell.unschedule(timer, of: self) }
        }
        cell.lock.withLock {
            for request in finishedRequests {
                if request.outgoing.pending != nil {
                    request.outgoing.finishesAfterPending = true
                } else {
                    if request.isAnswered { breakBody(request, "the request ended before its body") }
                    cell.conclude(request, of: self)
                }
            }
        }
        finishedRequests.removeAll(keepingCapacity: true)
    }

    private func trim() {
        guard phase == .ready, requests.isEmpty else { return }
        let collects = cell.lock.withLock { bytes >= Cell.collectedBytes }
        doOwnWork {
            if collects { isolate?.trim() }
            isolate?.share()
        }
        cell.trimmed(self)
    }

    private func end(_ reason: Event.EndReason) {
        guard requests.isEmpty, held.isEmpty else { return }
        // A request came after it was chosen: it stays, unless somebody asked for its end.
        if let eviction = reason.eviction, eviction != .asked, cell.lock.withLock({ openRequests > 0 }) { return }
        let wasHot = isolate != nil
        if wasHot, let reason = reason.eviction { cell.evicted(self, reason) }
        if wasHot {
            doOwnWork {
                if reason.eviction != nil { keepCode() }
                disposeOfIsolate()
            }
        }
        let isRetired = reason.eviction == nil
        if isRetired { cell.remove(self) }
        // Also the sign that no log line will name this version again.
        if wasHot || isRetired {
            cell.socket.send(FrameHeader(.isolateEnded, length: 0, extra: reason.eviction?.rawValue ?? 0, id: version.id))
        }
    }

    /// Of a tenant without a snapshot the next start has at least what V8 compiled.
    private func keepCode() {
        guard phase == .ready, version.code.isEmpty, cell.lock.withLock({ version.snapshot == nil }) else { return }
        let code = version.compiled(by: isolate!)
        cell.lock.withLock { cell.keep(code, of: self) }
    }

    private func disposeOfIsolate() {
        if let ended = isolate.take() { cell.reserve.dispose(of: ended, owner: self) }
        phase = .cold
        startedNanoseconds = 0
        cell.unschedule(timers.keys, of: self)
        timers.removeAll()
        cell.cooled(self)
    }
}

extension Event {
    /// Whether the event is for requests, and so waits until the main module has been evaluated.
    fileprivate var waitsForStart: Bool {
        switch self {
        case .timer: false
        default: true
        }
    }
}
