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
        /// What it was given by the step before; 0: nothing yet.
        public var shareBytes: Double
        /// What a MiB more would save there, as `EvictionOrder.marginalValue`.
        public var marginalValue: Double

        /// Without evictions lately nothing is known of what more would save: 0.
        public init(heldBytes: Double, shareBytes: Double = 0, marginalValue: Double = 0) {
            self.heldBytes = heldBytes
            self.shareBytes = shareBytes
            self.marginalValue = marginalValue
        }
    }

    /// Of what cells may hold on average, what each may hold in any case: a cell that is new could not begin where others have taken all.
    public static let leastPart = 0.125
    /// No cell loses more than this of the average to others where room is said to be worth more: what a cell says may not be true.
    static let keptPart = 0.5
    /// Who holds this much of its part counts as holding all of it, or less would come of a step than the room that an isolate takes.
    static let usedPart = 0.9
    /// Of a cell's part, how much comes or goes in a step at most.
    static let largestStep = 0.05

    /// Takes a step, once a second.
    /// - Parameter availableBytes: what there is for all of them.
    /// - Returns: bytes of each, in their order.
    public static func step(_ cells: [Cell], availableBytes available: Double) -> [Double] {
        guard !cells.isEmpty else { return [] }
        let average = available / Double(cells.count)
        let least = average * leastPart
        let held = cells.map { max($0.heldBytes, $0.heldBytes >= $0.shareBytes * usedPart ? $0.shareBytes : 0, least) }
        let total = held.reduce(0, +)
        // What nobody holds yet, equally, so that whoever grows can.
        let spare = max(available - total, 0) / Double(cells.count)
        guard total > 0 else { return cells.map { _ in spare } }
        let mean = zip(cells, held).reduce(0) { $0 + $1.0.marginalValue * $1.1 } / total
        // Positive where room is worth more than on average.
        let moves = zip(cells, held).map { cell, held in
            guard mean > 0 else { return 0.0 }
            let move = held * largestStep * min(max(cell.marginalValue / mean - 1, -1), 1)
            return max(move, min(average * keptPart - held, 0))
        }
        let (gained, lost) = (moves.reduce(0) { $0 + max($1, 0) }, moves.reduce(0) { $0 - min($1, 0) })
        let moved = min(gained, lost)
        let scale = min(available, total) / total
        return zip(held, moves).map { held, move in
            (held + (move == 0 ? 0 : move * moved / (move > 0 ? gained : lost))) * scale + spare
        }
    }
}
