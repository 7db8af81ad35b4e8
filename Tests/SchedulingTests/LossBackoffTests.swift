import Testing

@testable import Scheduling

@Suite struct LossBackoffTests {
    private static let second: UInt64 = 1_000_000_000
    private static let window = LossBackoff.windowNanoseconds

    @Test func oneLossSuspendsNobody() {
        var backoff = LossBackoff()
        #expect(backoff.remainingNanoseconds(now: 0) == nil)
        backoff.recordLoss(now: 5)
        #expect(backoff.remainingNanoseconds(now: 5) == nil)
    }

    @Test func theSecondLossSuspendsForASecond() {
        var backoff = LossBackoff()
        backoff.recordLoss(now: 0)
        backoff.recordLoss(now: Self.second)
        #expect(backoff.remainingNanoseconds(now: Self.second) == Self.second)
        #expect(backoff.remainingNanoseconds(now: 2 * Self.second - 1) == 1)
        #expect(backoff.remainingNanoseconds(now: 2 * Self.second) == nil)
    }

    @Test func eachFurtherLossDoublesUpToFiveMinutes() {
        var backoff = LossBackoff()
        let times = (0..<40).map { _ in
            backoff.recordLoss(now: 0)
            return (backoff.remainingNanoseconds(now: 0) ?? 0) / Self.second
        }
        #expect(times.prefix(11) == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300])
        #expect(times.dropFirst(11).allSatisfy { $0 == 300 })
    }

    @Test func aQuietWindowForgivesOneLoss() {
        var backoff = LossBackoff()
        for _ in 0..<4 { backoff.recordLoss(now: 0) }
        #expect(backoff.remainingNanoseconds(now: 0) == 4 * Self.second)
        // Of four losses three are left, the new one is the fourth again.
        backoff.recordLoss(now: Self.window)
        #expect(backoff.remainingNanoseconds(now: Self.window) == 4 * Self.second)
    }

    @Test func justBelowAWindowForgivesNothing() {
        var backoff = LossBackoff()
        for _ in 0..<2 { backoff.recordLoss(now: 0) }
        backoff.recordLoss(now: Self.window - 1)
        #expect(backoff.remainingNanoseconds(now: Self.window - 1) == 2 * Self.second)
    }

    @Test func theFirstSuspensionComesWithTheLossThatIsSaid() {
        var backoff = LossBackoff()
        for _ in 0..<100 { backoff.recordLoss(now: 0, after: 0) }
        #expect(backoff.remainingNanoseconds(now: 0) == nil)
        backoff = LossBackoff()
        for _ in 0..<3 { backoff.recordLoss(now: 0, after: 4) }
        #expect(backoff.remainingNanoseconds(now: 0) == nil)
        backoff.recordLoss(now: 0, after: 4)
        #expect(backoff.remainingNanoseconds(now: 0) == Self.second)
    }

    @Test func rareLossesNeverSuspend() {
        var backoff = LossBackoff()
        for step in 0..<1_000 as Range<UInt64> {
            backoff.recordLoss(now: step * Self.window)
            #expect(backoff.remainingNanoseconds(now: step * Self.window) == nil)
        }
    }

    @Test func aLongQuietForgivesEverything() {
        var backoff = LossBackoff()
        for _ in 0..<100 { backoff.recordLoss(now: 0) }
        let later = 101 * Self.window
        backoff.recordLoss(now: later)
        #expect(backoff.remainingNanoseconds(now: later) == nil)
    }
}
