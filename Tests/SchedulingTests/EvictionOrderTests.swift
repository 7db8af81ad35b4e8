import Testing

@testable import Scheduling

@Suite struct EvictionOrderTests {
    private static let second: UInt64 = 1_000_000_000
    private static let mebibyte = 1 << 20

    private func order(_ choice: EvictionConfiguration.Choice = .greedyDual) -> EvictionOrder {
        var configuration = EvictionConfiguration()
        configuration.choice = choice
        return EvictionOrder(configuration)
    }

    /// An order with entities that were used at these seconds.
    private func order(_ choice: EvictionConfiguration.Choice = .greedyDual, uses: [[UInt64]], bytes: Int = mebibyte) -> EvictionOrder {
        var order = order(choice)
        let slots = uses.map { _ in order.add(weight: 100) }
        let events = uses.indices.flatMap { index in uses[index].map { ($0, index) } }.sorted { $0.0 < $1.0 }
        for (time, index) in events {
            if order.isResident(slots[index]) {
                order.use(slots[index], bytes: bytes, now: time * Self.second)
            } else {
                order.admit(slots[index], bytes: bytes, costNanoseconds: 2_000_000, now: time * Self.second)
            }
        }
        return order
    }

    private func victim(_ order: inout EvictionOrder, at seconds: UInt64, budget: Int = .max, among: ((Int) -> Bool)? = nil) -> Int? {
        order.victim(now: seconds * Self.second, budgetBytes: budget, mayEvict: among ?? { _ in true })
    }

    @Test func plainLRUTakesWhoWasNotUsedForLongest() {
        var order = order(.lru, uses: [[1, 50], [2, 3, 4, 40], [30]])
        #expect(victim(&order, at: 60) == 2)
        #expect(victim(&order, at: 60, among: { $0 != 2 }) == 1)
        #expect(victim(&order, at: 60, among: { _ in false }) == nil)
    }

    @Test func whoWasUsedOnceIsOnProbation() {
        var order = order(uses: [[10, 20, 33], [34]])
        #expect(victim(&order, at: 60) == 1)
    }

    /// The first was called at 10 and at work until 33, the second was called as often as it was used: its last two calls are nearer.
    @Test func whatGoesOnIsUsedButNotCalledAgain() {
        var order = order(uses: [[10], [12, 31]])
        for time in 11...33 { order.use(0, bytes: Self.mebibyte, now: UInt64(time) * Self.second, isCalled: false) }
        #expect(victim(&order, at: 60) == 0)
        var oldest: [Int] = []
        order.oldestFirst { slot, _ in
            oldest.append(slot)
            return true
        }
        #expect(oldest == [1, 0])
        var regular = self.order(uses: [[0, 100, 200, 300]])
        regular.use(0, bytes: Self.mebibyte, now: 302 * Self.second, isCalled: false)
        regular.evict(0, now: 303 * Self.second)
        #expect(regular.expected(now: 399 * Self.second) == [0])
    }

    @Test func whoHoldsMoreForTheSameGoesFirst() {
        var order = order(uses: [[10, 21, 30], [10, 21, 30]])
        order.update(1, bytes: 10 * Self.mebibyte)
        #expect(victim(&order, at: 60) == 1)
    }

    @Test func whoIsDearToBringBackStays() {
        var order = order(uses: [[10, 21, 30], [10, 21, 30]])
        order.update(0, costNanoseconds: 80_000_000)
        #expect(victim(&order, at: 60) == 1)
    }

    /// What goes for want of room tells what room is worth: more where it was called more often. Nothing else that goes does.
    @Test func roomIsWorthWhatThoseThatWentForItCost() {
        func value(lastCalls: [UInt64], forRoom: Bool = true) -> EvictionOrder {
            var order = order(uses: lastCalls.map { [$0 - 1, $0] })
            for slot in lastCalls.indices { order.evict(slot, now: 100 * Self.second, forRoom: forRoom) }
            return order
        }
        let (often, seldom) = (value(lastCalls: .init(repeating: 98, count: 200)), value(lastCalls: .init(repeating: 20, count: 200)))
        // Two calls of 2 ms in 3 and in 81 seconds, a MiB each; and a little for the last one.
        #expect(abs(often.marginalValue / (2e6 * (2.0 / 3 + 0.01)) - 1) < 0.01, "\(often.marginalValue)")
        #expect(abs(seldom.marginalValue / (2e6 * (2.0 / 81 + 0.02 / 80)) - 1) < 0.01, "\(seldom.marginalValue)")
        #expect(value(lastCalls: [98], forRoom: false).marginalValue == 0)
        var later = often
        later.passSecond()
        #expect(later.marginalValue == often.marginalValue)
        for _ in 0..<30 { later.passSecond() }
        #expect(later.marginalValue < often.marginalValue / 100)
    }

    @Test func whoIsExpectedSoonStaysAndWhoIsNotForLongGoes() {
        // Every 100 seconds and every 37: both were used just now.
        var order = order(uses: [[0, 100, 200, 300], [189, 226, 263, 300]])
        #expect(victim(&order, at: 301) == 0)
        // Shortly before the next use of the first.
        #expect(victim(&order, at: 398) == 1)
    }

    /// 200 tenants with room for 250 MiB, of which three hold 50 MiB each, are called all the time and take long to bring back: their share is 5 MiB.
    private func crowded(weight: Int = 100) -> EvictionOrder {
        var order = EvictionOrder()
        for index in 0..<200 {
            let isLarge = index < 3
            let slot = order.add(weight: isLarge ? weight : 100)
            order.admit(
                slot, bytes: (isLarge ? 50 : 1) * Self.mebibyte, costNanoseconds: isLarge ? 10_000_000_000 : 1,
                now: UInt64(index) * Self.second)
        }
        for time in 200..<300 { for slot in 0..<3 { order.use(slot, bytes: 50 * Self.mebibyte, now: UInt64(time) * Self.second) } }
        return order
    }

    @Test func thoseOverTheirShareGoBeforeAllOthersWhileTheyHoldMoreThanHalf() {
        let budget = 250 * Self.mebibyte
        var order = crowded()
        // Of them the one that costs least, not the largest.
        order.update(0, bytes: 60 * Self.mebibyte)
        order.update(1, costNanoseconds: 1_000_000_000)
        #expect(victim(&order, at: 300, budget: budget) == 1)
        order.evict(1, now: 300 * Self.second)
        // The two that are left hold less than half of it: whatever costs least goes, as where there is room.
        #expect(order.residentBytes > budget && (victim(&order, at: 300, budget: budget) ?? 0) > 2)
        #expect((victim(&order, at: 300, budget: .max) ?? 0) > 2)
    }

    @Test func whoHasTheWeightForItMayHoldMore() {
        var order = crowded(weight: 10_000)
        #expect((victim(&order, at: 300, budget: 250 * Self.mebibyte) ?? 0) > 2)
    }

    @Test func thoseThatComeRegularlyAreExpectedWhenTheyAreAway() {
        var order = order(uses: [[0, 100, 200, 300], [3, 50, 220, 290], [100, 200, 300]])
        for slot in 0..<3 { order.evict(slot, now: 301 * Self.second) }
        func expected(at second: UInt64) -> [Int] { order.expected(now: second * Self.second) }
        #expect(expected(at: 397) == [] && expected(at: 398) == [0] && expected(at: 400) == [0] && expected(at: 401) == [])
        order.admit(0, bytes: 1, costNanoseconds: 1, now: 399 * Self.second)
        #expect(expected(at: 399).isEmpty)
    }

    @Test func thoseThatVaryAreExpectedSoMuchEarlierAndLonger() {
        var order = order(uses: [[0, 98, 202, 300]])
        order.evict(0, now: 301 * Self.second)
        let expected = (380...420).filter { order.expected(now: $0 * Self.second) == [0] }
        #expect(expected == Array(392...406))
    }

    /// Whoever was brought back for a call and had to go again before it is not brought back again and again.
    @Test func whoWentAgainIsExpectedForTheNextCallOnly() {
        var order = order(uses: [[0, 100, 200, 300]])
        order.evict(0, now: 301 * Self.second)
        #expect(order.expected(now: 398 * Self.second) == [0])
        order.admit(0, bytes: 1, costNanoseconds: 1, now: 398 * Self.second, isCalled: false)
        order.evict(0, now: 399 * Self.second)
        #expect(order.expected(now: 399 * Self.second) == [] && order.isRegular(0))
        order.admit(0, bytes: 1, costNanoseconds: 1, now: 400 * Self.second)
        order.evict(0, now: 401 * Self.second)
        #expect(order.expected(now: 498 * Self.second) == [0])
    }

    @Test func whatIsKnownOfAnEntityCanBeHandedOn() {
        var order = order(uses: [[0, 100, 200, 300], [250]])
        let calls = order.calls(of: 0)
        #expect(calls == [300, 200, 100, 0].map { $0 * Self.second } && order.calls(of: 1) == [250 * Self.second])
        order.remove(0)
        #expect(!order.isRegular(0))
        let again = order.add(weight: 1, calls: calls)
        #expect(order.isRegular(again) && order.expected(now: 399 * Self.second) == [again])
        #expect(!order.isRegular(order.add(weight: 1)))
    }

    @Test func whatWasEvictedTooEarlyIsCounted() {
        var order = order(.lru, uses: [[1], [2], [3]])
        order.evict(2, now: 10 * Self.second)
        order.admit(2, bytes: 1, costNanoseconds: 1, now: 11 * Self.second)
        #expect(order.evictedTooEarly == 1)
        order.evict(0, now: 12 * Self.second)
        order.use(1, bytes: 1, now: 13 * Self.second)
        order.use(2, bytes: 1, now: 14 * Self.second)
        order.admit(0, bytes: 1, costNanoseconds: 1, now: 15 * Self.second)
        #expect(order.evictedTooEarly == 1)
    }

    /// Whatever happens, the order's sums are those of a plain list.
    @Test(arguments: 1...20) func sumsAndPlacesStayRight(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var order = order()
        var held: [Int: Int] = [:]
        var known: Set<Int> = []
        var now: UInt64 = 0
        for _ in 0..<3_000 {
            now += UInt64.random(in: 0..<Self.second, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: known.insert(order.add(weight: Int.random(in: 1...1000, using: &random)))
            case 1:
                if let slot = known.randomElement(using: &random), known.count > 5 {
                    order.remove(slot)
                    known.remove(slot)
                    held[slot] = nil
                }
            case 2:
                if let slot = order.victim(now: now, budgetBytes: 1 << 20, mayEvict: { $0 % 3 != 0 }) {
                    #expect(held[slot] != nil && slot % 3 != 0)
                    order.evict(slot, now: now)
                    held[slot] = nil
                }
            default:
                guard let slot = known.randomElement(using: &random) else { continue }
                let bytes = Int.random(in: 0...100_000, using: &random)
                if order.isResident(slot) {
                    order.use(slot, bytes: bytes, now: now)
                } else {
                    order.admit(slot, bytes: bytes, costNanoseconds: 1_000, now: now)
                }
                held[slot] = bytes
            }
            #expect(order.residentCount == held.count && order.residentBytes == held.values.reduce(0, +))
        }
        var seen: [Int] = []
        var last: UInt64 = 0
        order.oldestFirst { slot, use in
            #expect(use >= last)
            last = use
            seen.append(slot)
            return true
        }
        #expect(Set(seen) == Set(held.keys) && seen.count == held.count)
    }
}
