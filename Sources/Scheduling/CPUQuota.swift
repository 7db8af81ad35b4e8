/// A tenant's CPU time per second with a burst of one second's worth, as a token bucket. What a request used is known only afterwards,
/// so the level may go below zero: nothing starts then until it is above. Pure: time is a parameter.
public struct CPUQuota: Sendable {
    /// What fills in a second, and the most there can be.
    public let nanosecondsPerSecond: Int64
    /// What is kept of a debt, and charged at once, at the most: a day.
    private static let longestDebtNanoseconds: Int64 = 86_400_000_000_000
    private static let billion: UInt64 = 1_000_000_000
    private var level: Int64
    private var updatedNanoseconds: UInt64
    /// What was gained below a nanosecond, in billionths of one: small steps add up to what one large step gives.
    private var remainder: UInt64 = 0

    /// Begins full: a second's worth may be used at once.
    public init(millisecondsPerSecond: Int, now: UInt64) {
        nanosecondsPerSecond = Int64(millisecondsPerSecond) * 1_000_000
        level = nanosecondsPerSecond
        updatedNanoseconds = now
    }

    private mutating func refill(_ now: UInt64) {
        guard now > updatedNanoseconds else { return }
        let elapsed = now - updatedNanoseconds
        updatedNanoseconds = now
        let room = UInt64(nanosecondsPerSecond - level)
        let (high, low) = elapsed.multipliedFullWidth(by: UInt64(nanosecondsPerSecond))
        let (sum, carries) = low.addingReportingOverflow(remainder)
        let top = high + (carries ? 1 : 0)
        // A quotient that would not fit is more than any bucket holds.
        let (credited, rest) = top < Self.billion ? Self.billion.dividingFullWidth((top, sum)) : (.max, 0)
        guard credited < room else {
            level = nanosecondsPerSecond
            remainder = 0
            return
        }
        level += Int64(credited)
        remainder = rest
    }

    /// Takes what was used.
    public mutating func charge(_ nanoseconds: UInt64, now: UInt64) {
        refill(now)
        level = max(level, -Self.longestDebtNanoseconds) - min(Int64(clamping: nanoseconds), Self.longestDebtNanoseconds)
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
