import Scheduling

/// What a sequence of uses costs in cold starts when only so much fits: by the order that cells use, by plain LRU, and by Belady's rule, which
/// knows the future and is the best there is for equal sizes and costs. With sizes and costs it is applied to the cost per byte and time until the
/// next use, which is a good bound though not the optimum (that is NP-hard).
struct EvictionSimulation: Sendable {
    /// What is used.
    struct Item: Sendable {
        /// What it holds while it is resident, in the unit of the capacity.
        var bytes: Int
        /// What it takes to make it again.
        var costNanoseconds: UInt64
    }

    /// One use of an item.
    struct Use: Sendable {
        /// When, on the clock of `measuredFrom`.
        var nanoseconds: UInt64
        /// By its place in `items`.
        var item: Int
    }

    /// By what rule somebody goes when not all fit.
    enum Rule: Sendable {
        /// - Parameter prewarms: who comes regularly is brought back before, which nobody waits for: it costs nothing here.
        case order(EvictionConfiguration.Choice, prewarms: Bool = false)
        case belady
    }

    /// What the uses came to by one rule.
    struct Result: Sendable {
        /// Uses from `measuredFrom` on of what was not there, also the first of each.
        var misses = 0
        /// Brought back before they were used, also before misses count.
        var prewarmed = 0
        /// The sum of what the misses cost, without the first use of each.
        var costNanoseconds: UInt64 = 0
    }

    private let items: [Item]
    private let uses: [Use]
    private let capacityBytes: Int
    private let measuredFrom: UInt64

    /// - Parameters:
    ///   - uses: in order of time.
    ///   - measuredFrom: nanoseconds; misses before only fill the room.
    init(items: [Item], uses: [Use], capacityBytes: Int, measuredFrom: UInt64 = 0) {
        self.measuredFrom = measuredFrom
        self.items = items
        self.uses = uses
        self.capacityBytes = capacityBytes
    }

    /// Plays all uses, from a start with nothing resident.
    func run(_ rule: Rule) -> Result {
        switch rule {
        case .order(let choice, let prewarms): runOrder(choice, prewarms: prewarms)
        case .belady: runBelady()
        }
    }

    /// Between two looks at who is expected, as in cells.
    private static let secondNanoseconds: UInt64 = 1_000_000_000

    private func runOrder(_ choice: EvictionConfiguration.Choice, prewarms: Bool) -> Result {
        var configuration = EvictionConfiguration()
        configuration.choice = choice
        var order = EvictionOrder(configuration)
        let slots = items.map { _ in order.add(weight: 1) }
        var items = [Int](repeating: 0, count: slots.count)
        for (item, slot) in slots.enumerated() { items[slot] = item }
        var isKnown = [Bool](repeating: false, count: slots.count)
        var result = Result()
        var second: UInt64 = 0
        func admit(_ slot: EvictionOrder.Slot, now: UInt64, isCalled: Bool) {
            let item = self.items[items[slot]]
            // As in a cell: first it is made and serves, then something goes, itself included.
            order.admit(slot, bytes: item.bytes, costNanoseconds: item.costNanoseconds, now: now, isCalled: isCalled)
            while order.residentBytes > capacityBytes, order.residentCount > 1,
                let victim = order.victim(now: now, budgetBytes: capacityBytes, mayEvict: { _ in true })
            { order.evict(victim, now: now) }
        }
        for use in uses {
            while prewarms, second + Self.secondNanoseconds <= use.nanoseconds {
                second += Self.secondNanoseconds
                for slot in order.expected(now: second) {
                    result.prewarmed += 1
                    admit(slot, now: second, isCalled: false)
                }
            }
            let item = self.items[use.item]
            let slot = slots[use.item]
            if order.isResident(slot) {
                order.use(slot, bytes: item.bytes, now: use.nanoseconds)
                continue
            }
            if use.nanoseconds >= measuredFrom { result.count(item, isFirst: !isKnown[use.item]) }
            isKnown[use.item] = true
            admit(slot, now: use.nanoseconds, isCalled: true)
        }
        return result
    }

    private func runBelady() -> Result {
        // When each use's item is used next.
        var next = [UInt64](repeating: .max, count: uses.count)
        var upcoming = [UInt64](repeating: .max, count: items.count)
        for index in uses.indices.reversed() {
            next[index] = upcoming[uses[index].item]
            upcoming[uses[index].item] = uses[index].nanoseconds
        }
        var resident: [Int: UInt64] = [:]
        var bytes = 0
        var isKnown = [Bool](repeating: false, count: items.count)
        var result = Result()
        for (index, use) in uses.enumerated() {
            let item = items[use.item]
            if resident[use.item] == nil {
                if use.nanoseconds >= measuredFrom { result.count(item, isFirst: !isKnown[use.item]) }
                isKnown[use.item] = true
                bytes += item.bytes
            }
            resident[use.item] = next[index]
            while bytes > capacityBytes, resident.count > 1 {
                // Of the others, whose loss is cheapest for the room and the time it gives; who is not used again costs nothing.
                let victim = resident.min { value($0, now: use.nanoseconds) < value($1, now: use.nanoseconds) }!
                resident[victim.key] = nil
                bytes -= items[victim.key].bytes
            }
        }
        return result
    }

    private func value(_ resident: (key: Int, value: UInt64), now: UInt64) -> Double {
        guard resident.value != .max else { return 0 }
        let item = items[resident.key]
        return Double(item.costNanoseconds) / Double(item.bytes) / Double(max(resident.value - now, 1))
    }
}

extension EvictionSimulation.Result {
    fileprivate mutating func count(_ item: EvictionSimulation.Item, isFirst: Bool) {
        misses += 1
        if !isFirst { costNanoseconds += item.costNanoseconds }
    }
}
