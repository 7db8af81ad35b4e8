import Supervisor
import Testing

@testable import Admin

@Suite(.timeLimit(.minutes(1))) struct SharedReloadTests {
    /// Reloads that each go on when they are let go.
    private actor Work {
        private(set) var begun = 0
        private(set) var mostAtOnce = 0
        private var waiting: [CheckedContinuation<Void, Never>] = []

        func reload() async -> ReloadReport {
            begun += 1
            let number = begun
            mostAtOnce = max(mostAtOnce, waiting.count + 1)
            await withCheckedContinuation { waiting.append($0) }
            return ReloadReport(added: ["\(number)"], changed: [], removed: [], errors: [])
        }

        func reached(_ number: Int) async { while begun < number { await Task.yield() } }

        func letGo() { waiting.removeFirst().resume() }
    }

    private let work = Work()
    private let reload: SharedReload

    init() { reload = SharedReload { [work] in await work.reload() } }

    @Test func whoeverComesWhileOneRunsWaitsForTheSameNextOne() async {
        let first = Task { [reload] in await reload() }
        await work.reached(1)
        for number in 2...3 {
            for _ in 0..<100 { await reload.request() }
            #expect(await work.begun == number - 1, "one begins while another runs")
            await work.letGo()
            await work.reached(number)
        }
        #expect(await first.value.added == ["1"])
        let last = Task { [reload] in await reload() }
        await work.letGo()
        await work.reached(4)
        await work.letGo()
        #expect(await last.value.added == ["4"], "the hundred have had more than one")
        #expect(await work.mostAtOnce == 1)
    }

    @Test func whoComesAfterOneHasEndedGetsAnother() async {
        for number in 1...3 {
            let report = Task { [reload] in await reload() }
            await work.reached(number)
            await work.letGo()
            #expect(await report.value.added == ["\(number)"])
        }
    }
}
