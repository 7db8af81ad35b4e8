/// A seeded source of random numbers, the same on every machine: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64
    /// The same numbers for the same seed.
    public init(seed: UInt64) { state = seed }

    /// The next number, any of 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
