/// What each cell may hold of the memory that there is for all cells' isolates. Where it is not enough, cells have it in proportion to what they hold, and
/// a little more where an eviction costs more than in others, each second: with equal cost everywhere no other division would save anything
/// (hill climbing: Cidon et al., "Cliffhanger: Scaling Performance Cliffs in Web Memory Caches", NSDI 2016).
///
/// Pure.
public enum MemoryShares {
    /// One cell.
    public struct Cell: Sendable {
        /// What its isolates, and what it keeps for them, take.
        public var heldBytes: Double
        /// What a MiB more would save there, as `EvictionOrder.marginalValue`.
        public var marginalValue: Double

        /// Without evictions lately nothing is known of what more would save: 0.
        public init(heldBytes: Double, marginalValue: Double = 0) {
            self.heldBytes = heldBytes
            self.marginalValue = marginalValue
        }
    }

    /// Of what cells may hold on average, what each may hold in any case: a cell that is new could not begin where others have taken all.
    public static let leastPart = 0.125
    /// Of a cell's part, how much comes or goes in a step at most.
    static let largestStep = 0.05

    /// Takes a step, once a second.
    /// - Parameter availableBytes: what there is for all of them.
    /// - Returns: bytes of each, in their order.
    public static func step(_ cells: [Cell], availableBytes available: Double) -> [Double] {
        guard !cells.isEmpty else { return [] }
        let least = available / Double(cells.count) * leastPart
        let held = cells.map { max($0.heldBytes, least) }
        let total = held.reduce(0, +)
        // What nobody holds yet, equally, so that whoever grows can.
        let spare = max(available - total, 0) / Double(cells.count)
        guard total > 0 else { return cells.map { _ in spare } }
        let mean = zip(cells, held).reduce(0) { $0 + $1.0.marginalValue * $1.1 } / total
        let wanted = zip(cells, held).map { cell, held in
            guard mean > 0 else { return held }
            return max(held * (1 + largestStep * min(max(cell.marginalValue / mean - 1, -1), 1)), least)
        }
        let scale = min(available, total) / wanted.reduce(0, +)
        return wanted.map { $0 * scale + spare }
    }
}
