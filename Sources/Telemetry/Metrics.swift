import Synchronization

/// A number that several threads add to without a lock: the bits of a `Double` under compare-and-exchange, exact for whole numbers up to 2^53.
struct AtomicDouble: ~Copyable {
    private let bits: Atomic<UInt64>

    init(_ value: Double) { bits = Atomic(value.bitPattern) }

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: seen, desired: next, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}

/// A value that only grows; any thread may add to it.
public final class Counter: Sendable {
    private let total = AtomicDouble(0)

    /// At 0, and in no registry: `MetricsRegistry` makes those that are shown.
    public init() {}

    /// Adds `amount`, in the base unit of the metric (seconds, bytes, or a count). Negative or not finite amounts are ignored: a counter never falls.
    public func add(_ amount: Double) {
        guard amount >= 0, amount.isFinite else { return }
        total.add(amount)
    }

    /// Adds 1.
    public func increment() { total.add(1) }

    /// All that was added so far.
    public var value: Double { total.value }
}

/// A value that rises and falls; any thread may set it.
public final class Gauge: Sendable {
    private let current = AtomicDouble(0)

    /// At 0, and in no registry: `MetricsRegistry` makes those that are shown.
    public init() {}

    /// In the base unit of the metric.
    public func set(_ value: Double) { current.set(value) }
    /// Adds `amount`, which may be below 0.
    public func add(_ amount: Double) { current.add(amount) }

    /// What was set last, and what was added since.
    public var value: Double { current.value }
}

/// Counts observations by size; any thread may observe.
public final class Histogram: Sendable {
    /// Upper bounds of the buckets, ascending, without the last (+Inf).
    public let upperBounds: [Double]
    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private let total = AtomicDouble(0)

    /// Bounds in seconds from 0.5 ms to 30 s: what a request, a turn or a cold start may take.
    public static let secondsBounds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    /// The bounds must ascend.
    public init(upperBounds: [Double]) {
        precondition(zip(upperBounds, upperBounds.dropFirst()).allSatisfy { $0 < $1 }, "a histogram's bounds must ascend")
        self.upperBounds = upperBounds
        counts = .allocate(capacity: upperBounds.count + 1)
        for index in 0...upperBounds.count { (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: upperBounds.count + 1)
        counts.deallocate()
    }

    /// Counts `value`, in the base unit of the metric. Not a number is ignored.
    public func observe(_ value: Double) {
        guard !value.isNaN else { return }
        var index = 0
        while index < upperBounds.count, value > upperBounds[index] { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        total.add(value)
    }

    /// How many observations fell into each bucket, the last is +Inf's; not cumulated.
    public var bucketCounts: [UInt64] {
        (0...upperBounds.count).map { counts[$0].load(ordering: .relaxed) }
    }

    /// Of all observations, in the base unit of the metric.
    public var sum: Double { total.value }
}
