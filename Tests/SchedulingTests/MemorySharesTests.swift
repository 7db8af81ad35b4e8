import Testing

@testable import Scheduling

@Suite struct MemorySharesTests {
    private func step(_ held: [Double], _ values: [Double] = [], available: Double) -> [Double] {
        MemoryShares.step(
            held.indices.map { .init(heldBytes: held[$0], marginalValue: values.isEmpty ? 0 : values[$0]) }, availableBytes: available)
    }

    @Test func whereNothingIsShortEachMayHoldWhatItHoldsAndAPartOfTheRest() {
        #expect(step([300, 100], available: 1_000) == [600, 400])
        #expect(step([0, 0], available: 0) == [0, 0] && step([], available: 10).isEmpty)
    }

    @Test func whatIsTooMuchIsTakenByWhatTheyHold() { #expect(step([300, 100], available: 200) == [150, 50]) }

    @Test func whoHoldsNothingMayBegin() {
        let shares = step([1_000, 0], available: 1_000)
        #expect(shares[1] > 50 && abs(shares[0] + shares[1] - 1_000) < 1e-6, "\(shares)")
    }

    private static let mebibyte = 1_048_576.0

    /// Each byte counts once, whatever a cell accounts for, and none of it as what nobody can help but for so much as sound cells take.
    @Test func whatACellDoesNotAccountForIsItsOwn() {
        func use(_ memory: Double, _ accounted: Double) -> [Double] {
            let use = MemoryShares.Use(memoryBytes: memory * Self.mebibyte, accountedBytes: accounted * Self.mebibyte)
            return [use.heldBytes, use.overheadBytes, use.excessBytes].map { ($0 / Self.mebibyte * 1_000).rounded() / 1_000 }
        }
        #expect(use(0, 300) == [300, 0, 0] && use(200, 300) == [200, 0, 0] && use(0, 0) == [0, 0, 0])
        #expect(use(400, 300) == [300, 100, 0])
        // 1.6 times what it accounts for and 96.
        #expect(use(1_000, 300) == [300, 333.6, 366.4])
        #expect(use(10_000, 0) == [0, 153.6, 9_846.4])
    }

    @Test func whoGivesNothingBackIsFoundAfterHalfAMinute() {
        var overrun = MemoryShares.Overrun()
        func seconds(until limit: Int, _ held: (Int) -> Double) -> Int? {
            (1...limit).first { overrun.isLasting(heldBytes: held($0) * Self.mebibyte, mayHoldBytes: 1_000 * Self.mebibyte) }
        }
        #expect(seconds(until: 100) { _ in 2_000 } == 31)
        // Again, where nothing came of it.
        #expect(seconds(until: 100) { _ in 2_000 } == 31)
        // A little over is nothing.
        #expect(seconds(until: 100) { _ in 1_300 } == nil)
        // Who gives back has time, as long as it takes.
        #expect(seconds(until: 200) { 10_000 * (1 - 0.004 * Double($0)) } == nil)
        // What was before does not count when it once held what it may.
        #expect(seconds(until: 1) { _ in 1_000 } == nil)
        #expect(seconds(until: 30) { _ in 2_000 } == nil)
        #expect(seconds(until: 1) { _ in 1_000 } == nil)
        #expect(seconds(until: 30) { _ in 2_000 } == nil)
    }

    /// An isolate takes as much as ten steps give.
    @Test func stepsThatAreSmallerThanAnIsolateAddUp() {
        var shares = [100.0, 100]
        for _ in 0..<60 {
            let held = shares.map { ($0 / 10).rounded(.down) * 10 }
            shares = MemoryShares.step(
                [
                    .init(heldBytes: held[0], shareBytes: shares[0], marginalValue: 11),
                    .init(heldBytes: held[1], shareBytes: shares[1], marginalValue: 9),
                ], availableBytes: 200)
        }
        #expect(shares[0] > 110 && abs(shares[0] + shares[1] - 200) < 1e-6, "\(shares)")
        // Who does not use what it was given does not keep it from others.
        let cells = [10.0, 100].map { MemoryShares.Cell(heldBytes: $0, shareBytes: 100) }
        let unused = MemoryShares.step(cells, availableBytes: 200)
        #expect(unused[1] > 140, "\(unused)")
    }

    @Test func roomGoesWhereItIsWorthMoreSlowlyAndNotBelowTheLeast() {
        let shares = step([500, 500], [30, 10], available: 1_000)
        #expect(abs(shares[0] - 512.5) < 1 && abs(shares[1] - 487.5) < 1, "\(shares)")
        #expect(step([500, 500], [20, 20], available: 1_000) == [500, 500])
        // Whatever a cell says, it gets no more than a step.
        let claimed = step([500, 500], [1e19, 1], available: 1_000)
        #expect(claimed[0] < 530 && claimed[0] + claimed[1] < 1_000.1, "\(claimed)")
        var held = [250.0, 250, 250, 250]
        for _ in 0..<1_000 { held = step(held, [1e19, 1, 1, 0], available: 1_000) }
        #expect(held.allSatisfy { $0 > 120 }, "\(held)")
    }
}
