import Collections
import Foundation

@testable import Scheduling

/// What must hold broke.
struct InvariantViolation: Error, CustomStringConvertible {
    var invariant: Invariant
    var description: String
    init(_ invariant: Invariant, _ what: String) {
        self.invariant = invariant
        description = "\(invariant): \(what)"
    }
}

enum Invariant: Sendable { case workConservation, starvation, shares, quota, lag, oneAnswer, limits }

/// A machine of `workers` threads that runs simulated tenants by a `FairQueue` behind an `Admission`, as cells do: slices, preemption for an
/// earlier deadline, hand-off of stuck workers, cells' loss. Deterministic: everything follows from the seed.
struct SchedulerSimulation {
    struct Tenant {
        var weight: Int
        var quotaMilliseconds: Int?
        /// Mean time between requests; nil: another comes whenever one has ended (always something to do).
        var meanIntervalNanoseconds: UInt64?
        var meanServiceNanoseconds: UInt64
        var slot: FairQueue.Slot = 0
        /// Requests that were admitted, with what is left of each.
        var inbox = Deque<(id: Int, left: UInt64)>()
        var used: UInt64 = 0
        var waitingSince: UInt64?
        var isRunning = false
        /// Its place in the admission.
        var place = 0
        var admission: TenantAdmission
    }

    struct Worker {
        var tenant: Int?
        var started: UInt64 = 0
        var stamp = 0
        /// It sits in a builtin until then.
        var stuckUntil: UInt64 = 0
    }

    enum Event {
        case arrival(Int)
        /// A worker looks up: its request is done or its slice is over. With the stamp of the run.
        case look(Int, Int)
        case release
        case cellLost
        case window
    }

    private struct Timed: Comparable {
        var time: UInt64
        var sequence: Int
        var event: Event
        static func < (a: Self, b: Self) -> Bool { (a.time, a.sequence) < (b.time, b.sequence) }
        static func == (a: Self, b: Self) -> Bool { a.sequence == b.sequence }
    }

    /// How long a builtin that does not look keeps its worker.
    private static let stuckNanoseconds: UInt64 = 10_000_000

    private enum Outcome { case open, answered, refused, lost }

    private(set) var random: SplitMix64
    private(set) var queue: FairQueue
    private var admission = Admission(AdmissionLimits(machineConcurrency: 60, cellConcurrency: 40, machineQueue: 50))
    private(set) var tenants: [Tenant]
    private var workers: [Worker]
    private var events = Heap<Timed>()
    private var sequence = 0
    private(set) var now: UInt64 = 0
    private(set) var eventCount = 0
    private var outcomes: [Outcome] = []
    private var tenantOf: [Int] = []
    private var bySlot: [Int: Int] = [:]
    private let faults: Bool
    private let checksLag: Bool
    private var usedAtWindow: [UInt64] = []

    init(seed: UInt64, workers: Int, tenants: [Tenant], faults: Bool = false, checksLag: Bool = false, mutation: FairQueue.Mutation? = nil)
    {
        random = SplitMix64(seed: seed)
        queue = FairQueue(FairQueueConfiguration(), mutation: mutation)
        self.tenants = tenants
        self.workers = Array(repeating: Worker(), count: workers)
        self.faults = faults
        self.checksLag = checksLag
        let cells = [admission.addCell(), admission.addCell()]
        for index in tenants.indices {
            self.tenants[index].place = admission.addTenant(tenants[index].admission, in: cells[index % 2])
            let quota = tenants[index].quotaMilliseconds.map { CPUQuota(millisecondsPerSecond: $0, now: 0) }
            self.tenants[index].slot = queue.add(weight: tenants[index].weight, quota: quota)
            bySlot[self.tenants[index].slot] = index
            at(random.next() % 1_000_000, .arrival(index))
        }
        if faults { at(200_000_000, .cellLost) }
    }

    private mutating func at(_ time: UInt64, _ event: Event) {
        sequence += 1
        events.insert(Timed(time: time, sequence: sequence, event: event))
    }

    /// Exponentially distributed, at least one.
    private mutating func exponential(_ mean: UInt64) -> UInt64 {
        let uniform = (Double(random.next() >> 11) + 1) / Double(UInt64(1) << 53)
        return max(1, UInt64(-log(uniform) * Double(mean)))
    }

    // MARK: Running

    mutating func run(events count: Int) throws {
        while eventCount < count, let next = events.popMin() {
            now = next.time
            eventCount += 1
            switch next.event {
            case .arrival(let tenant): try arrive(tenant)
            case .look(let worker, let stamp): if workers[worker].stamp == stamp { try look(worker) }
            case .release: break
            case .cellLost: try loseCell()
            case .window: break
            }
            try dispatch()
            try check()
        }
    }

    private mutating func arrive(_ index: Int) throws {
        let id = outcomes.count
        outcomes.append(.open)
        tenantOf.append(index)
        if let interval = tenants[index].meanIntervalNanoseconds { at(now + exponential(interval), .arrival(index)) }
        switch admission.offer(UInt64(id), of: tenants[index].place) {
        case .start: begin(id, index)
        case .wait(let shed): if let shed { try end(Int(shed), .refused) }
        case .refuse: try end(id, .refused)
        }
        startWaiting()
        let (running, waiting) = (admission.running(of: tenants[index].place), admission.waiting(of: tenants[index].place))
        guard running <= tenants[index].admission.concurrency, waiting <= tenants[index].admission.queue,
            admission.running <= admission.limits.machineConcurrency, admission.waiting <= admission.limits.machineQueue
        else {
            throw InvariantViolation(
                .limits, "\(running) run and \(waiting) wait; on the machine \(admission.running) and \(admission.waiting)")
        }
        let held = tenants.reduce(0) { $0 + $1.inbox.count }
        if held != admission.running { throw InvariantViolation(.limits, "\(held) requests run, \(admission.running) are counted") }
    }

    private mutating func startWaiting() {
        while let request = admission.next()?.request { begin(Int(request), tenantOf[Int(request)]) }
    }

    private mutating func begin(_ id: Int, _ index: Int) {
        let wasIdle = tenants[index].inbox.isEmpty && !tenants[index].isRunning
        tenants[index].inbox.append((id, exponential(tenants[index].meanServiceNanoseconds)))
        guard wasIdle else { return }
        queue.wake(tenants[index].slot, now: now)
        tenants[index].waitingSince = now
    }

    private mutating func end(_ id: Int, _ outcome: Outcome) throws {
        guard outcomes[id] == .open else { throw InvariantViolation(.oneAnswer, "request \(id) ended twice") }
        outcomes[id] = outcome
    }

    private mutating func look(_ worker: Int) throws {
        guard let index = workers[worker].tenant, now >= workers[worker].stuckUntil else { return }
        try stop(worker, index)
    }

    /// Ends a worker's slice: what it used is charged, requests that are done are answered.
    private mutating func stop(_ worker: Int, _ index: Int) throws {
        var used = now - workers[worker].started
        let charged = used
        workers[worker].tenant = nil
        workers[worker].stamp += 1
        tenants[index].isRunning = false
        tenants[index].used += used
        while let first = tenants[index].inbox.first, used > 0 {
            guard first.left <= used else {
                tenants[index].inbox[0].left -= used
                break
            }
            used -= first.left
            tenants[index].inbox.removeFirst()
            try end(first.id, .answered)
            admission.ended(tenants[index].place, in: admission.cell(of: tenants[index].place))
            if tenants[index].meanIntervalNanoseconds == nil { at(now, .arrival(index)) }
        }
        queue.charge(tenants[index].slot, nanoseconds: charged, now: now)
        if tenants[index].inbox.isEmpty {
            queue.sleep(tenants[index].slot)
            tenants[index].waitingSince = nil
        } else {
            queue.yield(tenants[index].slot, now: now)
            tenants[index].waitingSince = now
        }
        startWaiting()
    }

    private mutating func dispatch() throws {
        // Whoever waits with an earlier deadline takes a place.
        for worker in workers.indices {
            guard let index = workers[worker].tenant, now >= workers[worker].stuckUntil, now > workers[worker].started else { continue }
            if queue.shouldPreempt(tenants[index].slot, ranNanoseconds: now - workers[worker].started, now: now) { try stop(worker, index) }
        }
        for worker in workers.indices where workers[worker].tenant == nil {
            guard let slot = queue.next(now: now), let index = bySlot[slot] else { break }
            workers[worker].tenant = index
            workers[worker].started = now
            workers[worker].stamp += 1
            tenants[index].isRunning = true
            tenants[index].waitingSince = nil
            var length = min(queue.sliceNanoseconds, tenants[index].inbox.first?.left ?? 1)
            if faults, random.next() % 500 == 0 {
                // A builtin that does not look: the worker is away for a while.
                length = max(length, Self.stuckNanoseconds)
                workers[worker].stuckUntil = now + length
            }
            at(now + max(length, 1), .look(worker, workers[worker].stamp))
        }
        if let release = queue.nextReleaseNanoseconds(), release > now { at(release, .release) }
    }

    /// Everything that runs is lost, and answered so; tenants are free to start again.
    private mutating func loseCell() throws {
        at(now + 100_000_000 + random.next() % 200_000_000, .cellLost)
        for worker in workers.indices {
            guard let index = workers[worker].tenant else { continue }
            workers[worker].tenant = nil
            workers[worker].stamp += 1
            workers[worker].stuckUntil = 0
            tenants[index].isRunning = false
            let used = now - workers[worker].started
            tenants[index].used += used
            queue.charge(tenants[index].slot, nanoseconds: used, now: now)
            let held = tenants[index].inbox
            tenants[index].inbox = []
            queue.sleep(tenants[index].slot)
            tenants[index].waitingSince = nil
            // A tenant that lost its cell comes back as a new entity.
            queue.remove(tenants[index].slot)
            bySlot[tenants[index].slot] = nil
            let quota = tenants[index].quotaMilliseconds.map { CPUQuota(millisecondsPerSecond: $0, now: now) }
            tenants[index].slot = queue.add(weight: tenants[index].weight, quota: quota)
            bySlot[tenants[index].slot] = index
            for request in held {
                try end(request.id, .lost)
                admission.ended(tenants[index].place, in: admission.cell(of: tenants[index].place))
                if tenants[index].meanIntervalNanoseconds == nil { at(now, .arrival(index)) }
            }
        }
        startWaiting()
    }

    // MARK: Invariants

    private func check() throws {
        if queue.waitingCount > 0, workers.contains(where: { $0.tenant == nil }) {
            throw InvariantViolation(.workConservation, "a worker is idle while \(queue.waitingCount) wait")
        }
        // The rest is looked at now and then: it changes slowly.
        guard eventCount % 64 == 0 else { return }
        for index in tenants.indices {
            let tenant = tenants[index]
            if let since = tenant.waitingSince, tenant.quotaMilliseconds == nil {
                let turns = Double(tenants.reduce(0) { $0 + $1.weight }) / Double(tenant.weight) + Double(tenants.count)
                let longest = faults ? Self.stuckNanoseconds : queue.configuration.longestSliceNanoseconds
                let limit = 2 * turns * Double(longest) + 200_000_000
                if Double(now - since) > limit {
                    throw InvariantViolation(.starvation, "tenant \(index) waits for \((now - since) / 1_000_000) ms")
                }
            }
            if let quota = tenant.quotaMilliseconds, !faults {
                let allowed = UInt64(quota) * 1_000_000 + now / 1000 * UInt64(quota) + 2 * queue.configuration.longestSliceNanoseconds
                if tenant.used > allowed { throw InvariantViolation(.quota, "tenant \(index) used \(tenant.used) of \(allowed) ns") }
            }
            if checksLag, workers.count == 1 {
                let lag = queue.lagNanoseconds(of: tenant.slot)
                let bound = Double(2 * queue.configuration.longestSliceNanoseconds + queue.configuration.creditLimitNanoseconds)
                if tenant.waitingSince != nil || tenant.isRunning, abs(lag) > bound * 2 {
                    throw InvariantViolation(.lag, "tenant \(index) lags by \(lag / 1e6) ms")
                }
            }
        }
    }

    /// Every request that is not in an inbox or a queue has ended.
    func checkAnswers() throws {
        let open = outcomes.filter { $0 == .open }.count
        let held = tenants.reduce(0) { $0 + $1.inbox.count } + admission.waiting
        guard open == held else { throw InvariantViolation(.oneAnswer, "\(open) requests are open, \(held) are held") }
    }

    mutating func startWindow() { usedAtWindow = tenants.map(\.used) }

    /// The largest difference of what tenants got since `startWindow` from what their weights say, as a part of that.
    func largestShareError(among indices: [Int]) -> Double {
        let used = indices.map { Double(tenants[$0].used - usedAtWindow[$0]) }
        let total = used.reduce(0, +)
        let weights = indices.map { Double(tenants[$0].weight) }
        let weight = weights.reduce(0, +)
        return zip(used, weights).map { abs($0 / total - $1 / weight) / ($1 / weight) }.max() ?? 0
    }
}
