/// Suspends a tenant that loses cells: from the second loss within a window on, unless told otherwise, for a time that doubles with each
/// further one. Pure.
public struct LossBackoff: Sendable {
    /// The loss that the first suspension comes with, unless told otherwise.
    public static let usualLosses = 2
    /// A quiet one forgives one loss.
    public static let windowNanoseconds: UInt64 = 60_000_000_000
    /// The first suspension takes this long, each further one twice as long as the one before.
    public static let firstSuspensionNanoseconds: UInt64 = 1_000_000_000
    /// No suspension takes longer.
    public static let longestSuspensionNanoseconds: UInt64 = 300_000_000_000

    private var losses = 0
    private var lastLossNanoseconds: UInt64 = 0
    private var suspendedUntilNanoseconds: UInt64 = 0

    /// Of a tenant that has lost nothing.
    public init() {}

    /// A cell died while a request of the tenant was being handled in it.
    /// - Parameter after: the loss that the first suspension comes with; 0: none does.
    public mutating func recordLoss(now: UInt64, after: Int = usualLosses) {
        // A quiet window forgives one loss after another, not all at once.
        if losses > 0 {
            let quietWindows = Int((now - lastLossNanoseconds) / Self.windowNanoseconds)
            losses = max(0, losses - quietWindows)
        }
        losses += 1
        lastLossNanoseconds = now
        let over = losses - after
        guard after > 0, over >= 0 else { return }
        let doubled = Self.firstSuspensionNanoseconds << UInt64(min(over, 20))
        suspendedUntilNanoseconds = now + min(doubled, Self.longestSuspensionNanoseconds)
    }

    /// How long the tenant stays suspended; nil when it is not.
    public func remainingNanoseconds(now: UInt64) -> UInt64? {
        suspendedUntilNanoseconds > now ? suspendedUntilNanoseconds - now : nil
    }
}
