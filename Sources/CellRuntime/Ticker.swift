import Synchronization
import Wire

/// The cell's clock thread. While turns run it looks at each running slice once a tick: over the slice and somebody else runnable, it asks
/// V8 for an interrupt; over the request's CPU or the isolate's memory, it ends the turn. When no worker has time for the socket, it reads it.
/// With nothing running it sleeps until a worker starts a turn.
final class Ticker: @unchecked Sendable {
    static let tickNanoseconds: UInt64 = 1_000_000
    /// Ticks without a running turn before it sleeps.
    private static let idleTicks = 20
    /// A turn that was told to end and has not after this long sits in a builtin that does not look: the cell must be replaced.
    private static let stuckNanoseconds: UInt64 = 10_000_000_000

    private unowned let cell: Cell
    private let workers: [Worker]
    private var isPoisoned = false

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
            Clock.sleep(nanoseconds: Self.tickNanoseconds)
            tick(now: Clock.monotonicNanoseconds)
        }
    }

    private func tick(now: UInt64) {
        pumpIfNobodyDoes(now: now)
        let othersWait = cell.runnableCount.load(ordering: .relaxed) > 0
        for worker in workers { look(at: worker, now: now, othersWait: othersWait) }
        if cell.socket.backlogBytes > 0 { cell.socket.flush() }
    }

    private func pumpIfNobodyDoes(now: UInt64) {
        cell.lock.lock()
        let takesOver = !cell.isPumping
        if takesOver { cell.isPumping = true }
        cell.lock.unlock()
        if takesOver { cell.receive() }
        cell.lock.lock()
        cell.collectDueTimers(now: now)
        if takesOver { cell.isPumping = false }
        if cell.waitingWorkers > 0, takesOver || !cell.runQueue.isEmpty { cell.idle.signal() }
        cell.lock.unlock()
    }

    private func look(at worker: Worker, now: UInt64, othersWait: Bool) {
        worker.lock.lock()
        defer { worker.lock.unlock() }
        worker.updateRunning { running in
            let isolate = running.isolate
            if let since = running.terminatedAt {
                if now &- since > Self.stuckNanoseconds { reportStuck(isolate) }
                return
            }
            if let request = isolate.turnRequest, !request.isKnownAsEntered, !request.isAnswered {
                request.isKnownAsEntered = true
                cell.socket.send(FrameHeader(.entered, length: 0, id: request.id))
            }
            if let doom = doom(of: isolate, worker: worker, cpuDeadline: running.cpuDeadline) {
                isolate.doom = doom
                running.terminatedAt = now
                isolate.isolate?.terminate()
            } else if othersWait, !running.isPreemptionRequested, now &- running.sliceStart >= cell.sliceNanoseconds,
                cell.configuration.preempts
            {
                running.isPreemptionRequested = true
                isolate.isolate?.preempt()
            }
        }
    }

    private func doom(of isolate: TenantIsolate, worker: Worker, cpuDeadline: UInt64) -> ErrorCode? {
        if Clock.read(worker.cpuClock) > cpuDeadline { return .cpuLimit }
        guard let memory = isolate.isolate?.memory else { return nil }
        return memory.pageBytes + memory.arrayBufferBytes > memory.limitBytes + Self.memorySlackBytes ? .memoryLimit : nil
    }

    /// What V8 holds besides a tenant's own objects: the runtime's heap, code pages, half-empty pages.
    private static let memorySlackBytes = 16 << 20

    private func reportStuck(_ isolate: TenantIsolate) {
        guard !isPoisoned else { return }
        isPoisoned = true
        cell.report(poison: "a turn of \(isolate.version.tenant) does not end", version: isolate.version.id)
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
        lock.withLock {
            isAsleep.store(false, ordering: .sequentiallyConsistent)
            condition.signal()
        }
    }
}
