import CFiber
import Sandbox
import Synchronization
import Wire

/// One OS thread of the cell's pool. It runs turns a slice at a time, and when nothing is runnable it waits on the socket itself, so that a
/// request needs no other thread. As many as the configuration says have a place in the pool; the others are spares, which take the place of
/// one that is stuck in a builtin. The stuck one becomes a spare when it comes back.
final class Worker: @unchecked Sendable {
    /// While isolates are runnable, the socket is looked at this often.
    static let pumpIntervalNanoseconds: UInt64 = 200_000
    /// A worker waiting on the socket looks up this often while others run, since they may set timers.
    private static let busyWaitNanoseconds: UInt64 = 1_000_000

    let index: Int
    private unowned let cell: Cell

    /// Guards `running`, so that the ticker never touches an isolate that is being disposed of.
    let lock = Lock()
    private(set) var running: Running?
    /// CPU clock of this thread, for the ticker.
    private(set) var cpuClock: Int32 = 0
    /// This thread, for the kernel.
    private var thread: Int32 = 0

    // Guarded by the cell's lock.
    private var hasPlace: Bool
    /// It runs an isolate in its place.
    private var isActive = false
    /// Its place was given away while it ran a turn, which is not over.
    private var isStuck = false
    private let placeGiven = Lock.Condition()

    private var cpu = SliceClock()

    /// The stack for the next turn that begins here.
    private var spareFiber: OpaquePointer?

    /// What the ticker has to know of a slice.
    struct Running {
        var isolate: TenantIsolate
        var sliceStart: UInt64
        /// CPU time that the turn may still take.
        var remainingCPUNanoseconds: UInt64
        /// The thread's CPU time when the ticker first saw the turn.
        var cpuFirstSeen: UInt64?
        /// When the turn was asked to suspend itself.
        var preemptedAt: UInt64?
        /// The thread's CPU time then.
        var preemptedAtCPU: UInt64 = 0
        /// Since when its slice was over and somebody waited.
        var awaitedSince: UInt64?
        /// The thread's CPU time when the turn was told to end, for builtins that do not look.
        var terminatedAtCPU: UInt64?
        /// No turn: V8 makes the isolate, cleans it up or disposes of it, and cannot be interrupted.
        var isOwnWork = false
        /// Somebody else has its worker's place.
        var isHandedOff = false
        /// The turn was given up: its thread may never come back.
        var isAbandoned = false
        /// The thread's CPU time when it was seen to get on last, and how long ago that is.
        var quietCPU: UInt64 = 0
        var quietNanoseconds: UInt64 = 0
    }

    init(index: Int, cell: Cell, hasPlace: Bool) {
        self.index = index
        self.cell = cell
        self.hasPlace = hasPlace
    }

    /// The thread's body; never returns.
    func run() {
        cpuClock = Clock.currentThreadCPUClock
        thread = ThreadSchedule.currentThread
        while true {
            cell.lock.lock()
            if !hasPlace {
                cell.lock.unlock()
                // Whoever has the place may be waiting for input.
                cell.socket.flush()
                cell.reserve.wake()
                cell.lock.lock()
                waitForPlace()
            }
            let now = Clock.monotonicNanoseconds
            cell.collectDueTimers(now: now)
            if cell.activeWorkers < cell.workerLimit, let isolate = cell.dequeue(now: now) {
                isActive = true
                cell.activeWorkers += 1
                cell.runningCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
                let wakes = cell.waitingWorkers > 0 && cell.wantsWorker
                let isDue = now &- cell.lastPumpNanoseconds > Self.pumpIntervalNanoseconds
                let pumps = isDue && !cell.isPumping
                cell.lock.unlock()
                if wakes { cell.idle.signal() }
                // What short turns before it have answered must not wait for the slice of a long one.
                if isolate.fiber != nil { cell.socket.flush() }
                execute(isolate, now: now)
                // While somebody else waits for input, what was answered must not wait for its end.
                if pumps {
                    pump(waits: false)
                } else if isDue {
                    cell.socket.flush()
                    cell.reserve.wake()
                }
            } else if !cell.isPumping, cell.activeWorkers < cell.workerLimit {
                cell.lock.unlock()
                pump(waits: true)
            } else {
                cell.lock.unlock()
                cell.socket.flush()
                cell.reserve.wake()
                cell.lock.lock()
                if !cell.wantsWorker, cell.isPumping || cell.activeWorkers >= cell.workerLimit {
                    cell.waitingWorkers += 1
                    cell.idle.wait(cell.lock)
                    cell.waitingWorkers -= 1
                }
                cell.lock.unlock()
            }
        }
    }

    // MARK: Places (under the cell's lock)

    private func waitForPlace() {
        if isStuck {
            isStuck = false
            CellThreads.worker.apply()
        }
        cell.spares.append(self)
        while !hasPlace { placeGiven.wait(cell.lock) }
    }

    private func endActivity() {
        guard isActive else { return }
        isActive = false
        cell.activeWorkers -= 1
    }

    /// Gives the place of this worker, which is stuck, to a spare.
    /// - Parameter waited: nanoseconds for which somebody could have run.
    /// - Returns: the spare, which is to be told (`takePlace`) once the cell's lock is given back; nil without one.
    func handOff(waited: UInt64) -> Worker? {
        precondition(hasPlace, "a place is given away once")
        guard let spare = cell.spares.popLast() else { return nil }
        hasPlace = false
        isStuck = true
        endActivity()
        spare.hasPlace = true
        cell.status.handoffs += 1
        cell.status.handoffMicroseconds += waited / 1_000
        cell.status.longestHandoffMicroseconds = max(cell.status.longestHandoffMicroseconds, waited / 1_000)
        CellThreads.stuck.apply(to: thread)
        return spare
    }

    /// Wakes a spare that was given the place of a worker that is stuck. Without the cell's lock: the kernel may run whoever wakes in the caller's
    /// stead, and then somebody third in place of both, as soon as the lock is asked for.
    func takePlace() { placeGiven.signal() }

    /// Gives up the turn that runs here; somebody else gets the place. With this worker's lock held.
    /// - Returns: false without a spare: then the cell cannot go on.
    func abandonRunning() -> Bool {
        guard running != nil else { return false }
        running!.isAbandoned = true
        if !running!.isHandedOff {
            let waited = running!.awaitedSince.map { Clock.monotonicNanoseconds - $0 } ?? 0
            let spare = cell.lock.withLock { handOff(waited: waited) }
            spare?.takePlace()
            running!.isHandedOff = spare != nil
        }
        return running!.isHandedOff
    }

    // MARK: The socket

    /// Writes what waits and reads what came; waits for something to come if nothing is there and `waits` says so. Without a place it only writes:
    /// whoever has the place may be about to wait for the socket to be free, and nobody would wake it.
    private func pump(waits: Bool) {
        cell.socket.flush()
        cell.reserve.wake()
        cell.lock.lock()
        guard hasPlace, !cell.isPumping else { return cell.lock.unlock() }
        cell.isPumping = true
        let now = Clock.monotonicNanoseconds
        cell.lock.unlock()
        cell.receive()
        if waits { waitForInput(now: now) }
        cell.lock.lock()
        cell.isPumping = false
        cell.lastPumpNanoseconds = Clock.monotonicNanoseconds
        // Somebody must look at the socket while this worker runs what came.
        let wakes = cell.waitingWorkers > 0 && cell.queue.waitingCount > 1
        cell.lock.unlock()
        if wakes { cell.idle.signal() }
    }

    private func waitForInput(now: UInt64) {
        cell.lock.lock()
        var timeout = cell.nanosecondsToNextDue(now: now)
        let isIdle = cell.queue.waitingCount == 0 && !cell.deliverHousekeeping()
        // Whoever runs now may leave timers and work behind, and no place to see to them.
        if cell.runningCount.load(ordering: .relaxed) > 0 { timeout = min(timeout ?? .max, Self.busyWaitNanoseconds) }
        cell.lock.unlock()
        guard isIdle else { return }
        if timeout == nil, cell.socket.backlogBytes == 0 {
            cell.receive(blocking: true)
        } else {
            cell.socket.wait(timeoutNanoseconds: timeout)
            cell.socket.flush()
            cell.receive()
        }
    }

    // MARK: Running

    /// Runs an isolate until it has nothing to do, its slice is over or it was preempted.
    private func execute(_ isolate: TenantIsolate, now: UInt64) {
        cell.ticker.wake()
        if isolate.fiber != nil, isolate.lastWorker != index { countMigration() }
        isolate.lastWorker = index
        var clock = now
        var cpuNanoseconds: UInt64 = 0
        var turns: UInt64 = 0
        // After a turn that goes on the place may be gone.
        var isFirst = isolate.fiber == nil
        // Events began no turn, as those of requests that are over: taking them up has its time and its slice like turns.
        var skipped = false
        var isPreempted = false
        while true {
            if isolate.fiber == nil {
                // Without a stack the isolate waits its turn again: suspended ones, which have theirs, go on.
                guard let spare = spareFiber ?? cell.fibers.lease() else {
                    if cell.fibers.isStarved { cell.poison("no memory for a stack", version: 0) }
                    break
                }
                spareFiber = spare
                guard let event = nextEvent(of: isolate, sliceStart: now, isFirst: isFirst) else { break }
                isFirst = false
                let begins = isolate.begin(event, on: spare)
                let didOwnWork = isolate.didOwnWork
                if didOwnWork {
                    // The tenant has its part of the processors for it, but no request is charged.
                    isolate.didOwnWork = false
                    let spent = Clock.monotonicNanoseconds &- clock
                    clock &+= spent
                    cpuNanoseconds &+= cpu.used(inNanoseconds: spent)
                }
                if begins { spareFiber = nil }
                if didOwnWork, !cell.lock.withLock({ hasPlace }) {
                    // Somebody else has its place by now: the turn, or the next event, waits for another.
                    isPreempted = begins
                    break
                }
                guard begins else {
                    skipped = true
                    continue
                }
            }
            publish(isolate, sliceStart: now)
            let isFinished = cfiber_resume(isolate.fiber)
            unpublish()
            let elapsed = Clock.monotonicNanoseconds &- clock
            clock &+= elapsed
            let used = cpu.used(inNanoseconds: elapsed)
            cpuNanoseconds &+= used
            let isOverLimit = isolate.charge(used, isSuspended: !isFinished)
            guard isFinished else {
                isPreempted = true
                if isOverLimit || isolate.doom != nil, !isolate.endSuspendedTurn() { forsake(isolate) }
                break
            }
            turns += 1
            if isOverLimit, isolate.doom == nil { isolate.doom = .cpuLimit }
            let fiber = isolate.endTurn()
            if isolate.didOwnWork {
                isolate.didOwnWork = false
                let spent = Clock.monotonicNanoseconds &- clock
                clock &+= spent
                cpuNanoseconds &+= cpu.used(inNanoseconds: spent)
            }
            if spareFiber == nil { spareFiber = fiber } else { cell.fibers.giveBack(fiber) }
        }
        if skipped { cpuNanoseconds &+= cpu.used(inNanoseconds: Clock.monotonicNanoseconds &- clock) }
        finishSlice(isolate, isPreempted: isPreempted, turns: turns, cpuNanoseconds: cpuNanoseconds)
    }

    /// A suspended turn does not heed that it is to end: it is left as it is.
    private func forsake(_ isolate: TenantIsolate) {
        cell.lock.withLock { isolate.isForsaken = true }
        cell.report(abandoned: isolate, isolate.doom ?? .cpuLimit, "a turn of \(isolate.version.tenant) does not end when it is told to")
    }

    private func finishSlice(_ isolate: TenantIsolate, isPreempted: Bool, turns: UInt64, cpuNanoseconds: UInt64) {
        cell.lock.lock()
        defer { cell.unlockAndRelease() }
        let now = Clock.monotonicNanoseconds
        endActivity()
        cell.runningCount.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        cell.status.turns += turns
        cell.status.cpuMicroseconds += cpuNanoseconds / 1000
        if isPreempted { cell.status.preemptions += 1 }
        if isPreempted != isolate.isSuspended {
            isolate.isSuspended = isPreempted
            cell.suspendedCount += isPreempted ? 1 : -1
        }
        // An end or a trim is no use of it.
        if turns > 0 || isPreempted { isolate.lastUseNanoseconds = now }
        cell.endSlice(
            of: isolate, cpuNanoseconds: cpuNanoseconds, hasMore: isPreempted || !isolate.inbox.isEmpty, wasUsed: turns > 0, now: now)
    }

    /// The next event of the isolate; nil without one, or when somebody else should run first.
    private func nextEvent(of isolate: TenantIsolate, sliceStart: UInt64, isFirst: Bool) -> Event? {
        cell.lock.lock()
        defer { cell.lock.unlock() }
        if !isFirst, !isolate.inbox.isEmpty {
            if !hasPlace { return nil }
            let now = Clock.monotonicNanoseconds
            let ran = now &- sliceStart
            // Also when nobody waits: what was used is charged, and the socket looked at, once a slice.
            if ran >= cell.queue.sliceNanoseconds || cell.shouldPreempt(isolate, ranNanoseconds: ran, now: now) { return nil }
        }
        return isolate.inbox.popFirst()
    }

    private func countMigration() { cell.lock.withLock { cell.status.migrations += 1 } }

    private func publish(_ isolate: TenantIsolate, sliceStart: UInt64) {
        let remaining = isolate.remainingCPUNanoseconds
        lock.withLock { running = Running(isolate: isolate, sliceStart: sliceStart, remainingCPUNanoseconds: remaining) }
    }

    /// Does what is no turn, so that the ticker knows of it.
    func doOwnWork<T, E: Error>(on isolate: TenantIsolate, _ work: () throws(E) -> T) throws(E) -> T {
        let now = Clock.monotonicNanoseconds
        // The turn before it may have been stuck, and its place been given away.
        let isHandedOff = cell.lock.withLock { !hasPlace }
        lock.withLock {
            running = Running(isolate: isolate, sliceStart: now, remainingCPUNanoseconds: .max, isOwnWork: true, isHandedOff: isHandedOff)
        }
        defer { unpublish() }
        return try work()
    }

    private func unpublish() { lock.withLock { running = nil } }

    /// For the ticker, with the lock held.
    func updateRunning(_ change: (inout Running) -> Void) {
        guard running != nil else { return }
        change(&running!)
    }
}
