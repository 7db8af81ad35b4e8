import Testing

@testable import Scheduling

@Suite struct CellSharesTests {
    /// A kernel that gives cells their shares times `bias`, none more than a processor, of two.
    private func run(_ weights: [Double], bias: [Double], steps: Int, from cells: [CellShares.Cell]? = nil) -> [CellShares.Cell] {
        var cells = cells ?? weights.map { CellShares.Cell(weight: $0) }
        for index in cells.indices { cells[index].weight = weights[index] }
        for _ in 0..<steps {
            CellShares.step(&cells)
            let wanted = cells.indices.map { weights[$0] == 0 ? 0 : cells[$0].share * bias[$0] }
            var given = wanted.map { _ in 0.0 }
            var left = 2.0
            var open = Set(wanted.indices.filter { wanted[$0] > 0 })
            while !open.isEmpty {
                let sum = open.reduce(0) { $0 + wanted[$1] }
                let full = open.filter { wanted[$0] / sum * left >= 1 }
                for index in full.isEmpty ? open : full { given[index] = full.isEmpty ? wanted[index] / sum * left : 1 }
                if full.isEmpty { break }
                left -= Double(full.count)
                open.subtract(full)
                if left <= 0 { break }
            }
            for index in cells.indices { cells[index].usedMicroseconds += UInt64(given[index] * 100_000) }
        }
        return cells
    }

    private func parts(_ cells: [CellShares.Cell]) -> [Double] {
        let sum = cells.reduce(0) { $0 + $1.recentMicroseconds }
        return cells.map { $0.recentMicroseconds / sum }
    }

    @Test func whatCellsGetFollowsTheirWeightAlsoWhenTheKernelDoesNot() {
        let weights = [700.0, 900, 1_400]
        let fair = parts(run(weights, bias: [1, 1, 1], steps: 100))
        let corrected = parts(run(weights, bias: [1.6, 0.7, 1], steps: 100))
        for index in weights.indices {
            #expect(abs(fair[index] - weights[index] / 3_000) < 0.005)
            #expect(abs(corrected[index] / (weights[index] / 3_000) - 1) < 0.02, "\(corrected)")
        }
    }

    @Test func aCellThatCannotUseItsPartLeavesTheOthersTheirs() {
        // Nine tenths of two processors, and one worker.
        let cells = run([1_800, 100, 100], bias: [1, 1, 1], steps: 400)
        let got = parts(cells)
        #expect(got[0] > 0.45 && abs(got[1] - got[2]) < 0.01, "\(got)")
        #expect(cells.allSatisfy { $0.share > 0.001 })
        // It is forgotten soon once the cell has nothing to do.
        let after = run([0, 100, 100], bias: [1, 1, 1], steps: 100, from: cells)
        #expect(abs(after[0].correction - 1) < 0.05)
    }

    @Test func anIdleCellHasAShareAtOnce() {
        let cells = run([0, 3_000], bias: [1, 1], steps: 50)
        #expect(cells[0].share > 0.02 && cells[0].share < 0.1)
    }

    @Test func aCellRunsAsManyWorkersAsItsPartOfTheProcessorsIs() {
        let cells = run([700, 2_300], bias: [1, 1], steps: 20)
        #expect(cells.map { CellShares.workers($0, of: 4, processors: 2) } == [1, 2])
        #expect(cells.map { CellShares.workers($0, of: 4, processors: 8) } == [2, 4])
        // Alone it has all of them.
        let alone = run([0, 2_300], bias: [1, 1], steps: 100, from: cells)
        #expect(alone.map { CellShares.workers($0, of: 4, processors: 2) } == [4, 4])
    }

    /// A kernel that leaves three cells on two processors where they are until it would be out of balance without one: of two that share a processor the
    /// heavier moves when what is left behind weighs more than what it comes to, by a tenth of its own weight.
    @Test func noCellHasAProcessorToItselfForLong() {
        var cells = [100.0, 100, 100].map { CellShares.Cell(weight: $0) }
        var alone = 0
        var lowest = 1.0
        for _ in 0..<20 {
            var second = [0.0, 0, 0]
            for _ in 0..<10 {
                CellShares.step(&cells)
                let pair = cells.indices.filter { $0 != alone }.sorted { cells[$0].share < cells[$1].share }
                let sum = pair.reduce(0) { $0 + cells[$1].share }
                for index in cells.indices {
                    let given = index == alone ? 1 : cells[index].share / sum
                    second[index] += given
                    cells[index].usedMicroseconds += UInt64(given * 100_000)
                }
                if sum - cells[alone].share > cells[pair[1]].share * 1.1 { alone = pair[0] }
            }
            let total = second.reduce(0, +)
            lowest = min(lowest, total * total / (3 * second.reduce(0) { $0 + $1 * $1 }))
        }
        #expect(lowest > 0.98, "\(lowest)")
    }
}
