import Foundation
import Scheduling

/// When tenants are called, as Azure's functions are (Shahrad et al., "Serverless in the Wild", ATC 2020): 2 % hot ones steadily, 18 % medium ones with a
/// wave over the day and bursts, 80 % rare ones after heavy-tailed gaps. A sixth of all but the hot are called by timers.
enum AzureCalls {
    enum Pattern {
        /// A Poisson process.
        case steady
        /// The same with a wave, of which the run is one period, and after each tenth call five more.
        case wave
        /// Always after the same time, but for a five-hundredth.
        case timer
        /// Pareto's distribution of gaps, with the exponent 1.2.
        case rare
    }

    static let timerShare = 0.16
    private static let (burstShare, burstCalls, burstGap) = (0.1, 5, 0.5)
    private static let paretoExponent = 1.2

    /// The pattern of the tenant that is `place` of `count` by how often it is called.
    static func pattern(_ place: Int, of count: Int, _ random: inout SplitMix64) -> Pattern {
        let (hot, medium) = Popularity.azureClasses(count)
        if place < hot { return .steady }
        if uniform(&random) < timerShare { return .timer }
        return place < hot + medium ? .wave : .rare
    }

    /// Seconds at which a tenant is called that is called once in `gap` seconds on average. Not in order, since bursts overlap.
    static func times(_ pattern: Pattern, gap: Double, seconds: Double, _ random: inout SplitMix64) -> [Double] {
        var times: [Double] = []
        switch pattern {
        case .steady:
            var time = exponential(gap, &random)
            while time < seconds {
                times.append(time)
                time += exponential(gap, &random)
            }
        case .timer:
            var time = uniform(&random) * gap
            while time < seconds {
                times.append(time)
                time += gap * (1 + 0.002 * ServiceTimes.normal(&random))
            }
        case .wave:
            let phase = uniform(&random) * 2 * .pi
            // Half of the calls are thinned out, and who is left brings further ones along.
            let drawn = gap * (1 + burstShare * Double(burstCalls)) / 2
            var time = exponential(drawn, &random)
            while time < seconds {
                if uniform(&random) < 0.5 + 0.5 * sin(time / seconds * 2 * .pi + phase) {
                    times.append(time)
                    if uniform(&random) < burstShare { times += (1...burstCalls).map { time + burstGap * Double($0) } }
                }
                time += exponential(drawn, &random)
            }
            times.removeAll { $0 >= seconds }
        case .rare:
            let shortest = gap * (paretoExponent - 1) / paretoExponent
            var time = uniform(&random) * gap
            while time < seconds {
                times.append(time)
                time += shortest * pow(uniform(&random), -1 / paretoExponent)
            }
        }
        return times
    }

    /// All calls of `seconds`, in order.
    /// - Parameter draw: the group and service time in nanoseconds of each.
    static func arrivals(
        tenants: Int, rate: Double, seconds: Double, _ random: inout SplitMix64,
        draw: (inout SplitMix64) -> (group: Int, service: UInt64) = { _ in (0, 0) }
    ) -> [Workload.Arrival] {
        precondition(rate > 0 && seconds > 0, "a plan needs a rate and a duration")
        var arrivals: [Workload.Arrival] = []
        for (tenant, share) in Popularity.azure(tenants).enumerated() {
            let pattern = pattern(tenant, of: tenants, &random)
            for time in times(pattern, gap: 1 / (rate * share), seconds: seconds, &random) {
                arrivals.append(.init(nanoseconds: UInt64(time * 1e9), tenant: tenant, group: 0))
            }
        }
        arrivals.sort { ($0.nanoseconds, $0.tenant) < ($1.nanoseconds, $1.tenant) }
        for index in arrivals.indices { (arrivals[index].group, arrivals[index].serviceNanoseconds) = draw(&random) }
        return arrivals
    }

    private static func uniform(_ random: inout SplitMix64) -> Double {
        Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)
    }
    private static func exponential(_ mean: Double, _ random: inout SplitMix64) -> Double { -log(uniform(&random)) * mean }
}

extension [Workload.Arrival] {
    /// Those before and those from a moment on, each counted from its own beginning.
    func split(atSeconds seconds: Double) -> (before: Self, after: Self) {
        let moment = UInt64(seconds * 1e9)
        let before = filter { $0.nanoseconds < moment }
        let after = dropFirst(before.count).map { arrival in
            var arrival = arrival
            arrival.nanoseconds -= moment
            return arrival
        }
        return (before, after)
    }
}
