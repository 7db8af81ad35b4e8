import Scheduling
import Testing

struct FittedLineTests {
    @Test func aLineGoesThroughItsPoints() throws {
        var line = FittedLine()
        #expect(line.at(1) == nil)
        for x in [2e6, 3e6, 7e6] { line.add(x: x, y: 5 + 3 * x) }
        for x in [0, 1e6, 9e6] { #expect(try abs(#require(line.at(x)) - (5 + 3 * x)) < 1, "\(x)") }
    }

    @Test func withoutAnotherSizeOrWhereItWouldFallItIsLevel() {
        var line = FittedLine()
        for y in [2.0, 4.0] { line.add(x: 1e6, y: y) }
        #expect(line.at(9e6) == 3)
        line.add(x: 2e6, y: 0)
        #expect(line.at(9e6) == 2)
    }

    /// Two points that lie close together say little of what lies elsewhere.
    @Test func itIsNowhereBelowZero() {
        var line = FittedLine()
        line.add(x: 1_200_000, y: 2e6)
        line.add(x: 1_210_000, y: 6e6)
        #expect(line.at(1_000_000) == 0 && line.at(1_205_000) == 4e6)
    }

    @Test func whatWasLongAgoIsForgotten() throws {
        var (line, whole) = (FittedLine(memory: 0.9), FittedLine())
        for round in 0..<200 {
            for x in [1.0, 2.0] {
                line.add(x: x, y: round < 100 ? 10 * x : x)
                whole.add(x: x, y: round < 100 ? 10 * x : x)
            }
        }
        #expect(try abs(#require(line.at(3)) - 3) < 0.01)
        #expect(try abs(#require(whole.at(3)) - 16.5) < 0.01)
    }
}
