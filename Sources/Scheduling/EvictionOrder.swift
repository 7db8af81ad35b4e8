/// How an `EvictionOrder` chooses.
public struct EvictionConfiguration: Sendable {
    /// By what rule it chooses.
    public enum Choice: String, Sendable, CaseIterable {
        /// Whoever was not used for longest.
        case lru
        /// Whoever costs least to lose for what it holds.
        case greedyDual = "greedy_dual"
    }

    /// The daemon's `eviction`.
    public var choice = Choice.greedyDual
    /// How many residents are compared, drawn at random: as good as all of them, and cheaper.
    public var sampleCount = 64
    /// Who holds more than this many times its part of the budget, by weight, is over its share.
    public var shareFactor = 4
    /// Those that are over their share go before all others while they hold more than this part of the budget together.
    public var overSharePart = 0.5
    /// How long before its next use somebody who comes regularly is expected; more than the time between two looks.
    public var aheadNanoseconds: UInt64 = 2_500_000_000
    /// Of the samples.
    public var seed: UInt64 = 1

    /// As cells have it, but for `choice`.
    public init() {}
}

/// Which isolate to evict next: the one whose loss is expected to cost least for the bytes that it holds, among a sample (greedy-dual caches: Cao
/// and Irani, "Cost-Aware WWW Proxy Caching Algorithms", 1997; FaasCache, ASPLOS 2021). The cost is what it takes to bring it back, over the time
/// until that is to be done: when calls come at regular times, until the next one; else by the last two calls and the time that they span until now, which
/// grows as an isolate lies idle (LRU-K: O'Neil, O'Neil and Weikum, 1993), and a little by the last use alone, since calls come in clusters. What was
/// called once is on probation: it counts half. A call is one request or several at once; what goes on for a while is used, but not called again.
///
/// The one that was just used may go as well as any other, and often does: most tenants are used once in a long while.
///
/// What is known of an entity outlives its eviction. Pure: time is a parameter, in nanoseconds. Uses take O(1), choices O(residents) for shares,
/// `expected` O(those that come regularly).
public struct EvictionOrder: Sendable {
    /// An entity's number; used again after `remove`.
    public typealias Slot = Int

    /// Calls that the frequency is taken over, and what the last use counts besides. More calls let a cluster that is over stand for a frequency: see
    /// docs/decisions/0023.
    private static let (ratedCalls, recency) = (2, 0.02)
    /// Calls are regular when this many gaps, the last ones, differ from their mean by less than a tenth, and are no shorter than this.
    private static let (periodGaps, shortestPeriodNanoseconds) = (3, UInt64(2_000_000_000))
    private static let historyCount = periodGaps + 1
    /// How much of the marginal value the last eviction makes, and what a second without any leaves of it.
    private static let (marginalGain, marginalMemory) = (0.05, 0.8)

    private struct Entity: Sendable {
        var weight: Int
        var isResident = false
        var bytes = 0
        var costNanoseconds: UInt64 = 0
        /// When it was last called, the newest first.
        var calls: [UInt64] = []
        /// When it last had something to do: a call can take long.
        var lastUse: UInt64 = 0
        var evictedAt: UInt64?
        var residentSince: UInt64 = 0
        /// Its place among the residents.
        var place = -1
        /// Neighbours among the residents, the older before.
        var older = -1
        var newer = -1
        var isFree = false
    }

    /// Fixed; the budget comes with each choice.
    public let configuration: EvictionConfiguration
    private var entities: [Entity] = []
    private var free: [Slot] = []
    private var residents: [Slot] = []
    /// Those whose calls come at regular times.
    private var regulars: Set<Slot> = []
    /// For samples.
    private var random: SplitMix64
    private var oldest = -1
    private var newest = -1
    private var totalWeight = 0
    /// Entities that are resident now.
    public private(set) var residentCount = 0
    /// What they hold together, as they were last heard of.
    public private(set) var residentBytes = 0
    /// Entities that were wanted again after their eviction while one that was kept had not been used.
    public private(set) var evictedTooEarly = 0
    /// What a MiB more would save: nanoseconds of revival a second that those were expected to cost that went for want of room lately, for each MiB
    /// that they held.
    public private(set) var marginalValue = 0.0
    private var hasEvictedForRoom = false

    /// Without entities.
    public init(_ configuration: EvictionConfiguration = .init()) {
        self.configuration = configuration
        random = SplitMix64(seed: configuration.seed)
    }

    /// Makes an entity, not resident.
    /// - Parameter calls: when it was called before, as `calls(of:)` said of an entity that it was.
    public mutating func add(weight: Int, calls: [UInt64] = []) -> Slot {
        let entity = Entity(weight: max(weight, 1), calls: Array(calls.prefix(Self.historyCount)), lastUse: calls.first ?? 0)
        let slot = free.popLast() ?? entities.count
        if slot == entities.count { entities.append(entity) } else { entities[slot] = entity }
        noteRhythm(of: slot)
        return slot
    }

    /// When it was called last, the newest first, as far as it is known.
    public func calls(of slot: Slot) -> [UInt64] { entities[slot].calls }

    /// Whether its calls come at regular times.
    public func isRegular(_ slot: Slot) -> Bool { regulars.contains(slot) }

    /// Forgets an entity and its calls, resident or not.
    public mutating func remove(_ slot: Slot) {
        precondition(!entities[slot].isFree, "an entity is removed once")
        if entities[slot].isResident { leave(slot) }
        regulars.remove(slot)
        entities[slot] = Entity(weight: 1, isFree: true)
        free.append(slot)
    }

    /// It is there: made, or revived at this cost.
    /// - Parameter isCalled: false when nobody has asked for it since it was there last.
    public mutating func admit(_ slot: Slot, bytes: Int, costNanoseconds: UInt64, now: UInt64, isCalled: Bool = true) {
        precondition(!entities[slot].isResident, "who is resident is not admitted")
        if isCalled, let evictedAt = entities[slot].evictedAt, oldest >= 0, entities[oldest].lastUse < evictedAt { evictedTooEarly += 1 }
        entities[slot].evictedAt = nil
        entities[slot].isResident = true
        entities[slot].residentSince = now
        entities[slot].bytes = bytes
        entities[slot].costNanoseconds = costNanoseconds
        residentCount += 1
        residentBytes += bytes
        totalWeight += entities[slot].weight
        entities[slot].place = residents.count
        residents.append(slot)
        append(slot)
        if isCalled { noteCall(slot, now) }
    }

    /// It was used, and holds this much now.
    /// - Parameter isCalled: false when it went on with what it had been called for before.
    public mutating func use(_ slot: Slot, bytes: Int, now: UInt64, isCalled: Bool = true) {
        guard entities[slot].isResident else { return }
        residentBytes += bytes - entities[slot].bytes
        entities[slot].bytes = bytes
        unlink(slot)
        append(slot)
        if isCalled { noteCall(slot, now) } else { entities[slot].lastUse = now }
    }

    /// What it holds has changed, or what it takes to bring it back is known better.
    public mutating func update(_ slot: Slot, bytes: Int? = nil, costNanoseconds: UInt64? = nil) {
        if let costNanoseconds { entities[slot].costNanoseconds = costNanoseconds }
        guard let bytes, entities[slot].isResident else { return }
        residentBytes += bytes - entities[slot].bytes
        entities[slot].bytes = bytes
    }

    /// It is gone, by a choice of `victim` or for another reason.
    /// - Parameter forRoom: it went because all together held too much.
    public mutating func evict(_ slot: Slot, now: UInt64, forRoom: Bool = false) {
        guard entities[slot].isResident else { return }
        if forRoom {
            hasEvictedForRoom = true
            marginalValue += (value(of: slot, now: now) - marginalValue) * Self.marginalGain
        }
        leave(slot)
        entities[slot].evictedAt = now
    }

    /// Once a second: room that nobody had to go for is worth less and less.
    public mutating func passSecond() {
        if !hasEvictedForRoom { marginalValue *= Self.marginalMemory }
        hasEvictedForRoom = false
    }

    /// Whether it was admitted and has not been evicted since.
    public func isResident(_ slot: Slot) -> Bool { entities[slot].isResident }

    /// Whom to evict next among those that may be.
    /// - Parameters:
    ///   - budgetBytes: what all may hold together, for shares of it.
    ///   - mayEvict: whether an entity is idle.
    public mutating func victim(now: UInt64, budgetBytes: Int, mayEvict: (Slot) -> Bool) -> Slot? {
        if configuration.choice == .lru { return firstOfOldest(mayEvict) }
        if let glutton = victimOverShare(now: now, budgetBytes, mayEvict) { return glutton }
        var best: (slot: Slot, value: Double)?
        func consider(_ slot: Slot) {
            guard slot >= 0, mayEvict(slot) else { return }
            let value = value(of: slot, now: now)
            if best == nil || value < best!.value { best = (slot, value) }
        }
        consider(newest)
        if residents.count <= configuration.sampleCount {
            residents.forEach(consider)
        } else {
            for _ in 0..<configuration.sampleCount { consider(residents[Int(random.next() % UInt64(residents.count))]) }
        }
        // With nearly all of them busy a sample may miss those that are not.
        return best?.slot ?? firstOfOldest(mayEvict)
    }

    private func firstOfOldest(_ mayEvict: (Slot) -> Bool) -> Slot? {
        var slot = oldest
        while slot >= 0, !mayEvict(slot) { slot = entities[slot].newer }
        return slot >= 0 ? slot : nil
    }

    /// Of those that are over their share, who costs least to lose, while they hold more than their part of the budget together and all hold too much.
    private func victimOverShare(now: UInt64, _ budgetBytes: Int, _ mayEvict: (Slot) -> Bool) -> Slot? {
        guard residentBytes > budgetBytes, residentCount > 1 else { return nil }
        let shareOfWeight = Double(budgetBytes) / Double(max(totalWeight, 1)) * Double(configuration.shareFactor)
        var (heldBytes, slots) = (0, [Slot]())
        for slot in residents where Double(entities[slot].bytes) > shareOfWeight * Double(entities[slot].weight) {
            heldBytes += entities[slot].bytes
            slots.append(slot)
        }
        guard Double(heldBytes) > Double(budgetBytes) * configuration.overSharePart else { return nil }
        return slots.filter(mayEvict).map { ($0, value(of: $0, now: now)) }.min { $0.1 < $1.1 }?.0
    }

    /// The time between calls of an entity that comes regularly, and by how much that has varied.
    private func rhythm(of slot: Slot) -> (period: UInt64, spread: UInt64)? {
        let calls = entities[slot].calls
        guard calls.count > Self.periodGaps else { return nil }
        let mean = (calls[0] - calls[Self.periodGaps]) / UInt64(Self.periodGaps)
        guard mean >= Self.shortestPeriodNanoseconds else { return nil }
        var (shortest, longest) = (mean, mean)
        for index in 0..<Self.periodGaps {
            let gap = calls[index] - calls[index + 1]
            (shortest, longest) = (min(shortest, gap), max(longest, gap))
        }
        return longest - mean < mean / 10 && mean - shortest < mean / 10 ? (mean, longest - shortest) : nil
    }

    /// Entities that are not resident and come regularly, the next time soon, give or take what their gaps have varied by. Once a call: who was there
    /// since the last one and went again was worth less than others.
    public func expected(now: UInt64) -> [Slot] {
        regulars.filter { slot in
            guard !entities[slot].isResident, let last = entities[slot].calls.first, entities[slot].residentSince <= last,
                let (period, spread) = rhythm(of: slot)
            else { return false }
            return now + configuration.aheadNanoseconds + spread >= last + period && now <= last + period + spread
        }.sorted()
    }

    /// The residents from the one that was not used for longest; who was brought back before it is used counts from then.
    public func oldestFirst(_ body: (Slot, _ lastUse: UInt64) -> Bool) {
        var slot = oldest
        while slot >= 0, body(slot, max(entities[slot].lastUse, entities[slot].residentSince)) { slot = entities[slot].newer }
    }

    /// Nanoseconds of revival that losing it is expected to cost in a second, for each MiB that it holds.
    private func value(of slot: Slot, now: UInt64) -> Double {
        let entity = entities[slot]
        let costPerMebibyte = Double(max(entity.costNanoseconds, 1)) / (Double(max(entity.bytes, 4096)) / 1_048_576)
        if let last = entity.calls.first, let (period, _) = rhythm(of: slot), now < last + period + period / 5 {
            return costPerMebibyte / max(Double(last + period) - Double(now), 1e9) * 1e9
        }
        func seconds(since use: UInt64) -> Double { Double(max(now &- use, 1)) / 1e9 }
        let rated = entity.calls.prefix(Self.ratedCalls)
        let count = rated.count == 1 ? 0.5 : Double(rated.count)
        return (count / seconds(since: rated.last ?? now) + Self.recency / seconds(since: entity.lastUse)) * costPerMebibyte
    }

    private mutating func noteCall(_ slot: Slot, _ now: UInt64) {
        entities[slot].lastUse = now
        // Calls in the same moment are one.
        if let last = entities[slot].calls.first, now &- last < 1_000_000 { return }
        if entities[slot].calls.count == Self.historyCount { entities[slot].calls.removeLast() }
        entities[slot].calls.insert(now, at: 0)
        noteRhythm(of: slot)
    }

    private mutating func noteRhythm(of slot: Slot) {
        if rhythm(of: slot) != nil { regulars.insert(slot) } else { regulars.remove(slot) }
    }

    private mutating func leave(_ slot: Slot) {
        unlink(slot)
        entities[slot].isResident = false
        let last = residents.removeLast()
        if last != slot {
            residents[entities[slot].place] = last
            entities[last].place = entities[slot].place
        }
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
