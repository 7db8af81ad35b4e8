import Collections

/// Things that are due at a time, earliest first. Removal is lazy: an element that was removed leaves the heap when its time comes, or
/// when removed ones outnumber the rest. Pure: time is a parameter, in any unit.
public struct DeadlineQueue<ID: Hashable & Sendable>: Sendable {
    private struct Entry: Comparable, Sendable {
        var deadline: UInt64
        /// Tells a live entry from one whose id was removed or moved.
        var sequence: UInt64
        var id: ID
        static func < (a: Self, b: Self) -> Bool { (a.deadline, a.sequence) < (b.deadline, b.sequence) }
        static func == (a: Self, b: Self) -> Bool { a.sequence == b.sequence }
    }

    private var heap = Heap<Entry>()
    private var live: [ID: UInt64] = [:]
    private var sequence: UInt64 = 0

    /// With nothing due.
    public init() {}

    /// How many ids are set; one that was removed does not count.
    public var count: Int { live.count }
    /// Whether none is set.
    public var isEmpty: Bool { live.isEmpty }

    /// Sets when `id` is due, in place of what was set before.
    public mutating func set(_ id: ID, at deadline: UInt64) {
        sequence += 1
        live[id] = sequence
        heap.insert(Entry(deadline: deadline, sequence: sequence, id: id))
        if heap.count > 64, heap.count > live.count * 2 { compact() }
    }

    /// Forgets `id`; nothing happens when it is not set.
    public mutating func remove(_ id: ID) { live[id] = nil }

    /// The earliest.
    public mutating func first() -> ID? {
        dropRemoved()
        return heap.min?.id
    }

    /// When the earliest is due.
    public mutating func nextDeadline() -> UInt64? {
        dropRemoved()
        return heap.min?.deadline
    }

    /// Takes the earliest that is due at `now`.
    public mutating func popDue(at now: UInt64) -> ID? {
        dropRemoved()
        guard let first = heap.min, first.deadline <= now else { return nil }
        heap.removeMin()
        live[first.id] = nil
        return first.id
    }

    private mutating func dropRemoved() {
        while let first = heap.min, live[first.id] != first.sequence { heap.removeMin() }
    }

    private mutating func compact() {
        let kept = heap.unordered.filter { live[$0.id] == $0.sequence }
        heap = Heap(kept)
    }
}
