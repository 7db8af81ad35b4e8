import Testing

@testable import Scheduling

@Suite struct QuarantineTests {
    private static let second: UInt64 = 1_000_000_000

    /// Within an expectation nothing can be changed but what an object holds.
    private final class Subject {
        private var quarantine = Quarantine()
        var reason: Quarantine.Reason? { quarantine.reason }
        var sinceNanoseconds: UInt64 { quarantine.sinceNanoseconds }
        func recordLoss(isCertain: Bool, now: UInt64, _ rules: Quarantine.Rules) -> Bool {
            quarantine.recordLoss(isCertain: isCertain, now: now, rules)
        }
        func recordBreach(now: UInt64, _ rules: Quarantine.Rules) -> Bool { quarantine.recordBreach(now: now, rules) }
        func recordBurning(now: UInt64) -> Bool { quarantine.recordBurning(now: now) }
        func endIfQuiet(now: UInt64, _ rules: Quarantine.Rules) -> Bool { quarantine.endIfQuiet(now: now, rules) }
    }

    private let rules = Quarantine.Rules(limitBreaches: 3, windowNanoseconds: 60 * second, quietNanoseconds: 600 * second)

    @Test func aLossThatNobodyElseCanBeToBlameForIsEnough() {
        let quarantine = Subject()
        #expect(quarantine.reason == nil)
        #expect(quarantine.recordLoss(isCertain: true, now: 5, rules))
        #expect(quarantine.reason == .cellLost && quarantine.sinceNanoseconds == 5)
        #expect(!quarantine.recordLoss(isCertain: true, now: 6, rules), "it has begun already")
        #expect(quarantine.sinceNanoseconds == 5)
    }

    @Test func aLossWithOthersCountsTheSecondTimeWithinAWindow() {
        let quarantine = Subject()
        #expect(!quarantine.recordLoss(isCertain: false, now: 0, rules))
        #expect(!quarantine.recordLoss(isCertain: false, now: 60 * Self.second, rules), "the first is forgotten by then")
        #expect(quarantine.recordLoss(isCertain: false, now: 120 * Self.second - 1, rules))
        #expect(quarantine.reason == .cellLost)
    }

    @Test func brokenLimitsCountWithinTheWindowOnly() {
        let quarantine = Subject()
        for step in 0..<100 as Range<UInt64> { #expect(!quarantine.recordBreach(now: step * 30 * Self.second, rules)) }
        let later = 100 * 30 * Self.second
        #expect(!quarantine.recordBreach(now: later, rules))
        #expect(quarantine.recordBreach(now: later + 1, rules))
        #expect(quarantine.reason == .limits && quarantine.sinceNanoseconds == later + 1)
    }

    @Test func withoutANumberBrokenLimitsNeverCount() {
        let quarantine = Subject()
        var rules = rules
        rules.limitBreaches = 0
        for step in 0..<1_000 as Range<UInt64> { #expect(!quarantine.recordBreach(now: step, rules)) }
        #expect(quarantine.reason == nil)
    }

    @Test func whatIsRememberedIsBounded() {
        let quarantine = Subject()
        var rules = rules
        rules.limitBreaches = 1_000_000
        let begins = (0..<1_000 as Range<UInt64>).map { quarantine.recordBreach(now: $0, rules) }
        #expect(begins.firstIndex(of: true) == Quarantine.momentsLimit - 1)
    }

    @Test func aQuietTimeEndsItAndForgetsEverything() {
        let quarantine = Subject()
        #expect(!quarantine.endIfQuiet(now: 10_000 * Self.second, rules), "there is nothing to end")
        for _ in 0..<3 { _ = quarantine.recordBreach(now: 0, rules) }
        #expect(!quarantine.endIfQuiet(now: 599 * Self.second, rules))
        _ = quarantine.recordBreach(now: 599 * Self.second, rules)
        #expect(!quarantine.endIfQuiet(now: 1_198 * Self.second, rules), "something new begins the time again")
        #expect(quarantine.endIfQuiet(now: 1_199 * Self.second, rules))
        #expect(quarantine.reason == nil)
        #expect(!quarantine.recordBreach(now: 1_200 * Self.second, rules))
    }

    @Test(arguments: [
        ([400, 40, 3], 0 as Int?), ([40, 3, 400], 2), ([400, 41], nil), ([399, 1], nil), ([400, 0, 0], nil), ([400], nil), ([], nil),
        ([900, 900, 1], nil),
    ])
    func whoIsFarAbove(_ milliseconds: [UInt64], _ expected: Int?) {
        let found = Quarantine.farAbove(cpuNanoseconds: milliseconds.map { $0 * 1_000_000 }, windowNanoseconds: Self.second)
        #expect(found == expected)
    }

    @Test func burningBeginsIt() {
        let quarantine = Subject()
        #expect(quarantine.recordBurning(now: 7))
        #expect(quarantine.reason == .cpu && !quarantine.recordBurning(now: 8))
    }
}
