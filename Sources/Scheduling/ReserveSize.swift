/// How many isolates to keep ready: enough for those that come while more are made, at the rate at which they were taken lately. Pure: time is
/// a parameter.
public struct ReserveSize: Sendable {
    /// With nothing known.
    public static let least = 2
    /// An idle isolate holds about a mebibyte.
    public static let most = 16
    /// What was taken counts less by a factor of e after this, roughly: (1 + t/4)^-4 is as much as e^-t in small steps and 0.41 at 1.
    private static let memoryNanoseconds = 10e9
    /// Making one takes a few milliseconds, many times that while the machine is busy.
    private static let leadNanoseconds = 100e6

    private var taken = 0.0
    private var updatedNanoseconds: UInt64 = 0

    /// With nothing taken yet: as few as `least` should be ready.
    public init() {}

    private func remembered(_ now: UInt64) -> Double {
        guard now > updatedNanoseconds else { return taken }
        let root = 1 + Double(now - updatedNanoseconds) / Self.memoryNanoseconds / 4
        return taken / (root * root * root * root)
    }

    /// One was wanted, whether it was there or not.
    public mutating func noteTaken(now: UInt64) {
        taken = remembered(now) + 1
        updatedNanoseconds = max(updatedNanoseconds, now)
    }

    /// How many should be ready. A twentieth of one is none.
    public func target(now: UInt64) -> Int {
        let soon = remembered(now) / Self.memoryNanoseconds * Self.leadNanoseconds
        return min(Self.least + Int(soon + 0.95), Self.most)
    }
}
