import Testing

@testable import CellRuntime

@Suite struct CallHistoryTests {
    @Test func aTenantThatComesBackHasWhatWasKeptOnce() {
        var history = CallHistory()
        history.keep([3, 2, 1], of: "a")
        history.keep([], of: "b")
        history.keep([5], of: "c")
        history.keep([6, 5], of: "c")
        #expect(history.take(of: "a") == [3, 2, 1] && history.take(of: "a") == [])
        #expect(history.take(of: "b") == [] && history.take(of: "c") == [6, 5])
    }

    @Test func whoWasNotHeardOfForLongIsForgotten() {
        var history = CallHistory()
        history.keep([1], of: "old")
        for number in 0..<10_000 { history.keep([2], of: "t\(number)") }
        #expect(history.take(of: "old") == [1])
        history.keep([1], of: "old")
        for number in 0..<20_000 { history.keep([2], of: "u\(number)") }
        #expect(history.take(of: "old") == [] && history.take(of: "t5") == [] && history.take(of: "u19999") == [2])
    }
}
