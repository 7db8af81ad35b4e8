import Synchronization
import Wire

/// The cell's clock thread. While turns run it looks at each running slice once a tick, and whenever something comes while no worker has time
/// for the socket: somebody else should run, and it asks V8 for an interrupt; the turn does not heed that, and a spare gets its worker's place;
/// the turn is over the request's CPU or the isolate's memory, and it is ended. With nothing running it sleeps until a worker starts a turn.
final class Ticker: @unchecked Sendable {
    static let tickNanoseconds: UInt64 = 1_000_000
    /// While a turn has not heeded its interrupt yet, so that a hand-off comes in time, and until the socket counts as left alone.
    private static let shortTickNanoseconds: UInt64 = 250_000
    /// Ticks without a running turn before it sleeps.
    private static let idleTicks = 3
    /// A turn that was asked to suspend itself and has not after this long sits in a builtin that does not look.
    private static let stallNanoseconds: UInt64 = 400_000
    /// Whatever its thread waits for, after this long somebody else has its place.
    private static let blockedNanoseconds: UInt64 = 50_000_000
    /// With all spares taken, a turn that has been stuck for so long, and has used this much CPU time meanwhile, ends for the others: what most builtins
    /// take is over by then.
    private static let (hoggedNanoseconds, hoggedCPUNanoseconds): (UInt64, UInt64) = (1_000_000_000, 100_000_000)
    /// A turn that was told to end and has used this much CPU time since is given up: it sits in a builtin that does not look, perhaps for good.
    private static let stuckCPUNanoseconds: UInt64 = 3_000_000_000
    /// A thread that has work and uses less CPU time than this for that long waits for what does not come, such as a lock of V8's that a thread
    /// holds which was given up.
    private static let (quietCPUNanoseconds, quietNanoseconds): (UInt64, UInt64) = (1_000_000, 10_000_000_000)

    private unowned let cell: Cell
    private let workers: [Worker]
    /// Some turn was asked to suspend itself, has not, and keeps its worker's place while others wait.
    private var awaitsSwitch = false
    /// Some turn that is stuck keeps its worker's place, since all spares have one.
    private var lacksSpare = false
    /// Some turn takes longer than workers leave the socket alone for.
    private var isSlow = false
    /// Turns that go on although their workers' places were handed on.
    private var stuckCount = 0
    private var lastTickNanoseconds: UInt64 = 0

    init(cell: Cell, workers: [Worker]) {
        self.cell = cell
        self.workers = workers
    }

    /// The thread's body; never returns.
    func run() {
        var idle = 0
        while true {
            if cell.runningCount.load(ordering: .relaxed) == 0 {
                idle += 1
                if idle >= Self.idleTicks {
                    cell.fibers.trim()
                    cell.ticker.sleep { cell.runningCount.load(ordering: .sequentiallyConsistent) == 0 }
                    idle = 0
                }
            } else {
                idle = 0
            }
            if awaitsSwitch {
                Clock.sleep(nanoseconds: Self.shortTickNanoseconds)
            } else if !watchSocket() {
                Clock.sleep(nanoseconds: isSlow ? Self.shortTickNanoseconds : Self.tickNanoseconds)
            }
            tick(now: Clock.monotonicNanoseconds)
        }
    }

    /// While the workers are busy with long slices, or will be as soon as the short ones between are over, waits for input in their place, so that
    /// what comes need not wait for a slice's end.
    /// - Returns: false when a worker sees to the socket.
    private func watchSocket() -> Bool {
        cell.lock.lock()
        isSlow = isSlow || cell.suspendedCount > 0
        let isLeftAlone =
            cell.suspendedCount > 0 || Clock.monotonicNanoseconds &- cell.lastPumpNanoseconds > Worker.pumpIntervalNanoseconds * 2
        guard !cell.isPumping, isLeftAlone, cell.runningCount.load(ordering: .relaxed) > 0 else {
            cell.lock.unlock()
            return false
        }
        cell.isPumping = true
        cell.lock.unlock()
        cell.socket.wait(timeoutNanoseconds: Self.tickNanoseconds)
        cell.receive()
        cell.lock.lock()
        cell.isPumping = false
        let wakes = cell.waitingWorkers > 0
        cell.lock.unlock()
        if wakes { cell.idle.signal() }
        return true
    }

    private func tick(now: UInt64) {
        cell.lock.lock()
        cell.collectDueTimers(now: now)
        let wakes = cell.waitingWorkers > 0 && cell.wantsWorker
        cell.lock.unlock()
        if wakes { cell.idle.signal() }
        awaitsSwitch = false
        isSlow = false
        lacksSpare = false
        stuckCount = 0
        for worker in workers { look(at: worker, now: now) }
        cell.pulse.heed(stuck: stuckCount, running: cell.runningCount.load(ordering: .relaxed))
        if lacksSpare { endLongestStuck(now: now) }
        lastTickNanoseconds = now
        if cell.socket.backlogBytes > 0 { cell.socket.flush() }
    }

    private func look(at worker: Worker, now: UInt64) {
        var spare: Worker?
        worker.lock.lock()
        defer {
            worker.lock.unlock()
            spare?.takePlace()
        }
        var (isStuck, isBlocked) = (false, false)
        worker.updateRunning { running in
            guard !running.isAbandoned else { return }
            isBlocked = isQuiet(&running, of: worker, now: now)
            if !running.isOwnWork { isStuck = endIfDoomed(&running, of: worker) }
            guard cell.configuration.preempts else { return }
            if running.preemptedAt == nil, isOver(running, now: now) {
                running.preemptedAt = now
                running.preemptedAtCPU = Clock.read(worker.cpuClock)
                if !running.isOwnWork { running.isolate.isolate?.preempt() }
            }
            // While nobody waits its place is not handed on, and the ticker must see to the socket: somebody may be about to come.
            if let preemptedAt = running.preemptedAt, !running.isHandedOff, cell.lock.withLock({ cell.queue.waitingCount > 0 }) {
                // Where nobody waited before, somebody came after the last look.
                let since = running.awaitedSince ?? (preemptedAt == now ? sliceEnd(of: running, now: now) : min(now, lastTickNanoseconds))
                running.awaitedSince = since
                if isStalled(running, of: worker, now: now) {
                    cell.lock.withLock {
                        guard cell.queue.waitingCount > 0 else { return }
                        spare = worker.handOff(waited: now - since)
                        running.isHandedOff = spare != nil
                        // What takes some milliseconds, as making an isolate does, is no reason to end anybody.
                        lacksSpare = lacksSpare || !running.isHandedOff && !running.isOwnWork && now &- since > Self.blockedNanoseconds
                    }
                }
                if !running.isHandedOff { awaitsSwitch = true }
            }
            if running.isHandedOff { stuckCount += 1 }
            if age(of: running, now: now) > Worker.pumpIntervalNanoseconds { isSlow = true }
        }
        if isStuck { giveUp(worker) }
        if isBlocked {
            worker.updateRunning { $0.isAbandoned = true }
            cell.report(poison: "a worker waits for what does not come", version: 0)
        }
    }

    /// So many turns are stuck in builtins that there is no thread for the others: the one that has been for longest ends, as one that is over its
    /// CPU time does. One at a time.
    private func endLongestStuck(now: UInt64) {
        var longest: (worker: Worker, since: UInt64)?
        for worker in workers {
            let found = worker.lock.withLock { () -> (since: UInt64, isEnding: Bool)? in
                guard let running = worker.running, running.isHandedOff, !running.isOwnWork, !running.isAbandoned,
                    let since = running.preemptedAt, now &- since > Self.hoggedNanoseconds,
                    Clock.read(worker.cpuClock) &- running.preemptedAtCPU > Self.hoggedCPUNanoseconds
                else { return nil }
                return (since, running.terminatedAtCPU != nil)
            }
            guard let found else { continue }
            if found.isEnding { return }
            if found.since < longest?.since ?? .max { longest = (worker, found.since) }
        }
        guard let longest else { return }
        longest.worker.lock.withLock {
            longest.worker.updateRunning { running in
                // It may have come back meanwhile.
                guard running.isHandedOff, running.preemptedAt == longest.since else { return }
                running.terminatedAtCPU = Clock.read(longest.worker.cpuClock)
                running.isolate.isEndedForOthers = true
                running.isolate.endRunningTurn(.cpuLimit)
            }
        }
    }

    /// Ends a turn that is over a limit.
    /// - Returns: whether it was told to end and does not heed that.
    private func endIfDoomed(_ running: inout Worker.Running, of worker: Worker) -> Bool {
        let isolate = running.isolate
        if let request = isolate.turnRequest, !request.isKnownAsEntered, !request.isAnswered {
            request.isKnownAsEntered = true
            cell.socket.send(FrameHeader(.entered, length: 0, id: request.id))
        }
        if let since = running.terminatedAtCPU { return Clock.read(worker.cpuClock) &- since > Self.stuckCPUNanoseconds }
        if let doom = doom(of: isolate, worker: worker, &running) {
            running.terminatedAtCPU = Clock.read(worker.cpuClock)
            isolate.endRunningTurn(doom)
        }
        return false
    }

    /// Whether a worker's thread does not get on. Ticks are counted and not the clock: all of the process may have been stopped.
    private func isQuiet(_ running: inout Worker.Running, of worker: Worker, now: UInt64) -> Bool {
        guard age(of: running, now: now) > Self.blockedNanoseconds else { return false }
        let cpu = Clock.read(worker.cpuClock)
        if cpu &- running.quietCPU > Self.quietCPUNanoseconds {
            running.quietCPU = cpu
            running.quietNanoseconds = 0
        } else {
            running.quietNanoseconds += min(now &- lastTickNanoseconds, Self.tickNanoseconds)
        }
        return running.quietNanoseconds > Self.quietNanoseconds
    }

    /// Whether a turn had the time to heed its interrupt and has not; what is no turn never does. What counts is its thread's CPU time: one that the
    /// kernel does not run has not had any.
    private func isStalled(_ running: Worker.Running, of worker: Worker, now: UInt64) -> Bool {
        guard let since = running.preemptedAt else { return false }
        if running.isOwnWork { return true }
        guard now &- since > Self.stallNanoseconds else { return false }
        return now &- since > Self.blockedNanoseconds || Clock.read(worker.cpuClock) &- running.preemptedAtCPU > Self.stallNanoseconds
    }

    /// How long a slice has lasted; it may have begun while the ticker waited for a lock.
    private func age(of running: Worker.Running, now: UInt64) -> UInt64 { now > running.sliceStart ? now - running.sliceStart : 0 }

    /// A slice ends also when nobody waits: what it used is charged then, to the tenant and to the request that used it.
    private func isOver(_ running: Worker.Running, now: UInt64) -> Bool {
        cell.lock.withLock {
            let ran = age(of: running, now: now)
            return ran >= cell.queue.sliceNanoseconds || cell.shouldPreempt(running.isolate, ranNanoseconds: ran, now: now)
        }
    }

    /// When a slice that is over now has ended.
    private func sliceEnd(of running: Worker.Running, now: UInt64) -> UInt64 {
        min(now, running.sliceStart + cell.lock.withLock { cell.queue.sliceNanoseconds })
    }

    /// The CPU of turns that do suspend themselves is looked at by their worker, which knows for which request it was.
    private func doom(of isolate: TenantIsolate, worker: Worker, _ running: inout Worker.Running) -> ErrorCode? {
        if running.preemptedAt != nil || !cell.configuration.preempts {
            let cpu = Clock.read(worker.cpuClock)
            let first = running.cpuFirstSeen ?? cpu
            running.cpuFirstSeen = first
            if cpu &- first > running.remainingCPUNanoseconds { return .cpuLimit }
        }
        guard let memory = isolate.isolate?.memory else { return nil }
        return memory.bytes > memory.limitBytes + Self.memorySlackBytes ? .memoryLimit : nil
    }

    /// What V8 holds besides a tenant's own objects: the runtime's heap, code pages, half-empty pages.
    static let memorySlackBytes = 16 << 20

    /// With the worker's lock held.
    private func giveUp(_ worker: Worker) {
        guard let isolate = worker.running?.isolate else { return }
        let why = "a turn of \(isolate.version.tenant) does not end"
        if worker.abandonRunning() {
            cell.report(abandoned: isolate, isolate.doom ?? .cpuLimit, why)
        } else {
            cell.report(poison: why, version: isolate.version.id)
        }
    }
}

/// Where the ticker sleeps while no turn runs.
final class TickerSignal: @unchecked Sendable {
    private let lock = Lock()
    private let condition = Lock.Condition()
    private let isAsleep = Atomic<Bool>(false)

    /// Sleeps until `wake`, unless `stillIdle` says no after wakers can see that it is asleep.
    func sleep(while stillIdle: () -> Bool) {
        lock.withLock {
            isAsleep.store(true, ordering: .sequentiallyConsistent)
            while isAsleep.load(ordering: .sequentiallyConsistent), stillIdle() { condition.wait(lock) }
            isAsleep.store(false, ordering: .sequentiallyConsistent)
        }
    }

    func wake() {
        guard isAsleep.load(ordering: .sequentiallyConsistent) else { return }
        lock.withLock { isAsleep.store(false, ordering: .sequentiallyConsistent) }
        condition.signal()
    }
}
