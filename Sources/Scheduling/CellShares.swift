import Glibc

/// What part of the machine the kernel should be told to give each cell, so that CPU time between cells follows the weight that is runnable in them.
/// The kernel shares each processor for itself and moves threads between them now and then, so that what cells get differs from the parts it was
/// told, by a fifth with three cells on two processors. Parts are therefore corrected by what was got: an integral controller, in factors. And what a cell
/// has had too little or too much of in the last second is made up for: of three cells on two processors one has a processor to itself, until it weighs
/// so little that the kernel moves another there.
///
/// Pure; one step every tenth of a second.
public struct CellShares: Sendable {
    /// One cell.
    public struct Cell: Sendable {
        /// Sum of the weights of the tenants that run or wait in it.
        public var weight: Double
        /// CPU time that it has used since it began.
        public var usedMicroseconds: UInt64
        /// What the kernel should be told, of 1 for all cells.
        public fileprivate(set) var share = 0.0
        /// Its part by weight alone; nil while it has the machine to itself, or nothing to do.
        public fileprivate(set) var weightShare: Double?
        /// By how much its part is larger than its weight's.
        private(set) var correction = 1.0
        private var lastUsedMicroseconds: UInt64?
        /// CPU time of the last step.
        fileprivate private(set) var stepMicroseconds = 0.0
        /// CPU time of a step, averaged over the last ones.
        private(set) var recentMicroseconds = 0.0
        /// What it should have had lately and did not, in steps of all that cells had.
        private var deficit = 0.0

        /// Begins without a correction, and owed nothing.
        public init(weight: Double = 0, usedMicroseconds: UInt64 = 0) {
            self.weight = weight
            self.usedMicroseconds = usedMicroseconds
        }

        fileprivate mutating func measure() {
            stepMicroseconds = lastUsedMicroseconds.map { usedMicroseconds >= $0 ? Double(usedMicroseconds - $0) : 0 } ?? 0
            lastUsedMicroseconds = usedMicroseconds
            recentMicroseconds += (stepMicroseconds - recentMicroseconds) * CellShares.averageGain
        }

        /// - Parameter ratio: what it should have had over what it had.
        fileprivate mutating func correct(by ratio: Double) {
            correction = CellShares.limited(correction * pow(ratio, CellShares.gain))
        }

        /// - Parameter part: what it should have had in the last step but did not, of what all cells had.
        fileprivate mutating func owe(_ part: Double) { deficit = deficit * CellShares.deficitMemory + part }

        fileprivate mutating func relax() {
            correction = pow(correction, CellShares.relaxation)
            deficit = 0
        }

        /// The weight that the kernel is told of, before it is made a share.
        fileprivate var effectiveWeight: Double {
            max(weight, CellShares.idleWeight) * CellShares.limited(correction * exp(deficit * CellShares.repaymentGain))
        }
    }

    /// An idle cell counts as much as one tenant of the usual weight: it has that much at once when something comes.
    public static let idleWeight = 100.0
    /// How fast corrections follow what was got: slower than the average over steps, or it would swing.
    private static let gain = 0.3
    private static let averageGain = 0.3
    /// A cell that cannot use its part (fewer workers than that would take) must not drive the others' to nothing.
    private static let largestCorrection = 4.0
    private static func limited(_ factor: Double) -> Double { min(max(factor, 1 / largestCorrection), largestCorrection) }
    /// What is left of a deficit after a step, and how strongly it is made up for: 2 to 6 gave the same in three or four runs of three cells each, 10 with
    /// a memory of 0.8 no more (docs/benchmarks.md).
    private static let deficitMemory = 0.9
    private static let repaymentGain = 4.0
    /// How fast a correction is forgotten while a cell has nothing to do.
    private static let relaxation = 0.95

    /// How many of its workers a cell may run at once: with more of them than its part of the processors, its tenants would all run, however little
    /// some of them weigh, and share the part equally.
    public static func workers(_ cell: Cell, of workers: Int, processors: Int) -> Int {
        guard let share = cell.weightShare else { return workers }
        return min(max(Int((share * Double(processors)).rounded()), 1), workers)
    }

    /// Takes a step: sets each cell's share from its weight and from what it used since the last step.
    public static func step(_ cells: inout [Cell]) {
        for index in cells.indices { cells[index].measure() }
        let busy = cells.indices.filter { cells[$0].weight >= 1 && cells[$0].recentMicroseconds > 0 }
        let weight = busy.reduce(0) { $0 + cells[$1].weight }
        let used = busy.reduce(0) { $0 + cells[$1].recentMicroseconds }
        let stepUsed = busy.reduce(0) { $0 + cells[$1].stepMicroseconds }
        for index in cells.indices {
            if busy.count > 1, busy.contains(index) {
                let wanted = cells[index].weight / weight
                cells[index].weightShare = wanted
                let got = cells[index].recentMicroseconds / used
                cells[index].correct(by: min(max(wanted / got, 0.5), 2))
                if stepUsed > 0 { cells[index].owe(wanted - cells[index].stepMicroseconds / stepUsed) }
            } else {
                cells[index].weightShare = nil
                cells[index].relax()
            }
        }
        let total = cells.reduce(0) { $0 + $1.effectiveWeight }
        for index in cells.indices { cells[index].share = cells[index].effectiveWeight / total }
    }
}
