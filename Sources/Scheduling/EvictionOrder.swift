/// How an `EvictionOrder` chooses.
public struct EvictionConfiguration: Sendable {
    public enum Choice: String, Sendable, CaseIterable {
        /// Whoever was not used for longest.
        case lru
        /// Among those, whoever costs least to lose for what it holds.
        case greedyDual = "greedy_dual"
    }

    public var choice = Choice.greedyDual
    /// How many of those that were not used for longest are compared.
    public var sampleCount = 64
    /// Who holds more than this many times its part of the budget, by weight, goes before all others of the sample.
    public var shareFactor = 4

    public init() {}
}

/// Which isolate to evict next. The base is least recently used; among the oldest, the one goes first whose expected cost of losing it is lowest
/// for the bytes it holds: how often it was used lately times what it takes to bring it back (as in greedy-dual caches: Cao and Irani, "Cost-Aware
/// WWW Proxy Caching Algorithms", 1997; FaasCache, ASPLOS 2021). How often is the last uses over the time they span until now, so that it falls
/// as an isolate lies idle and needs no clock of its own; what was used once has half of that, until it is used again.
///
/// What is known of an entity outlives its eviction. Pure: time is a parameter, in nanoseconds. Uses take O(1), choices O(sample).
public struct EvictionOrder: Sendable {
    public typealias Slot = Int

    /// Uses that the frequency is taken over.
    private static let historyCount = 4

    private struct Entity: Sendable {
        var weight: Int
        var isResident = false
        var bytes = 0
        var costNanoseconds: UInt64 = 0
        /// Times of the last uses, the newest first.
        var uses: [UInt64] = []
        var evictedAt: UInt64?
        /// Neighbours among the residents, the older before.
        var older = -1
        var newer = -1
        var isFree = false
    }

    public let configuration: EvictionConfiguration
    private var entities: [Entity] = []
    private var free: [Slot] = []
    private var oldest = -1
    private var newest = -1
    private var totalWeight = 0
    public private(set) var residentCount = 0
    public private(set) var residentBytes = 0
    /// Entities that were wanted again after their eviction while one that was kept had not been used.
    public private(set) var evictedTooEarly = 0

    public init(_ configuration: EvictionConfiguration = .init()) { self.configuration = configuration }

    /// Makes an entity, not resident.
    public mutating func add(weight: Int) -> Slot {
        let entity = Entity(weight: max(weight, 1))
        guard let slot = free.popLast() else {
            entities.append(entity)
            return entities.count - 1
        }
        entities[slot] = entity
        return slot
    }

    public mutating func remove(_ slot: Slot) {
        precondition(!entities[slot].isFree, "an entity is removed once")
        if entities[slot].isResident { leave(slot) }
        entities[slot] = Entity(weight: 1, isFree: true)
        free.append(slot)
    }

    /// It is there: made, or revived at this cost.
    public mutating func admit(_ slot: Slot, bytes: Int, costNanoseconds: UInt64, now: UInt64) {
        precondition(!entities[slot].isResident, "who is resident is not admitted")
        if let evictedAt = entities[slot].evictedAt, oldest >= 0, (entities[oldest].uses.first ?? .max) < evictedAt { evictedTooEarly += 1 }
        entities[slot].evictedAt = nil
        entities[slot].isResident = true
        entities[slot].bytes = bytes
        entities[slot].costNanoseconds = costNanoseconds
        residentCount += 1
        residentBytes += bytes
        totalWeight += entities[slot].weight
        append(slot)
        note(slot, now)
    }

    /// It was used, and holds this much now.
    public mutating func use(_ slot: Slot, bytes: Int, now: UInt64) {
        guard entities[slot].isResident else { return }
        residentBytes += bytes - entities[slot].bytes
        entities[slot].bytes = bytes
        unlink(slot)
        append(slot)
        note(slot, now)
    }

    /// What it holds has changed, or what it takes to bring it back is known better.
    public mutating func update(_ slot: Slot, bytes: Int? = nil, costNanoseconds: UInt64? = nil) {
        if let costNanoseconds { entities[slot].costNanoseconds = costNanoseconds }
        guard let bytes, entities[slot].isResident else { return }
        residentBytes += bytes - entities[slot].bytes
        entities[slot].bytes = bytes
    }

    /// It is gone, by a choice of `victim` or for another reason.
    public mutating func evict(_ slot: Slot, now: UInt64) {
        guard entities[slot].isResident else { return }
        leave(slot)
        entities[slot].evictedAt = now
    }

    public func isResident(_ slot: Slot) -> Bool { entities[slot].isResident }

    /// Whom to evict next among those that may be.
    /// - Parameters:
    ///   - budgetBytes: what all may hold together, for shares of it.
    ///   - mayEvict: whether an entity is idle. Asked of as few as are needed.
    public func victim(now: UInt64, budgetBytes: Int, mayEvict: (Slot) -> Bool) -> Slot? {
        var best: (slot: Slot, value: Double)?
        var left = configuration.choice == .lru ? 1 : configuration.sampleCount
        var slot = oldest
        while slot >= 0, left > 0 {
            if mayEvict(slot) {
                left -= 1
                let value = value(of: slot, now: now, budgetBytes: budgetBytes)
                if best == nil || value < best!.value { best = (slot, value) }
            }
            slot = entities[slot].newer
        }
        return best?.slot
    }

    /// The residents from the one that was not used for longest.
    public func oldestFirst(_ body: (Slot, _ lastUse: UInt64) -> Bool) {
        var slot = oldest
        while slot >= 0, body(slot, entities[slot].uses.first ?? 0) { slot = entities[slot].newer }
    }

    /// Nanoseconds of revival that losing it is expected to cost in a second, for each MiB that it holds; below zero when it is over its share.
    private func value(of slot: Slot, now: UInt64, budgetBytes: Int) -> Double {
        let entity = entities[slot]
        let share = budgetBytes / max(totalWeight, 1) * entity.weight
        if entity.bytes > share * configuration.shareFactor, share > 0, residentBytes > budgetBytes {
            return -Double(entity.bytes) / Double(share)
        }
        let span = Double(max(now &- (entity.uses.last ?? now), 1)) / 1e9
        let count = entity.uses.count == 1 ? 0.5 : Double(entity.uses.count)
        return count / span * Double(max(entity.costNanoseconds, 1)) / (Double(max(entity.bytes, 4096)) / 1_048_576)
    }

    private mutating func note(_ slot: Slot, _ now: UInt64) {
        // Uses in the same moment are one.
        if let last = entities[slot].uses.first, now &- last < 1_000_000 { return }
        if entities[slot].uses.count == Self.historyCount { entities[slot].uses.removeLast() }
        entities[slot].uses.insert(now, at: 0)
    }

    private mutating func leave(_ slot: Slot) {
        unlink(slot)
        entities[slot].isResident = false
        residentCount -= 1
        residentBytes -= entities[slot].bytes
        totalWeight -= entities[slot].weight
    }

    private mutating func append(_ slot: Slot) {
        entities[slot].older = newest
        entities[slot].newer = -1
        if newest >= 0 { entities[newest].newer = slot } else { oldest = slot }
        newest = slot
    }

    private mutating func unlink(_ slot: Slot) {
        let (older, newer) = (entities[slot].older, entities[slot].newer)
        if older >= 0 { entities[older].newer = newer } else { oldest = newer }
        if newer >= 0 { entities[newer].older = older } else { newest = older }
    }
}
