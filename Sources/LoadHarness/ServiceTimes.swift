import Foundation
import Scheduling

/// How long handlers run, as published for schedulers, scaled to handlers' sizes.
struct ServiceTimes {
    /// A kind of request: how often, its mean, and how it is spread.
    struct Kind {
        enum Spread { case constant, exponential, azure }
        var group: String
        var probability: Double
        var meanNanoseconds: Double
        var spread = Spread.constant
    }

    var kinds: [Kind]

    /// 99.5 % short, 0.5 % a thousand times as long (Shinjuku, NSDI 2019).
    static let bimodal = ServiceTimes(kinds: [
        Kind(group: "short", probability: 0.995, meanNanoseconds: 100_000),
        Kind(group: "long", probability: 0.005, meanNanoseconds: 100_000_000),
    ])

    /// The five transactions of TPC-C on Silo (Shinjuku, NSDI 2019), times 20.
    static let tpcc = ServiceTimes(
        kinds: [
            ("payment", 0.44, 5.7), ("order_status", 0.04, 6), ("new_order", 0.44, 20), ("delivery", 0.04, 88), ("stock_level", 0.04, 100),
        ].map {
            Kind(group: $0.0, probability: $0.1, meanNanoseconds: $0.2 * 20_000)
        })

    static let exponential = ServiceTimes(kinds: [Kind(group: "all", probability: 1, meanNanoseconds: 200_000, spread: .exponential)])

    /// Azure Functions' lognormal durations (Shahrad et al., ATC 2020), a thousandth of them, at most 50 ms. The mean is that of what is drawn.
    static let azure = ServiceTimes(kinds: [Kind(group: "all", probability: 1, meanNanoseconds: 4_960_000, spread: .azure)])
    static let azureMu = -0.38
    static let azureSigma = 2.36
    static let azureLongestNanoseconds = 50e6

    var meanNanoseconds: Double { kinds.reduce(0) { $0 + $1.probability * $1.meanNanoseconds } }

    /// Draws a request: its kind and how long it runs.
    func draw(_ random: inout SplitMix64) -> (kind: Int, nanoseconds: UInt64) {
        var left = Double.random(in: 0..<1, using: &random)
        var kind = 0
        while kind < kinds.count - 1, left >= kinds[kind].probability {
            left -= kinds[kind].probability
            kind += 1
        }
        let mean = kinds[kind].meanNanoseconds
        let drawn =
            switch kinds[kind].spread {
            case .constant: mean
            case .exponential: -log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)) * mean
            case .azure: min(exp(Self.azureMu + Self.azureSigma * Self.normal(&random)) * 1e6, Self.azureLongestNanoseconds)
            }
        return (kind, UInt64(max(drawn, 1_000)))
    }

    /// Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
    static func normal(_ random: inout SplitMix64) -> Double {
        let u = Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)
        return (-2 * log(u)).squareRoot() * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
    }
}

/// Who is called how often.
enum Popularity {
    /// Zipf's law: the n-th gets a part in proportion to n to the power of minus `exponent`.
    static func zipf(_ count: Int, exponent: Double) -> [Double] { (1...count).map { pow(Double($0), -exponent) } }

    /// As Azure's functions: 2 % hot ones make 93.6 % of the calls (by Zipf 1.1 among themselves), 18 % medium ones 6 %, 80 % rare ones the rest.
    static func azure(_ count: Int) -> [Double] {
        let (hot, medium) = azureClasses(count)
        let rare = count - hot - medium
        let hotShares = zipf(hot, exponent: 1.1)
        let sum = hotShares.reduce(0, +)
        return hotShares.map { $0 / sum * 0.936 } + Array(repeating: 0.06 / Double(max(medium, 1)), count: medium)
            + Array(repeating: 0.004 / Double(max(rare, 1)), count: rare)
    }

    /// How many of so many tenants are hot, and how many medium; the others are rare.
    static func azureClasses(_ count: Int) -> (hot: Int, medium: Int) {
        let hot = max(1, count / 50)
        return (hot, max(0, min(count - hot, count * 18 / 100)))
    }

    /// Running sums, to draw from.
    static func cumulated(_ shares: [Double]) -> [Double] {
        var sum = 0.0
        return shares.map {
            sum += $0
            return sum
        }
    }

    static func draw(_ cumulated: [Double], _ random: inout SplitMix64) -> Int {
        let wanted = Double.random(in: 0..<cumulated.last!, using: &random)
        var (low, high) = (0, cumulated.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if cumulated[middle] > wanted { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
