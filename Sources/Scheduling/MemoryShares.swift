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

    /// A cell's memory, as the kernel and the cell itself count it.
    public struct Use: Sendable {
        /// What it says that its isolates, and what it keeps for them, could touch.
        public let accountedBytes: Double
        /// What they have touched of it.
        public let heldBytes: Double
        /// What it takes besides, as sound cells do: nobody can give that back.
        public let overheadBytes: Double
        /// What is beyond that, which it must answer for itself, or a cell that accounts for nothing would leave the others nothing.
        public let excessBytes: Double

        /// - Parameter memoryBytes: by the kernel's count; 0: not known yet.
        public init(memoryBytes: Double, accountedBytes: Double) {
            self.accountedBytes = accountedBytes
            heldBytes = memoryBytes > 0 ? min(memoryBytes, accountedBytes) : accountedBytes
            overheadBytes = min(max(memoryBytes, accountedBytes), MemoryShares.soundBytes(accounted: accountedBytes)) - accountedBytes
            excessBytes = max(memoryBytes - accountedBytes - overheadBytes, 0)
        }
    }

    /// Memory that a cell takes besides its isolates and what it keeps for them: V8, the base snapshot, stacks, the C library's heap.
    private static let baseBytes = 96.0 * 1_048_576
    /// A cell takes less than this times what it accounts for.
    private static let soundFactor = 1.6

    /// What a sound cell takes at the most, by the kernel's count, that accounts for so much.
    public static func soundBytes(accounted: Double) -> Double { (accounted + baseBytes) * soundFactor }

    /// Whether a cell that holds more than it may gives nothing back; asked once a second. One that was only just told less, or has much to evict, does.
    public struct Overrun: Sendable {
        /// Far more than a cell that obeys ever is over what it was told.
        private static let factor = 1.25
        /// What does not fall to this part for so many seconds does not fall.
        private static let (fallenPart, secondsLimit) = (0.98, 30)
        private var seconds = 0
        private var lowestBytes = Double.infinity

        /// Of a cell that holds what it may.
        public init() {}

        /// - Returns: true once, and again after as long.
        public mutating func isLasting(heldBytes: Double, mayHoldBytes: Double) -> Bool {
            guard heldBytes > (mayHoldBytes + MemoryShares.baseBytes) * Self.factor else {
                self = Overrun()
                return false
            }
            guard heldBytes >= lowestBytes * Self.fallenPart else {
                (lowestBytes, seconds) = (heldBytes, 0)
                return false
            }
            seconds += 1
            guard seconds == Self.secondsLimit else { return false }
            self = Overrun()
            return true
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
