import Foundation

/// A seeded source of random numbers, the same on every machine: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// When requests are to be sent, and to whom: arrivals of a Poisson process, tenants uniformly. Decided before the run, whatever the answers
/// take, so that a slow server cannot slow the load down.
public struct LoadPlan: Sendable {
    public struct Arrival: Sendable, Equatable {
        /// From the start of the run.
        public var nanoseconds: UInt64
        public var tenant: Int
    }

    public var arrivals: [Arrival]

    /// - Parameters:
    ///   - rate: requests a second on average.
    ///   - seconds: length of the run.
    ///   - tenants: each arrival is for one of so many.
    public init(rate: Double, seconds: Double, tenants: Int, seed: UInt64) {
        precondition(rate > 0 && seconds > 0 && tenants > 0, "a plan needs a rate, a duration and tenants")
        var random = SplitMix64(seed: seed)
        var arrivals: [Arrival] = []
        var time = 0.0
        while true {
            // The gaps of a Poisson process are exponential: -ln(u) / rate.
            time += -log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)) / rate
            guard time < seconds else { break }
            arrivals.append(Arrival(nanoseconds: UInt64(time * 1e9), tenant: Int.random(in: 0..<tenants, using: &random)))
        }
        self.arrivals = arrivals
    }

    /// Each of `tenants` once, in order, at a steady rate.
    public init(eachOf tenants: Int, rate: Double) {
        arrivals = (0..<tenants).map { Arrival(nanoseconds: UInt64(Double($0) / rate * 1e9), tenant: $0) }
    }
}
