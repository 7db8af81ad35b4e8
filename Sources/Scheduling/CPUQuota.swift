/// A tenant's CPU time per second with a burst of one second's worth, as a token bucket. What a request used is known only afterwards,
/// so the level may go below zero: nothing starts then until it is above. Pure: time is a parameter.
public struct CPUQuota: Sendable {
    /// What fills in a second, and the most there can be.
    public let nanosecondsPerSecond: Int64
    private var level: Int64
    private var updatedNanoseconds: UInt64

    public init(millisecondsPerSecond: Int, now: UInt64) {
        nanosecondsPerSecond = Int64(millisecondsPerSecond) * 1_000_000
        level = nanosecondsPerSecond
        updatedNanoseconds = now
    }

    private mutating func refill(_ now: UInt64) {
        guard now > updatedNanoseconds else { return }
        let elapsed = Double(now - updatedNanoseconds) / 1e9
        let gained = elapsed >= 3_600 ? nanosecondsPerSecond * 3_600 : Int64(elapsed * Double(nanosecondsPerSecond))
        // Less than a nanosecond's worth is not lost: the time is kept until it adds up.
        guard gained > 0 else { return }
        updatedNanoseconds = now
        level = min(level + gained, nanosecondsPerSecond)
    }

    /// Takes what was used.
    public mutating func charge(_ nanoseconds: UInt64, now: UInt64) {
        refill(now)
        level -= Int64(clamping: nanoseconds)
    }

    /// Whether a request may start.
    public mutating func allows(now: UInt64) -> Bool {
        refill(now)
        return level > 0
    }

    /// Until a request may start; 0 when it may.
    public mutating func nanosecondsUntilAllowed(now: UInt64) -> UInt64 {
        refill(now)
        guard level <= 0 else { return 0 }
        return UInt64((Double(1 - level) / Double(nanosecondsPerSecond) * 1e9).rounded(.up)) + 1
    }
}
