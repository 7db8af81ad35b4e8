import Collections

/// How a `FairQueue` orders and slices. Times are nanoseconds of CPU time.
public struct FairQueueConfiguration: Sendable {
    /// Who of those that wait is run first.
    public enum Order: Sendable {
        /// Earliest eligible virtual deadline first.
        case fair
        /// In the order in which they became runnable, whatever they used: to compare with.
        case arrival
    }

    /// How it orders; the daemon's is `fair` unless turns run to their end.
    public var order = Order.fair
    /// A slice while few wait. The daemon's is `slice_us`.
    public var longestSliceNanoseconds: UInt64 = 2_000_000
    /// Slices do not shrink below this.
    public var shortestSliceNanoseconds: UInt64 = 500_000
    /// Slices shrink when a round through all that wait would take longer than this.
    public var roundNanoseconds: UInt64 = 20_000_000
    /// Nobody is preempted for another before it ran this long.
    public var granularityNanoseconds: UInt64 = 100_000
    /// What an entity asks for after it used up what it asked for when it woke. Longer than a slice and what it is overrun by.
    public var busyRequestNanoseconds: UInt64 = 4_000_000
    /// Who is farther ahead of its share than this, after a piece of work that could not be interrupted, does not move virtual time for the others.
    public var debtLimitNanoseconds: UInt64 = 10_000_000
    /// The lag that a tenant brings back from sleep is at most what it is owed in this time.
    public var creditLimitNanoseconds: UInt64 = 10_000_000

    /// As cells have it, but for what the daemon's `slice_us` and `preempt` say.
    public init() {}
}

/// The run queue: earliest eligible virtual deadline first (Stoica and Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995). Virtual time is
/// the average of the entities' own, by weight, as in Linux's fair class: what they are behind and ahead of it is nothing in sum, so that somebody
/// is always eligible, and who wakes at it is neither before nor behind those that ran all along.
///
/// Each entity asks for a piece of CPU time; it is eligible once virtual time has reached the entity's own, and its deadline is when the piece
/// should be had at its share. An entity that sleeps before a slice is over asks for as much as it used lately, which gives short turns early
/// deadlines without giving them more than their share. A CPU quota parks an entity until it has filled again.
///
/// Pure: time is a parameter. All operations take O(log n).
public struct FairQueue: Sendable {
    /// An entity of the queue; numbers are used again after `remove`.
    public typealias Slot = Int

    /// Virtual time is CPU nanoseconds over weight, with this many fractional bits.
    private static let fractionBits = 20
    /// What is charged at once at most, about 4.8 hours: it fits in 64 bits with the fraction.
    private static let longestCharge: UInt64 = 1 << 44

    private enum State: Sendable { case free, asleep, waiting, running, parked }

    private struct Entity: Sendable {
        var weight: Int64
        var quota: CPUQuota?
        var state = State.asleep
        /// Its own virtual time, and when the piece it asks for should be had.
        var virtualTime: Int128 = 0
        var deadline: Int128 = 0
        /// What it was behind when it went to sleep.
        var credit: Int128 = 0
        /// CPU time it asks for when it wakes: what it used between waking and sleeping, averaged.
        var requestNanoseconds: UInt64
        /// CPU time since it woke.
        var busyNanoseconds: UInt64 = 0
        /// By how much its virtual time was moved since it was charged last.
        var forgiven: Int128 = 0
        /// It is so far ahead that virtual time goes on without it.
        var isInDebt = false
        /// Tells its live entry in a heap from those of before.
        var stamp: UInt64 = 0
    }

    private struct Entry: Comparable, Sendable {
        var key: Int128
        var stamp: UInt64
        var slot: Slot
        static func < (a: Self, b: Self) -> Bool { a.key != b.key ? a.key < b.key : a.stamp < b.stamp }
        static func == (a: Self, b: Self) -> Bool { a.stamp == b.stamp }
    }

    /// Fixed; how long slices are at the moment, `sliceNanoseconds` says.
    public let configuration: FairQueueConfiguration
    private var entities: [Entity] = []
    private var free: [Slot] = []
    /// Of the entities that wait or run: the sum of their virtual times by weight.
    private var weightedTime: Int128 = 0
    /// Virtual time when the last of them went to sleep.
    private var idleTime: Int128 = 0
    /// Those that wait: by deadline when eligible, else by their virtual time.
    private var eligible = Heap<Entry>()
    private var early = Heap<Entry>()
    private var parked = DeadlineQueue<Slot>()
    /// Those that run, no more than there are workers.
    private var running: [Slot] = []
    private var stamp: UInt64 = 0
    /// Sum over those that wait or run.
    public private(set) var activeWeight: Int64 = 0
    /// Entities that wait to run; who runs, sleeps or is parked is not among them.
    public private(set) var waitingCount = 0

    /// Without entities.
    public init(_ configuration: FairQueueConfiguration = .init()) {
        self.configuration = configuration
        mutation = nil
    }

    /// Ways to break the algorithm, for tests that prove that its properties are looked at.
    enum Mutation: Sendable, CaseIterable {
        case weightsIgnored, lagUnbounded, deadlinesIgnored, usageForgotten, quotaForgotten, quotaHalved, parkedForGood, sliceConstant
    }

    private let mutation: Mutation?

    init(_ configuration: FairQueueConfiguration, mutation: Mutation?) {
        self.configuration = configuration
        self.mutation = mutation
    }

    private var virtualTime: Int128 { activeWeight > 0 ? weightedTime / Int128(activeWeight) : idleTime }

    /// An entity counts from now on.
    private mutating func join(_ slot: Slot) {
        activeWeight += entities[slot].weight
        weightedTime += entities[slot].virtualTime * Int128(entities[slot].weight)
    }

    /// An entity does not count any more.
    private mutating func leave(_ slot: Slot) {
        activeWeight -= entities[slot].weight
        weightedTime -= entities[slot].virtualTime * Int128(entities[slot].weight)
        if activeWeight == 0 { idleTime = max(idleTime, entities[slot].virtualTime) }
    }

    // MARK: Entities

    /// Makes an entity, asleep.
    /// - Parameter weight: its share among those that are active, at least 1.
    public mutating func add(weight: Int, quota: CPUQuota? = nil) -> Slot {
        precondition(weight >= 1, "a weight is at least 1")
        // A newcomer counts as short until it has shown otherwise.
        var entity = Entity(
            weight: mutation == .weightsIgnored ? 1 : Int64(weight), quota: mutation == .quotaForgotten ? nil : quota,
            requestNanoseconds: configuration.granularityNanoseconds)
        entity.virtualTime = virtualTime
        guard let slot = free.popLast() else {
            entities.append(entity)
            return entities.count - 1
        }
        entity.stamp = entities[slot].stamp
        entities[slot] = entity
        return slot
    }

    /// Forgets an entity that does not run.
    public mutating func remove(_ slot: Slot) {
        switch entities[slot].state {
        case .asleep: break
        case .waiting: leaveQueue(slot)
        case .parked: parked.remove(slot)
        case .free, .running: preconditionFailure("an entity is removed once, and not while it runs")
        }
        entities[slot].state = .free
        entities[slot].stamp = 0
        free.append(slot)
    }

    private mutating func leaveQueue(_ slot: Slot) {
        waitingCount -= 1
        if entities[slot].isInDebt { entities[slot].isInDebt = false } else { leave(slot) }
    }

    // MARK: Becoming runnable

    /// An entity that slept has something to do.
    /// - Parameter heedsQuota: false for what is not put off until its quota has filled, though charged.
    public mutating func wake(_ slot: Slot, now: UInt64, heedsQuota: Bool = true) {
        precondition(entities[slot].state == .asleep, "only who sleeps wakes")
        let floor = virtualTime - entities[slot].credit
        // What it had used ahead of its share is not forgiven, but virtual time passes it.
        if mutation != .lagUnbounded { entities[slot].virtualTime = max(entities[slot].virtualTime, floor) }
        entities[slot].busyNanoseconds = 0
        ask(slot, for: entities[slot].requestNanoseconds)
        join(slot)
        enqueue(slot, now: now, heedsQuota: heedsQuota)
    }

    /// An entity that ran has more to do.
    public mutating func yield(_ slot: Slot, now: UInt64) {
        precondition(entities[slot].state == .running, "only who runs yields")
        running.removeAll { $0 == slot }
        enqueue(slot, now: now)
    }

    /// An entity that ran has nothing to do.
    public mutating func sleep(_ slot: Slot) {
        precondition(entities[slot].state == .running, "only who runs goes to sleep")
        entities[slot].state = .asleep
        running.removeAll { $0 == slot }
        let limit = virtual(configuration.creditLimitNanoseconds, over: entities[slot].weight)
        // By virtual time without it, so that who comes back at once is where it was.
        leave(slot)
        entities[slot].credit = min(max(virtualTime - entities[slot].virtualTime, 0), limit)
        let average = (entities[slot].requestNanoseconds * 3 + entities[slot].busyNanoseconds) / 4
        entities[slot].requestNanoseconds = min(
            max(average, configuration.granularityNanoseconds), configuration.longestSliceNanoseconds)
    }

    private mutating func ask(_ slot: Slot, for nanoseconds: UInt64) {
        // Also who is behind: it is not urgent for that, and a short turn in between delays it by no more than that takes.
        entities[slot].deadline = max(entities[slot].virtualTime, virtualTime) + virtual(nanoseconds, over: entities[slot].weight)
    }

    private func urgency(_ slot: Slot) -> Int128 { mutation == .deadlinesIgnored ? 0 : entities[slot].deadline }

    private mutating func leaveIfInDebt(_ slot: Slot) {
        let entity = entities[slot]
        guard activeWeight > entity.weight, configuration.order == .fair else { return }
        let others = (weightedTime - entity.virtualTime * Int128(entity.weight)) / Int128(activeWeight - entity.weight)
        guard entity.virtualTime > others + virtual(configuration.debtLimitNanoseconds, over: entity.weight) else { return }
        leave(slot)
        entities[slot].isInDebt = true
    }

    private mutating func endDebt(_ slot: Slot) {
        guard entities[slot].isInDebt else { return }
        entities[slot].isInDebt = false
        join(slot)
    }

    private mutating func enqueue(_ slot: Slot, now: UInt64, heedsQuota: Bool = true) {
        if heedsQuota, let wait = entities[slot].quota?.nanosecondsUntilAllowed(now: now), wait > 0 {
            leave(slot)
            entities[slot].state = .parked
            return parked.set(slot, at: now &+ wait)
        }
        leaveIfInDebt(slot)
        stamp += 1
        entities[slot].stamp = stamp
        entities[slot].state = .waiting
        waitingCount += 1
        if configuration.order == .arrival {
            eligible.insert(Entry(key: 0, stamp: stamp, slot: slot))
        } else if entities[slot].virtualTime <= virtualTime {
            eligible.insert(Entry(key: urgency(slot), stamp: stamp, slot: slot))
        } else {
            early.insert(Entry(key: entities[slot].virtualTime, stamp: stamp, slot: slot))
        }
    }

    // MARK: Running

    /// Takes the entity to run next; nil when none is runnable.
    public mutating func next(now: UInt64) -> Slot? {
        release(now: now)
        while waitingCount > 0 {
            promote(until: virtualTime)
            // Where only those that run are eligible, whoever is next goes early: no worker is idle while somebody waits.
            let isEarly = eligible.isEmpty
            guard let entry = isEarly ? early.popMin() : eligible.popMin() else { preconditionFailure("who waits is in one of the heaps") }
            guard entities[entry.slot].stamp == entry.stamp, entities[entry.slot].state == .waiting else { continue }
            waitingCount -= 1
            endDebt(entry.slot)
            if isEarly { forgive(until: entities[entry.slot].virtualTime) }
            entities[entry.slot].state = .running
            running.append(entry.slot)
            return entry.slot
        }
        return nil
    }

    /// All who are behind run when somebody goes early: their weights say more than a worker each. What they are owed beyond a limit they cannot use;
    /// kept, it would keep virtual time back, and all that used the other workers would wait for whoever wakes at it.
    private mutating func forgive(until time: Int128) {
        for slot in running {
            let floor = time - virtual(configuration.creditLimitNanoseconds, over: entities[slot].weight)
            let missed = max(floor - entities[slot].virtualTime, 0)
            entities[slot].virtualTime += missed
            entities[slot].forgiven += missed
            weightedTime += missed * Int128(entities[slot].weight)
        }
    }

    /// Charges CPU time that a running entity used.
    public mutating func charge(_ slot: Slot, nanoseconds: UInt64, now: UInt64) {
        precondition(entities[slot].state == .running, "only who runs is charged")
        let used = min(nanoseconds, Self.longestCharge)
        // What it used since counts before what it missed.
        let ahead = mutation == .usageForgotten ? 0 : max(virtual(used, over: entities[slot].weight) - entities[slot].forgiven, 0)
        entities[slot].forgiven = 0
        entities[slot].virtualTime += ahead
        weightedTime += ahead * Int128(entities[slot].weight)
        entities[slot].busyNanoseconds &+= used
        entities[slot].quota?.charge(mutation == .quotaHalved ? used / 2 : used, now: now)
        // Each slice asks anew: a deadline that stayed until the piece is had would pass for who ran late, and short turns would wait behind it.
        if entities[slot].busyNanoseconds > entities[slot].requestNanoseconds { ask(slot, for: configuration.busyRequestNanoseconds) }
    }

    /// How long an entity that starts to run now may run while others wait.
    public var sliceNanoseconds: UInt64 {
        let share = mutation == .sliceConstant ? .max : configuration.roundNanoseconds / UInt64(waitingCount + 1)
        return min(max(share, configuration.shortestSliceNanoseconds), configuration.longestSliceNanoseconds)
    }

    /// Whether a running entity should make room: its slice is over and somebody waits, or somebody waits whose deadline is earlier.
    /// - Parameter nanoseconds: what it has run since it was last charged.
    public mutating func shouldPreempt(_ slot: Slot, ranNanoseconds nanoseconds: UInt64, now: UInt64) -> Bool {
        release(now: now)
        guard waitingCount > 0 else { return false }
        if nanoseconds >= sliceNanoseconds { return true }
        guard configuration.order == .fair, nanoseconds >= configuration.granularityNanoseconds else { return false }
        promote(until: virtualTime + virtual(nanoseconds, over: activeWeight))
        while let first = eligible.min, entities[first.slot].stamp != first.stamp || entities[first.slot].state != .waiting {
            eligible.removeMin()
        }
        guard let first = eligible.min else { return false }
        return first.key < entities[slot].deadline
    }

    private mutating func promote(until time: Int128) {
        while let first = early.min, first.key <= time {
            early.removeMin()
            guard entities[first.slot].stamp == first.stamp, entities[first.slot].state == .waiting else { continue }
            endDebt(first.slot)
            eligible.insert(Entry(key: urgency(first.slot), stamp: first.stamp, slot: first.slot))
        }
    }

    // MARK: Quotas

    /// Puts those back whose quota has filled.
    private mutating func release(now: UInt64) {
        while mutation != .parkedForGood, let slot = parked.popDue(at: now) {
            // Nobody is owed for the time its quota forbade it to run.
            entities[slot].virtualTime = max(entities[slot].virtualTime, virtualTime)
            ask(slot, for: configuration.busyRequestNanoseconds)
            join(slot)
            enqueue(slot, now: now)
        }
    }

    /// When the next parked entity may run again; nil without one.
    public mutating func nextReleaseNanoseconds() -> UInt64? { parked.nextDeadline() }

    /// How long an entity's quota takes to fill until it may run; 0 when it may.
    public mutating func quotaWaitNanoseconds(_ slot: Slot, now: UInt64) -> UInt64 {
        entities[slot].quota?.nanosecondsUntilAllowed(now: now) ?? 0
    }

    // MARK: For tests and metrics

    /// Whether an entity waits or runs.
    func isActive(_ slot: Slot) -> Bool { entities[slot].state == .waiting || entities[slot].state == .running }

    /// How far an entity is behind (positive) or ahead of its share, in nanoseconds of CPU time.
    public func lagNanoseconds(of slot: Slot) -> Double {
        Double(virtualTime - entities[slot].virtualTime) * Double(entities[slot].weight) / Double(1 << Self.fractionBits)
    }

    private func virtual(_ nanoseconds: UInt64, over weight: Int64) -> Int128 {
        Int128((nanoseconds << UInt64(Self.fractionBits)) / UInt64(max(weight, 1)))
    }
}
