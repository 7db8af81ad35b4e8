import Testing

@testable import Scheduling

@Suite struct CPUQuotaTests {
    private static let second: UInt64 = 1_000_000_000
    private static let millisecond: UInt64 = 1_000_000

    /// `#expect` cannot call what changes the value it is called on.
    private func expect(_ condition: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation) {
        #expect(condition, comment, sourceLocation: location)
    }

    @Test func aFreshQuotaHoldsOneSecondsWorth() {
        var quota = CPUQuota(millisecondsPerSecond: 500, now: 7)
        quota.charge(500 * Self.millisecond - 1, now: 7)
        expect(quota.allows(now: 7))
        quota.charge(1, now: 7)
        expect(!quota.allows(now: 7))
    }

    @Test func idlingSavesNoMoreThanOneSecondsWorth() {
        var quota = CPUQuota(millisecondsPerSecond: 500, now: 0)
        quota.charge(300 * Self.millisecond, now: 0)
        let later = 1_000_000 * Self.second
        quota.charge(500 * Self.millisecond, now: later)
        expect(!quota.allows(now: later))
    }

    @Test func itRefillsAtItsRate() {
        var quota = CPUQuota(millisecondsPerSecond: 500, now: 0)
        quota.charge(1_000 * Self.millisecond, now: 0)
        // Half a second's worth is owed: at half a CPU that is one second.
        expect(!quota.allows(now: Self.second - Self.millisecond))
        expect(quota.allows(now: Self.second + Self.millisecond))
    }

    @Test func itAllowsAtTheTimeItNamesAndNotBefore() {
        var random = SplitMix64(seed: 11)
        for _ in 0..<2_000 {
            let rate = Int(random.next() % 8_000) + 20
            var quota = CPUQuota(millisecondsPerSecond: rate, now: 0)
            quota.charge(random.next() % (20 * Self.second), now: 0)
            let wait = quota.nanosecondsUntilAllowed(now: 0)
            expect(quota.allows(now: 0) == (wait == 0))
            guard wait > 1_000 else { continue }
            var early = quota
            // What fills in during one hundredth of the wait is far above what rounding changes.
            expect(!early.allows(now: wait - wait / 100))
            expect(quota.allows(now: wait), "\(rate) ms/s, after \(wait) ns")
        }
    }

    @Test(arguments: [3, 500, 999, 8_000])
    func smallStepsAddUpToWhatOneLargeStepGives(rate: Int) {
        let steps = 2_000
        var small = CPUQuota(millisecondsPerSecond: rate, now: 0)
        small.charge(UInt64(rate) * 2 * Self.millisecond, now: 0)
        var large = small
        for step in 1...UInt64(steps) { expect(!small.allows(now: step * 7_919)) }
        let now = UInt64(steps) * 7_919
        let waitSmall = small.nanosecondsUntilAllowed(now: now)
        let waitLarge = large.nanosecondsUntilAllowed(now: now)
        #expect(waitLarge < Self.second)
        // A step may round by a nanosecond of CPU, not more.
        let rounding = UInt64(steps) * 1_000 / UInt64(rate) + 2
        #expect(waitSmall + 2 >= waitLarge && waitSmall <= waitLarge + rounding)
    }

    @Test func timeBelowANanosecondsWorthIsKept() {
        // At 1 ms/s a nanosecond's worth takes 1000 ns: steps of 10 ns each give nothing on their own.
        var quota = CPUQuota(millisecondsPerSecond: 1, now: 0)
        quota.charge(Self.millisecond + 99, now: 0)
        var now: UInt64 = 0
        while now < 99_000 {
            now += 10
            expect(!quota.allows(now: now))
        }
        expect(quota.allows(now: 101_010))
    }

    @Test func nobodyGetsMoreThanTheRateAndTheBurst() {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = SplitMix64(seed: seed)
            let rate = random.next() % 4_000 + 1
            var quota = CPUQuota(millisecondsPerSecond: Int(rate), now: 0)
            var now: UInt64 = 0
            var used: UInt64 = 0
            var largest: UInt64 = 0
            for _ in 0..<5_000 {
                now += random.next() % (20 * Self.millisecond)
                guard quota.allows(now: now) else { continue }
                let cost = random.next() % (50 * Self.millisecond)
                quota.charge(cost, now: now)
                used += cost
                largest = max(largest, cost)
            }
            let earned = rate * Self.millisecond + UInt64(Double(now) * Double(rate) / 1_000)
            // Only the last request may go over what there was.
            #expect(used <= earned + largest, "seed \(seed)")
            // And what was earned can be had: the rate is kept up by this load, whatever it is.
            let demand = 5_000 * 25 * Self.millisecond
            #expect(used >= min(UInt64(Double(now) * Double(rate) / 1_000), demand) / 10 * 9, "seed \(seed)")
        }
    }

    @Test func aClockThatStandsOrGoesBackGivesNothingAndTakesNothing() {
        var quota = CPUQuota(millisecondsPerSecond: 100, now: 50 * Self.second)
        quota.charge(100 * Self.millisecond, now: 50 * Self.second)
        expect(!quota.allows(now: 50 * Self.second))
        expect(!quota.allows(now: 0))
        #expect(quota.nanosecondsUntilAllowed(now: 0) == quota.nanosecondsUntilAllowed(now: 50 * Self.second))
        expect(quota.allows(now: 50 * Self.second + 2 * Self.millisecond))
    }

    @Test func extremesDoNotTrap() {
        var quota = CPUQuota(millisecondsPerSecond: 1_000_000, now: 0)
        quota.charge(.max / 2, now: 0)
        expect(!quota.allows(now: Self.second))
        #expect(quota.nanosecondsUntilAllowed(now: Self.second) > 0)
        var smallest = CPUQuota(millisecondsPerSecond: 1, now: 0)
        expect(smallest.allows(now: .max))
    }
}
