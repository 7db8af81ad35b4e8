/// What must hold of the scheduler in every machine.
enum Invariant: Sendable {
    /// No worker is idle beside a tenant that is runnable, and no place is free beside a request that may start.
    case workConservation, admission
    /// Who is runnable runs, and who may start a request starts one, before the others had many turns.
    case starvation, turns
    /// Those that always have something to do get what their weights say.
    case shares
    case quota, lag
    /// They shrink when many wait.
    case slices
    /// The latest request of the lightest tenant gives way, to a heavier one.
    case shedding
    case oneAnswer, limits
}

/// What must hold broke.
struct InvariantViolation: Error, CustomStringConvertible {
    var invariant: Invariant
    var what: String
    /// What replays it.
    var seed: UInt64 = 0
    var event = 0
    var description: String { "\(invariant): \(what) (seed \(seed), event \(event))" }
    init(_ invariant: Invariant, _ what: String) {
        self.invariant = invariant
        self.what = what
    }
}

/// A CPU quota, counted on its own: when its tenant may run.
struct QuotaModel {
    let nanosecondsPerSecond: Double
    /// What the scheduler may be late or early by for counting in whole nanoseconds of CPU time.
    let roundingNanoseconds: UInt64
    private var level: Double
    private var updated: UInt64

    init(milliseconds: Int, now: UInt64) {
        nanosecondsPerSecond = Double(milliseconds) * 1e6
        roundingNanoseconds = UInt64(2e9 / nanosecondsPerSecond) + 10
        level = nanosecondsPerSecond
        updated = now
    }

    mutating func level(now: UInt64) -> Double {
        level = min(level + Double(now - updated) * nanosecondsPerSecond / 1e9, nanosecondsPerSecond)
        updated = now
        return level
    }

    mutating func charge(_ nanoseconds: UInt64, now: UInt64) { level = level(now: now) - Double(nanoseconds) }

    /// When there is something again.
    mutating func allowedAt(now: UInt64) -> UInt64 { now + UInt64(max(-level(now: now), 0) / nanosecondsPerSecond * 1e9) }
}
