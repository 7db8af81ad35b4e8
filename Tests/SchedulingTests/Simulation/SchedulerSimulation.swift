import Collections
import Foundation

@testable import Scheduling

/// A machine of `workers` threads that runs simulated tenants by a `FairQueue` behind an `Admission`, as cells do: slices, preemption for an
/// earlier deadline, hand-off of stuck workers, cells' loss; tenants that move, change, come and go while requests of theirs wait, and requests
/// that are given up. Deterministic: everything follows from the seed.
struct SchedulerSimulation {
    struct Tenant {
        var weight: Int
        var quotaMilliseconds: Int?
        /// Mean time between requests; nil: another comes whenever one has ended (always something to do).
        var meanIntervalNanoseconds: UInt64?
        var meanServiceNanoseconds: UInt64
        var admission: TenantAdmission

        var slot: FairQueue.Slot = 0
        var quota: QuotaModel?
        /// Requests that were admitted, with what is left of each.
        var inbox = Deque<(id: Int, left: UInt64)>()
        var used: UInt64 = 0
        /// Since when it waits for a worker and its quota lets it run.
        var runnableSince: UInt64?
        var isRunning = false
        /// Its place in the admission, and since when it is parked there until when.
        var place = 0
        var cell = 0
        var parkedUntil: UInt64?
        /// What it had used when the window began, and whether it had something to do ever since.
        var usedBefore: UInt64 = 0
        var isBusy = false
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
        /// Somebody's quota has filled, in the queue and in the admission.
        case release
        case unpark(Int)
        case cancel(Int)
        case change
        case cellLost
        case window
    }

    struct Timed: Comparable {
        var time: UInt64
        var sequence: Int
        var event: Event
        static func < (a: Self, b: Self) -> Bool { (a.time, a.sequence) < (b.time, b.sequence) }
        static func == (a: Self, b: Self) -> Bool { a.sequence == b.sequence }
    }

    struct Request {
        var tenant: Int
        var place: Int
        /// Where it runs.
        var cell: Int?
        var isOpen = true
    }

    /// What goes wrong.
    struct Faults: OptionSet {
        let rawValue: Int
        static let stuckWorkers = Faults(rawValue: 1)
        static let lostCells = Faults(rawValue: 2)
        /// Tenants move, change, come and go, and requests are given up.
        static let churn = Faults(rawValue: 4)
        static let all: Faults = [.stuckWorkers, .lostCells, .churn]
    }

    /// What a run should have seen often.
    enum Happening: CaseIterable { case waited, shed, cancelled, movedWaiting, weighedWaiting, removedWaiting, parked, lost, stuck }

    struct Mutations {
        var queue: FairQueue.Mutation?
        var admission: Admission.Mutation?
    }

    /// How long a builtin that does not look keeps its worker.
    static let stuckNanoseconds: UInt64 = 10_000_000

    let seed: UInt64
    var random: SplitMix64
    var queue: FairQueue
    var admission: Admission
    var model: AdmissionModel
    var tenants: [Tenant]
    var workers: [Worker]
    var cells: [Int] = []
    var events = Heap<Timed>()
    var sequence = 0
    var now: UInt64 = 0
    var eventCount = 0
    var requests: [Request] = []
    var openCount = 0
    var bySlot: [Int: Int] = [:]
    let faults: Faults
    /// Shares are looked at over so long.
    let windowNanoseconds: UInt64
    var windowStart: UInt64 = 0
    var happened: [Happening: Int] = [:]
    /// Shares that were compared, and the largest error of one, in parts of the share.
    var sharesChecked = 0
    var largestShareError = 0.0

    init(
        seed: UInt64, workers: Int, tenants: [Tenant],
        limits: AdmissionLimits = AdmissionLimits(machineConcurrency: 60, cellConcurrency: 40, machineQueue: 50), faults: Faults = [],
        window: UInt64 = 2_000_000_000, mutations: Mutations = Mutations()
    ) throws {
        self.seed = seed
        random = SplitMix64(seed: seed)
        queue = FairQueue(FairQueueConfiguration(), mutation: mutations.queue)
        admission = Admission(limits, mutation: mutations.admission)
        model = AdmissionModel(limits)
        self.tenants = tenants
        self.workers = Array(repeating: Worker(), count: workers)
        self.faults = faults
        windowNanoseconds = window
        for _ in 0..<3 { cells.append(addCell()) }
        for index in tenants.indices {
            try enter(index)
            makeEntity(index)
            // Enough to have something to do also while one ends.
            let own = tenants[index].admission
            let first = tenants[index].meanIntervalNanoseconds == nil ? min(own.concurrency + own.queue, 3) : 1
            for _ in 0..<first { at(random.next() % 1_000_000, .arrival(index)) }
        }
        if faults.contains(.lostCells) { at(200_000_000, .cellLost) }
        if faults.contains(.churn) { at(1_000_000, .change) }
        at(100_000_000, .window)
    }

    mutating func at(_ time: UInt64, _ event: Event) {
        sequence += 1
        events.insert(Timed(time: time, sequence: sequence, event: event))
    }

    /// Exponentially distributed, at least one.
    mutating func exponential(_ mean: UInt64) -> UInt64 {
        let uniform = (Double(random.next() >> 11) + 1) / Double(UInt64(1) << 53)
        return max(1, UInt64(-log(uniform) * Double(mean)))
    }

    mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    // MARK: Running

    mutating func run(events count: Int) throws {
        do { try step(until: count) } catch var violation as InvariantViolation {
            (violation.seed, violation.event) = (seed, eventCount)
            throw violation
        }
    }

    private mutating func step(until count: Int) throws {
        while eventCount < count, let next = events.popMin() {
            now = next.time
            eventCount += 1
            switch next.event {
            case .arrival(let tenant): try arrive(tenant)
            case .look(let worker, let stamp): if workers[worker].stamp == stamp { try look(worker) }
            case .release: break
            case .unpark(let tenant): unpark(tenant)
            case .cancel(let id): try cancel(id)
            case .change: try change()
            case .cellLost: try loseCell()
            case .window: try endWindow()
            }
            try startWaiting()
            try dispatch()
            try check()
        }
    }

    mutating func arrive(_ index: Int) throws {
        if let interval = tenants[index].meanIntervalNanoseconds { at(now + exponential(interval), .arrival(index)) }
        // As the supervisor does, a tenant whose cell is gone moves when it is heard of again.
        if tenants[index].cell != Admission.nowhere, !cells.contains(tenants[index].cell) { update(index, in: cells[below(cells.count)]) }
        let id = requests.count
        let place = tenants[index].place
        requests.append(Request(tenant: index, place: place))
        openCount += 1
        let verdict = admission.offer(UInt64(id), of: place)
        try model.offered(id, place, verdict)
        switch verdict {
        case .start: begin(id, in: tenants[index].cell)
        case .wait(let shed):
            happened[.waited, default: 0] += 1
            if let shed {
                happened[.shed, default: 0] += 1
                try end(Int(shed))
            }
            if faults.contains(.churn), below(8) == 0 { at(now + exponential(5_000_000), .cancel(id)) }
        case .refuse: try end(id)
        }
        try model.check(admission, place: place)
    }

    mutating func startWaiting() throws {
        while let (request, cell) = admission.next() {
            let id = Int(request)
            try model.startedWaiting(id, requests[id].place, in: cell)
            begin(id, in: cell)
        }
    }

    mutating func begin(_ id: Int, in cell: Int) {
        let index = requests[id].tenant
        requests[id].cell = cell
        tenants[index].inbox.append((id, exponential(tenants[index].meanServiceNanoseconds)))
        if tenants[index].inbox.count == 1, !tenants[index].isRunning { wake(index) }
    }

    mutating func wake(_ index: Int) {
        queue.wake(tenants[index].slot, now: now)
        waits(index)
    }

    /// It stands in the queue, or is parked there: who was told so lets its requests wait in the admission.
    mutating func waits(_ index: Int) {
        tenants[index].runnableSince = tenants[index].quota?.allowedAt(now: now) ?? now
        guard tenants[index].quota != nil, tenants[index].parkedUntil == nil else { return }
        let wait = queue.quotaWaitNanoseconds(tenants[index].slot, now: now)
        if wait > 0 { park(index, until: now + wait) }
    }

    mutating func park(_ index: Int, until time: UInt64) {
        happened[.parked, default: 0] += 1
        tenants[index].parkedUntil = time
        setParked(index, true)
        at(time, .unpark(index))
    }

    mutating func unpark(_ index: Int) {
        guard let until = tenants[index].parkedUntil, until <= now else { return }
        tenants[index].parkedUntil = nil
        setParked(index, false)
    }

    mutating func setParked(_ index: Int, _ isParked: Bool) {
        admission.setParked(tenants[index].place, isParked)
        model.setParked(tenants[index].place, isParked)
    }

    /// A request has its answer.
    mutating func end(_ id: Int) throws {
        guard requests[id].isOpen else { throw InvariantViolation(.oneAnswer, "request \(id) ended twice") }
        requests[id].isOpen = false
        openCount -= 1
        let index = requests[id].tenant
        if let cell = requests[id].cell {
            admission.ended(requests[id].place, in: cell)
            model.ended(requests[id].place, in: cell)
        }
        // Who was refused tries again later.
        guard tenants[index].meanIntervalNanoseconds == nil else { return }
        at(requests[id].cell == nil ? now + exponential(1_000_000) : now, .arrival(index))
    }

    mutating func look(_ worker: Int) throws {
        guard let index = workers[worker].tenant, now >= workers[worker].stuckUntil else { return }
        try stop(worker, index)
    }

    /// Ends a worker's slice: what it used is charged, requests that are done are answered.
    mutating func stop(_ worker: Int, _ index: Int) throws {
        var used = now - workers[worker].started
        charge(worker, index)
        while let first = tenants[index].inbox.first, used > 0 {
            guard first.left <= used else {
                tenants[index].inbox[0].left -= used
                break
            }
            used -= first.left
            tenants[index].inbox.removeFirst()
            try end(first.id)
        }
        if tenants[index].inbox.isEmpty {
            queue.sleep(tenants[index].slot)
            tenants[index].isBusy = false
        } else {
            queue.yield(tenants[index].slot, now: now)
            waits(index)
        }
    }

    mutating func charge(_ worker: Int, _ index: Int) {
        let used = now - workers[worker].started
        workers[worker].tenant = nil
        workers[worker].stamp += 1
        tenants[index].isRunning = false
        tenants[index].used += used
        tenants[index].quota?.charge(used, now: now)
        queue.charge(tenants[index].slot, nanoseconds: used, now: now)
    }

    mutating func dispatch() throws {
        // Whoever waits with an earlier deadline takes a place.
        for worker in workers.indices {
            guard let index = workers[worker].tenant, now >= workers[worker].stuckUntil, now > workers[worker].started else { continue }
            if queue.shouldPreempt(tenants[index].slot, ranNanoseconds: now - workers[worker].started, now: now) { try stop(worker, index) }
        }
        try startWaiting()
        for worker in workers.indices where workers[worker].tenant == nil {
            guard let slot = queue.next(now: now), let index = bySlot[slot] else { break }
            try checkQuota(index)
            workers[worker].tenant = index
            workers[worker].started = now
            workers[worker].stamp += 1
            tenants[index].isRunning = true
            tenants[index].runnableSince = nil
            let slice = queue.sliceNanoseconds
            if eventCount % 4 == 0 { try check(slice: slice) }
            var length = min(slice, tenants[index].inbox.first?.left ?? 1)
            if faults.contains(.stuckWorkers), below(500) == 0 {
                // A builtin that does not look: the worker is away for a while.
                happened[.stuck, default: 0] += 1
                length = max(length, Self.stuckNanoseconds)
                workers[worker].stuckUntil = now + length
            }
            at(now + max(length, 1), .look(worker, workers[worker].stamp))
        }
        if let release = queue.nextReleaseNanoseconds(), release > now { at(release, .release) }
    }
}
