/// Decides whether a tenant has a cell of its own for what it did: it lost a cell, it broke its limits again and again, or it burnt far more
/// CPU time than its neighbours. Pure.
public struct Quarantine: Sendable {
    /// Why a tenant is in quarantine.
    public enum Reason: String, Sendable, CaseIterable {
        /// A cell was lost through it.
        case cellLost = "cell_lost"
        /// It broke limits of CPU time or memory.
        case limits
        /// It used far more CPU time than any neighbour.
        case cpu
    }

    /// What is too much, and for how long it counts.
    public struct Rules: Sendable, Equatable {
        /// Broken limits within the window that are too many; 0: they never are.
        public var limitBreaches: Int
        /// In this time broken limits are counted, and losses that may be others' fault; over it CPU time is compared.
        public var windowNanoseconds: UInt64
        /// Without anything new for this long, it is over.
        public var quietNanoseconds: UInt64
        /// The daemon's defaults.
        public init(limitBreaches: Int = 10, windowNanoseconds: UInt64 = 60_000_000_000, quietNanoseconds: UInt64 = 3_600_000_000_000) {
            self.limitBreaches = limitBreaches
            self.windowNanoseconds = windowNanoseconds
            self.quietNanoseconds = quietNanoseconds
        }
    }

    /// What is remembered of each kind; older ones do not matter.
    public static let momentsLimit = 100
    /// Losses within a window, each with others who may be to blame as well, that are too many.
    public static let uncertainLossesLimit = 2
    /// The part of one processor over a whole window from which on a tenant's use can be far above its neighbours', and how many times the
    /// next one's use it then is.
    public static let (burntPart, burntFactor) = (0.4, 10.0)

    /// Why it is in quarantine; nil: it is not.
    public private(set) var reason: Reason?
    /// When that began, on the caller's clock; 0 while it is not.
    public private(set) var sinceNanoseconds: UInt64 = 0
    private var lastNanoseconds: UInt64 = 0
    private var breaches: [UInt64] = []
    private var uncertainLosses: [UInt64] = []

    /// Of a tenant that has done nothing.
    public init() {}

    /// A cell was lost.
    /// - Parameter isCertain: whether nobody else can be to blame.
    /// - Returns: whether the quarantine begins now.
    public mutating func recordLoss(isCertain: Bool, now: UInt64, _ rules: Rules) -> Bool {
        Self.note(now, in: &uncertainLosses, rules)
        lastNanoseconds = now
        return isCertain || uncertainLosses.count >= Self.uncertainLossesLimit ? begin(.cellLost, now) : false
    }

    /// An isolate was ended because it went over a limit.
    /// - Returns: whether the quarantine begins now.
    public mutating func recordBreach(now: UInt64, _ rules: Rules) -> Bool {
        guard rules.limitBreaches > 0 else { return false }
        Self.note(now, in: &breaches, rules)
        lastNanoseconds = now
        return breaches.count >= min(rules.limitBreaches, Self.momentsLimit) ? begin(.limits, now) : false
    }

    /// It used far more CPU time than any neighbour, see `farAbove`.
    /// - Returns: whether the quarantine begins now.
    public mutating func recordBurning(now: UInt64) -> Bool {
        lastNanoseconds = now
        return begin(.cpu, now)
    }

    /// Whether the quarantine is over by now: it was quiet for long enough. It is then as if nothing had been.
    public mutating func endIfQuiet(now: UInt64, _ rules: Rules) -> Bool {
        guard reason != nil, now - lastNanoseconds >= rules.quietNanoseconds else { return false }
        self = Quarantine()
        return true
    }

    private mutating func begin(_ reason: Reason, _ now: UInt64) -> Bool {
        guard self.reason == nil else { return false }
        self.reason = reason
        sinceNanoseconds = now
        return true
    }

    private static func note(_ now: UInt64, in moments: inout [UInt64], _ rules: Rules) {
        moments.removeAll { now - $0 >= rules.windowNanoseconds }
        if moments.count == momentsLimit { moments.removeFirst() }
        moments.append(now)
    }

    /// Which of the tenants of a cell, if any, used far more CPU time over a window than all others of it. Nobody is far above without
    /// neighbours that did something.
    public static func farAbove(cpuNanoseconds: [UInt64], windowNanoseconds: UInt64) -> Int? {
        var first = (index: 0, cpu: UInt64(0))
        var second: UInt64 = 0
        for (index, cpu) in cpuNanoseconds.enumerated() {
            if cpu > first.cpu {
                second = first.cpu
                first = (index, cpu)
            } else {
                second = max(second, cpu)
            }
        }
        let isMuch = Double(first.cpu) >= burntPart * Double(windowNanoseconds)
        return isMuch && second > 0 && Double(first.cpu) >= burntFactor * Double(second) ? first.index : nil
    }
}
