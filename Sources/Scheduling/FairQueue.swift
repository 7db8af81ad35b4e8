import Collections

/// How a `FairQueue` orders and slices. Times are nanoseconds of CPU time.
public struct FairQueueConfiguration: Sendable {
    public enum Order: Sendable {
        /// Earliest eligible virtual deadline first.
        case fair
        /// In the order in which they became runnable, whatever they used: to compare with.
        case arrival
    }

    public var order = Order.fair
    /// A slice while few wait.
    public var longestSliceNanoseconds: UInt64 = 2_000_000
    /// Slices do not shrink below this.
    public var shortestSliceNanoseconds: UInt64 = 500_000
    /// Slices shrink when a round through all that wait would take longer than this.
    public var roundNanoseconds: UInt64 = 20_000_000
    /// Nobody is preempted for another before it ran this long.
    public var granularityNanoseconds: UInt64 = 100_000
    /// What an entity asks for after it used up what it asked for when it woke. Longer than a slice and what it is overrun by.
    public var busyRequestNanoseconds: UInt64 = 4_000_000
    /// The lag that a tenant brings back from sleep is at most what it is owed in this time.
    public var creditLimitNanoseconds: UInt64 = 10_000_000

    public init() {}
}

/// The run queue: earliest eligible virtual deadline first (Stoica and Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995) with the
/// virtual time of WF²Q+ (Bennett and Zhang, 1997), which never stands behind everybody that waits, so that somebody is always eligible.
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

    public let configuration: FairQueueConfiguration
    private var entities: [Entity] = []
    private var free: [Slot] = []
    private var virtualTime: Int128 = 0
    /// Those that wait: by deadline when eligible, else by their virtual time.
    private var eligible = Heap<Entry>()
    private var early = Heap<Entry>()
    private var parked = DeadlineQueue<Slot>()
    private var stamp: UInt64 = 0
    /// Sum over those that wait or run.
    public private(set) var activeWeight: Int64 = 0
    public private(set) var waitingCount = 0

    public init(_ configuration: FairQueueConfiguration = .init()) {
        self.configuration = configuration
        mutation = nil
    }

    /// Ways to break the algorithm, for tests that prove that its properties are looked at.
    enum Mutation: Sendable, CaseIterable {
        case weightsIgnored, lagUnbounded, deadlinesIgnored, usageForgotten, quotaForgotten
    }

    private let mutation: Mutation?

    init(_ configuration: FairQueueConfiguration, mutation: Mutation?) {
        self.configuration = configuration
        self.mutation = mutation
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
        activeWeight -= entities[slot].weight
    }

    // MARK: Becoming runnable

    /// An entity that slept has something to do.
    public mutating func wake(_ slot: Slot, now: UInt64) {
        precondition(entities[slot].state == .asleep, "only who sleeps wakes")
        let floor = virtualTime - entities[slot].credit
        // What it had used ahead of its share is not forgiven, but virtual time passes it.
        if mutation != .lagUnbounded { entities[slot].virtualTime = max(entities[slot].virtualTime, floor) }
        entities[slot].busyNanoseconds = 0
        ask(slot, for: entities[slot].requestNanoseconds)
        activeWeight += entities[slot].weight
        enqueue(slot, now: now)
    }

    /// An entity that ran has more to do.
    public mutating func yield(_ slot: Slot, now: UInt64) {
        precondition(entities[slot].state == .running, "only who runs yields")
        enqueue(slot, now: now)
    }

    /// An entity that ran has nothing to do.
    public mutating func sleep(_ slot: Slot) {
        precondition(entities[slot].state == .running, "only who runs goes to sleep")
        activeWeight -= entities[slot].weight
        entities[slot].state = .asleep
        let limit = virtual(configuration.creditLimitNanoseconds, over: entities[slot].weight)
        entities[slot].credit = min(max(virtualTime - entities[slot].virtualTime, 0), limit)
        let average = (entities[slot].requestNanoseconds * 3 + entities[slot].busyNanoseconds) / 4
        entities[slot].requestNanoseconds = min(
            max(average, configuration.granularityNanoseconds), configuration.longestSliceNanoseconds)
    }

    private mutating func ask(_ slot: Slot, for nanoseconds: UInt64) {
        entities[slot].deadline = entities[slot].virtualTime + virtual(nanoseconds, over: entities[slot].weight)
    }

    private func urgency(_ slot: Slot) -> Int128 { mutation == .deadlinesIgnored ? 0 : entities[slot].deadline }

    private mutating func enqueue(_ slot: Slot, now: UInt64) {
        if let wait = entities[slot].quota?.nanosecondsUntilAllowed(now: now), wait > 0 {
            activeWeight -= entities[slot].weight
            entities[slot].state = .parked
            return parked.set(slot, at: now &+ wait)
        }
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
            guard let entry = eligible.popMin() else {
                guard let first = early.min else { preconditionFailure("who waits is in one of the heaps") }
                virtualTime = max(virtualTime, first.key)
                continue
            }
            guard entities[entry.slot].stamp == entry.stamp, entities[entry.slot].state == .waiting else { continue }
            waitingCount -= 1
            entities[entry.slot].state = .running
            return entry.slot
        }
        return nil
    }

    /// Charges CPU time that a running entity used.
    public mutating func charge(_ slot: Slot, nanoseconds: UInt64, now: UInt64) {
        precondition(entities[slot].state == .running, "only who runs is charged")
        let used = min(nanoseconds, Self.longestCharge)
        virtualTime += virtual(used, over: activeWeight)
        if mutation != .usageForgotten { entities[slot].virtualTime += virtual(used, over: entities[slot].weight) }
        entities[slot].busyNanoseconds &+= used
        entities[slot].quota?.charge(used, now: now)
        // Each slice asks anew: a deadline that stayed until the piece is had would pass for who ran late, and short turns would wait behind it.
        if entities[slot].busyNanoseconds > entities[slot].requestNanoseconds { ask(slot, for: configuration.busyRequestNanoseconds) }
    }

    /// How long an entity that starts to run now may run while others wait.
    public var sliceNanoseconds: UInt64 {
        let share = configuration.roundNanoseconds / UInt64(waitingCount + 1)
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
            eligible.insert(Entry(key: urgency(first.slot), stamp: first.stamp, slot: first.slot))
        }
    }

    // MARK: Quotas

    /// Puts those back whose quota has filled.
    private mutating func release(now: UInt64) {
        while let slot = parked.popDue(at: now) {
            activeWeight += entities[slot].weight
            // Nobody is owed for the time its quota forbade it to run.
            entities[slot].virtualTime = max(entities[slot].virtualTime, virtualTime)
            ask(slot, for: configuration.busyRequestNanoseconds)
            enqueue(slot, now: now)
        }
    }

    /// When the next parked entity may run again; nil without one.
    public mutating func nextReleaseNanoseconds() -> UInt64? { parked.nextDeadline() }

    public var parkedCount: Int { parked.count }

    /// How long an entity's quota takes to fill until it may run; 0 when it may.
    public mutating func quotaWaitNanoseconds(_ slot: Slot, now: UInt64) -> UInt64 {
        entities[slot].quota?.nanosecondsUntilAllowed(now: now) ?? 0
    }

    // MARK: For tests and metrics

    /// How far an entity is behind (positive) or ahead of its share, in nanoseconds of CPU time.
    public func lagNanoseconds(of slot: Slot) -> Double {
        Double(virtualTime - entities[slot].virtualTime) * Double(entities[slot].weight) / Double(1 << Self.fractionBits)
    }

    private func virtual(_ nanoseconds: UInt64, over weight: Int64) -> Int128 {
        Int128((nanoseconds << UInt64(Self.fractionBits)) / UInt64(max(weight, 1)))
    }
}
