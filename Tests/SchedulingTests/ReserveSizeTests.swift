import Testing

@testable import Scheduling

@Suite struct ReserveSizeTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func withNothingKnownAFewAreReady() { #expect(ReserveSize().target(now: 5 * Self.second) == ReserveSize.least) }

    @Test(arguments: [(perSecond: 1, target: 3), (20, 4), (50, 7)])
    func itFollowsTheRate(_ example: (perSecond: UInt64, target: Int)) {
        var size = ReserveSize()
        var now: UInt64 = 0
        for _ in 0..<(100 * example.perSecond) {
            now += Self.second / example.perSecond
            size.noteTaken(now: now)
        }
        #expect(abs(size.target(now: now) - example.target) <= 1)
    }

    @Test func aBurstTakesNoMoreThanTheMost() {
        var size = ReserveSize()
        for _ in 0..<10_000 { size.noteTaken(now: 1) }
        #expect(size.target(now: 1) == ReserveSize.most)
    }

    @Test func aBurstIsForgotten() {
        var size = ReserveSize()
        for _ in 0..<1000 { size.noteTaken(now: 1) }
        let soon = size.target(now: 2)
        #expect(size.target(now: 3600 * Self.second) < soon)
    }

    @Test func timeThatGoesBackChangesNothing() {
        var size = ReserveSize()
        size.noteTaken(now: 10 * Self.second)
        let before = size
        #expect(before.target(now: 0) == before.target(now: 10 * Self.second))
    }
}
