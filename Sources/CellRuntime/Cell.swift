import Engine
import Scheduling
import Synchronization
import Wire

/// A cell's state, shared by its workers and its ticker. What is mutable is guarded by `lock` unless it says otherwise; the lock is held
/// for short, bounded work only and never while JavaScript runs.
final class Cell: @unchecked Sendable {
    /// Turns that may be running or suspended at once.
    static let fiberLimit = 4_096

    let lock = Lock()
    let socket: SupervisorSocket
    let fibers = FiberPool(limit: Cell.fiberLimit)
    let reserve: IsolateReserve
    let blobs = BlobBuffers()
    let configuration: CellConfiguration

    var versions: [UInt64: TenantIsolate] = [:]
    private var routes: [UInt64: (isolate: TenantIsolate, request: RequestState)] = [:]
    private var timers = DeadlineQueue<TimerKey>()
    private var nextTimerNanoseconds = UInt64.max
    private(set) var queue: FairQueue
    /// By slot of the run queue.
    private var isolates: [TenantIsolate?] = []
    var hotCount = 0
    /// The most there were since memory was given back.
    var hotPeak = 0
    /// Whom to evict, and the isolates by their slot in it.
    var eviction: EvictionOrder
    var evictable: [TenantIsolate?] = []
    /// What isolates may hold together, as the supervisor said last.
    var budgetBytes = Int.max
    /// What bundles, code and snapshots take, and what of it is of versions without an isolate.
    var storedBytes = 0
    var coldStoredBytes = 0
    /// Versions have gone since the C library's heap was looked through.
    var forgotSome = false
    /// Versions of these that have a snapshot.
    var warmCount = 0
    /// When tenants were called whose versions this cell no longer has.
    private var callHistory = CallHistory()
    /// What revivals from snapshots take, in nanoseconds, by the bytes that V8 reads, as the last hundred or so have shown.
    var revivals = FittedLine(memory: 0.99)
    var lastHousekeepingNanoseconds: UInt64 = 0
    /// Idle isolates to trim or to end when a worker has nothing else to do, the first to go last.
    var housekeepingDue: [TenantIsolate] = []
    var status = CellStatus()
    /// Bodies that nobody needs any more: megabytes take the kernel a while to take back, which nobody is to wait for with the lock.
    var released: [FrameBytes] = []

    /// Somebody reads the socket.
    var isPumping = false
    /// When somebody last looked at it.
    var lastPumpNanoseconds: UInt64 = 0
    var waitingWorkers = 0
    /// Workers that have a place and run an isolate, and how many may.
    var activeWorkers = 0
    var workerLimit: Int
    /// Isolates that were preempted and have not ended that turn.
    var suspendedCount = 0
    let idle = Lock.Condition()
    /// Threads that may take the place of a worker that is stuck.
    var spares: [Worker] = []
    /// All of them; set before any begins.
    var workers: [Worker] = []

    /// Workers that run a turn.
    let runningCount = Atomic<Int>(0)
    let ticker = TickerSignal()
    let pulse = Pulse()

    private struct TimerKey: Hashable, Sendable {
        var version: UInt64
        var generation: UInt64
        var timer: Int
    }

    init(socket: SupervisorSocket, configuration: CellConfiguration, snapshot: UnsafeRawBufferPointer) {
        self.socket = socket
        self.configuration = configuration
        workerLimit = configuration.workers
        reserve = IsolateReserve(snapshot: snapshot)
        var order = FairQueueConfiguration()
        order.order = configuration.preempts ? .fair : .arrival
        order.longestSliceNanoseconds = UInt64(configuration.sliceMicroseconds) * 1000
        order.shortestSliceNanoseconds = min(order.shortestSliceNanoseconds, order.longestSliceNanoseconds)
        queue = FairQueue(order)
        var eviction = EvictionConfiguration()
        eviction.choice = configuration.evictsLRU ? .lru : .greedyDual
        self.eviction = EvictionOrder(eviction)
    }

    // MARK: The run queue (under the lock)

    /// The isolate to run next; nil when none is runnable.
    func dequeue(now: UInt64) -> TenantIsolate? { queue.next(now: now).map { isolates[$0]! } }

    /// Puts an isolate away after a slice in which it took `cpuNanoseconds`.
    func endSlice(of isolate: TenantIsolate, cpuNanoseconds: UInt64, hasMore: Bool, wasUsed: Bool, now: UInt64) {
        queue.charge(isolate.slot, nanoseconds: cpuNanoseconds, now: now)
        // Of a version that is gone the supervisor was told so: it knows the number no more.
        if !isolate.isRemoved { reportQuota(of: isolate, now: now) }
        // It counts as scheduled for good, so that nothing wakes it.
        if isolate.isForsaken { return queue.sleep(isolate.slot) }
        if hasMore { return queue.yield(isolate.slot, now: now) }
        isolate.isScheduled = false
        queue.sleep(isolate.slot)
        if wasUsed || isolate.wasCalled { noteUse(of: isolate, now: now) }
        evictIfAsked(isolate, now: now)
        if isolate.isRemoved {
            queue.remove(isolate.slot)
            isolates[isolate.slot] = nil
            callHistory.keep(eviction.calls(of: isolate.evictionSlot), of: isolate.version.tenant)
            eviction.remove(isolate.evictionSlot)
            evictable[isolate.evictionSlot] = nil
        }
    }

    /// Whether somebody else should run now. Under the lock.
    func shouldPreempt(_ isolate: TenantIsolate, ranNanoseconds: UInt64, now: UInt64) -> Bool {
        configuration.preempts && queue.shouldPreempt(isolate.slot, ranNanoseconds: ranNanoseconds, now: now)
    }

    private func admit(_ isolate: TenantIsolate) {
        isolate.slot = queue.add(
            weight: isolate.version.weight,
            quota: CPUQuota(millisecondsPerSecond: isolate.version.limits.quotaMillisecondsPerSecond, now: Clock.monotonicNanoseconds))
        if isolate.slot == isolates.count { isolates.append(nil) }
        isolates[isolate.slot] = isolate
        isolate.evictionSlot = eviction.add(
            weight: isolate.version.weight, calls: callHistory.take(of: isolate.version.tenant))
        if isolate.evictionSlot == evictable.count { evictable.append(nil) }
        evictable[isolate.evictionSlot] = isolate
        count(isolate, 1)
    }

    func deliver(_ event: Event, to isolate: TenantIsolate) {
        if let joined = isolate.inbox.last?.joined(with: event) {
            isolate.inbox[isolate.inbox.count - 1] = joined
        } else {
            isolate.inbox.append(event)
        }
        guard !isolate.isScheduled else { return }
        isolate.isScheduled = true
        let now = Clock.monotonicNanoseconds
        // What it holds does not stay because its quota is used up: it is taken to be gone already.
        queue.wake(isolate.slot, now: now, heedsQuota: !event.isEnd)
        reportQuota(of: isolate, now: now)
    }

    /// Whether a tenant may use CPU time now.
    func hasQuota(_ isolate: TenantIsolate, now: UInt64) -> Bool { queue.quotaWaitNanoseconds(isolate.slot, now: now) == 0 }

    /// The supervisor lets a tenant's requests wait, or refuses them, while its quota fills.
    private func reportQuota(of isolate: TenantIsolate, now: UInt64) {
        let wait = queue.quotaWaitNanoseconds(isolate.slot, now: now)
        guard wait > 0 else { return }
        var payload = ByteWriter()
        payload.append(integer: wait)
        socket.send(.parked, id: isolate.version.id, payload: payload.bytes)
    }

    // MARK: Frames

    /// Reads what the supervisor sent. One thread at a time, as `isPumping` says.
    func receive(blocking: Bool = false) {
        do throws(WireError) {
            try socket.receive(blocking: blocking) { header, payload throws(WireError) in
                // Copies of megabytes are made before everybody else waits for the lock.
                let isolate = header.kind == .tenant ? try self.isolate(header, payload) : nil
                let snapshot = header.kind == .tenantSnapshot ? try self.snapshot(payload) : nil
                lock.lock()
                defer { unlockAndRelease() }
                if let isolate { return try add(isolate) }
                if let snapshot { return takeSnapshot(snapshot, of: header.id) }
                try take(header, payload)
            }
        } catch {
            poison("the supervisor sent what is not a frame: \(error)", version: 0)
        }
    }

    private func isolate(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) throws(WireError) -> TenantIsolate {
        var reader = ByteReader(payload)
        return TenantIsolate(cell: self, version: TenantVersion(id: header.id, bundle: try TenantBundle(from: &reader)))
    }

    private func snapshot(_ payload: UnsafeRawBufferPointer) throws(WireError) -> SnapshotFrame {
        var reader = ByteReader(payload)
        return try SnapshotFrame(from: &reader)
    }

    /// Under the lock.
    private func add(_ isolate: TenantIsolate) throws(WireError) {
        let id = isolate.version.id
        guard versions.count < TenantBundle.cellLimit else { throw .invalid("more than \(TenantBundle.cellLimit) tenants in a cell") }
        guard versions[id] == nil else { throw .invalid("tenant version \(id) came twice") }
        versions[id] = isolate
        admit(isolate)
    }

    private func take(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) throws(WireError) {
        switch header.kind {
        case .request: try takeRequest(header, payload)
        case .requestBody:
            guard let route = routes[header.id] else { return }
            deliver(
                .requestBody(header.id, FrameBytes.copy(payload), isEnd: header.flags.contains(.end)), to: route.isolate)
        case .responseCredit:
            var reader = ByteReader(payload)
            let bytes = Int(try reader.integer(UInt32.self))
            takeCredit(bytes, for: header.id)
        case .abort:
            guard let route = routes[header.id] else { return }
            takeAbort(of: route.request, in: route.isolate, reason: header.extra)
        case .retire:
            guard let isolate = versions[header.id] else { return }
            isolate.isRetired = true
            if isolate.openRequests == 0 { deliver(.end(.retired), to: isolate) }
        case .budget:
            var reader = ByteReader(payload)
            budgetBytes = Int(clamping: try reader.integer(UInt64.self))
            keepWithinBudget(now: Clock.monotonicNanoseconds)
        case .evict: evictWhenAsked(version: header.id)
        case .workers: limitWorkers(Int(header.extra))
        case .list: list(query: header.id)
        case .ping:
            housekeep()
            answerPing(header.id)
        default: throw .invalid("unexpected frame \(header.kind)")
        }
    }

    /// Others may need the processors more.
    private func limitWorkers(_ count: Int) {
        workerLimit = min(max(count, 1), configuration.workers)
        idle.broadcast()
    }

    /// Whether a further worker has something to do and may.
    var wantsWorker: Bool { queue.waitingCount > 0 && activeWorkers < workerLimit }

    private func takeRequest(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) throws(WireError) {
        let frame = try RequestFrame(payload)
        guard let isolate = versions[frame.version], !isolate.isRetired else {
            throw .invalid("a request for version \(frame.version), which this cell does not have")
        }
        guard routes[header.id] == nil else { throw .invalid("request \(header.id) came twice") }
        let request = RequestState(id: header.id)
        routes[header.id] = (isolate, request)
        isolate.openRequests += 1
        isolate.wasCalled = true
        isolate.givenUpNanoseconds = 0
        status.requests += 1
        deliver(
            .request(
                request, FrameBytes.copy(payload), isComplete: header.flags.contains(.end),
                hasBody: header.flags.contains(.hasBody)), to: isolate)
    }

    /// Nobody takes the rest of a request's body: no credit will come for it.
    private func takeAbort(of request: RequestState, in isolate: TenantIsolate, reason: UInt16) {
        if request.outgoing.pending != nil { isolate.breakBody(request, "the request was aborted") }
        if request.outgoing.finishesAfterPending {
            conclude(request, of: isolate)
        } else {
            deliver(.abort(request.id, reason: reason), to: isolate)
        }
    }

    /// Gives the lock back, and then what was released under it.
    func unlockAndRelease() {
        let gone = released
        if !gone.isEmpty { released = [] }
        withExtendedLifetime(gone) { lock.unlock() }
    }

    /// A body, or the rest of one, need not wait for its client any more. Under the lock, which `unlockAndRelease` is to give back before long.
    func release(_ body: FrameBytes, of isolate: TenantIsolate) {
        waitingBytes(of: isolate, changedBy: -body.bytes.count)
        released.append(body)
    }

    private func takeCredit(_ bytes: Int, for id: UInt64) {
        guard let route = routes[id] else { return }
        let held = route.request.outgoing.pending
        let opens = route.request.outgoing.credit(bytes, request: id, to: socket)
        if let held, route.request.outgoing.pending == nil { release(held, of: route.isolate) }
        if route.request.outgoing.finishesAfterPending {
            if route.request.outgoing.pending == nil { conclude(route.request, of: route.isolate) }
        } else if opens {
            deliver(.responseCredit(id), to: route.isolate)
        }
    }

    /// Reports a request as over and forgets it. Under the lock.
    func conclude(_ request: RequestState, of isolate: TenantIsolate) {
        socket.send(FrameHeader(.finished, length: 8, id: request.id)) {
            $0.append(integer: (request.cpuNanoseconds &+ request.startupCPUNanoseconds) / 1000)
        }
        routes[request.id] = nil
        isolate.openRequests -= 1
        if isolate.openRequests == 0, isolate.isRetired { deliver(.end(.retired), to: isolate) }
    }

    private func answerPing(_ id: UInt64) {
        var answer = status
        answer.isolates = UInt64(hotCount)
        answer.runnable = UInt64(queue.waitingCount)
        answer.runnableWeight = UInt64(queue.activeWeight)
        let memory = V8.processMemory
        answer.pageBytes = UInt64(memory.pageBytes)
        answer.isolateBytes = UInt64(max(eviction.residentBytes - (storedBytes - coldStoredBytes), 0))
        answer.storedBytes = UInt64(max(storedBytes, 0))
        answer.warm = UInt64(max(warmCount, 0))
        answer.evictedTooEarly = UInt64(eviction.evictedTooEarly)
        answer.marginalValue = UInt64(min(eviction.marginalValue, 1e15))
        var payload = ByteWriter()
        answer.encode(into: &payload)
        socket.send(.status, id: id, payload: payload.bytes)
    }

    // MARK: Timers

    func schedule(_ timer: Int, of isolate: TenantIsolate, inNanoseconds delay: UInt64) {
        lock.withLock {
            let deadline = Clock.monotonicNanoseconds + delay
            timers.set(TimerKey(version: isolate.version.id, generation: isolate.generation, timer: timer), at: deadline)
            nextTimerNanoseconds = min(nextTimerNanoseconds, deadline)
        }
    }

    func unschedule(_ timer: Int, of isolate: TenantIsolate) { unschedule(CollectionOfOne(timer), of: isolate) }

    func unschedule(_ ids: some Collection<Int>, of isolate: TenantIsolate) {
        guard !ids.isEmpty else { return }
        lock.withLock {
            for timer in ids {
                timers.remove(TimerKey(version: isolate.version.id, generation: isolate.generation, timer: timer))
            }
        }
    }

    /// Timers that are delivered under one hold of the lock; those after them wait for the next look.
    private static let timersPerLook = 256

    /// Makes isolates runnable whose timers are due. Under the lock.
    func collectDueTimers(now: UInt64) {
        guard now >= nextTimerNanoseconds else { return }
        for _ in 0..<Self.timersPerLook {
            guard let key = timers.popDue(at: now) else { break }
            guard let isolate = versions[key.version], isolate.generation == key.generation else { continue }
            deliver(.timer(key.timer, generation: key.generation), to: isolate)
        }
        nextTimerNanoseconds = timers.nextDeadline() ?? .max
    }

    /// Until a timer is due or a quota has filled; nil when neither will. Under the lock.
    func nanosecondsToNextDue(now: UInt64) -> UInt64? {
        let due = min(nextTimerNanoseconds, queue.nextReleaseNanoseconds() ?? .max)
        guard due != .max else { return nil }
        return due > now ? due - now : 0
    }

    // MARK: The end

    /// Tells the supervisor that this process must be replaced, and stops the calling thread for good.
    func poison(_ why: String, version: UInt64) -> Never {
        report(poison: why, version: version)
        while true { Clock.sleep(nanoseconds: 1_000_000_000) }
    }

    /// V8 has no memory for the turn that the calling thread runs: stops it for good. Returns when that is not enough.
    func abandon(_ isolate: TenantIsolate, _ why: String) {
        let worker = workers[isolate.lastWorker]
        let isGivenUp = worker.lock.withLock {
            worker.running?.isolate === isolate && worker.running?.isOwnWork == false && worker.abandonRunning()
        }
        guard isGivenUp else { return }
        report(abandoned: isolate, .memoryLimit, why)
        while true { Clock.sleep(nanoseconds: 1_000_000_000) }
    }

    /// A turn can be neither ended nor gone on with: whatever holds on to its thread keeps it, a spare has taken its place, and the supervisor
    /// replaces this process once the others are out of it.
    func report(abandoned isolate: TenantIsolate, _ code: ErrorCode, _ why: String) {
        socket.send(.abandoned, extra: code.rawValue, id: isolate.version.id, payload: Array(why.utf8.prefix(4096)))
        socket.flushBlocking()
    }

    func report(poison why: String, version: UInt64) {
        socket.send(.poisoned, id: version, payload: Array(why.utf8.prefix(4096)))
        socket.flushBlocking()
    }
}
