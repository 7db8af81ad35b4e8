import Foundation
import Scheduling
import Testing

@testable import LoadHarness

/// The order of eviction beside plain LRU and Belady's rule, on calls like those of Azure's functions (Shahrad et al., ATC 2020): few hot tenants,
/// some medium ones with a wave over the day and bursts, many rare ones with heavy-tailed gaps; a sixth comes by timers; sizes lognormal.
@Suite struct EvictionSimulationTests {
    private struct Workload {
        var items: [EvictionSimulation.Item] = []
        var uses: [EvictionSimulation.Use] = []
        private var random: SplitMix64
        private let seconds: Double

        init(tenants: Int, seconds: Double, seed: UInt64) {
            random = SplitMix64(seed: seed)
            self.seconds = seconds
            for tenant in 0..<tenants {
                let bundle = min(exp(log(20e3) + 1.98 * normal()), 10e6)
                // An isolate has 0.9 MB, and a bundle's code becomes some objects; reviving it takes 1.5 ms and more with its size.
                items.append(.init(bytes: Int(900e3 + 3 * bundle), costNanoseconds: UInt64(1.5e6 + 12 * bundle)))
                let isPeriodic = uniform() < 0.16
                switch Double(tenant) / Double(tenants) {
                case ..<0.02: poisson(tenant, gap: 1 / (20 * pow(Double(tenant + 1), -1.1) + 0.5))
                case ..<0.2:
                    let gap = exp(log(60) + 0.7 * normal())
                    if isPeriodic { periodic(tenant, gap: gap) } else { wave(tenant, gap: gap) }
                default:
                    let shortest = 100 * exp(0.8 * normal())
                    if isPeriodic { periodic(tenant, gap: 5 * shortest) } else { pareto(tenant, shortest: shortest) }
                }
            }
            uses.sort { $0.nanoseconds < $1.nanoseconds }
        }

        private mutating func uniform() -> Double { Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random) }
        private mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }
        private mutating func use(_ tenant: Int, at time: Double) {
            if time < seconds { uses.append(.init(nanoseconds: UInt64(time * 1e9), item: tenant)) }
        }

        private mutating func poisson(_ tenant: Int, gap: Double) {
            var time = 0.0
            while time < seconds {
                time -= log(uniform()) * gap
                use(tenant, at: time)
            }
        }

        private mutating func periodic(_ tenant: Int, gap: Double) {
            var time = uniform() * gap
            while time < seconds {
                use(tenant, at: time)
                time += gap * (1 + 0.002 * normal())
            }
        }

        private mutating func wave(_ tenant: Int, gap: Double) {
            let phase = uniform() * 2 * .pi
            var time = 0.0
            while time < seconds {
                time -= log(uniform()) * gap
                guard uniform() < 0.5 + 0.5 * sin(time / seconds * 2 * .pi + phase) else { continue }
                use(tenant, at: time)
                if uniform() < 0.1 { for later in 1...5 { use(tenant, at: time + 0.5 * Double(later)) } }
            }
        }

        private mutating func pareto(_ tenant: Int, shortest: Double) {
            var time = uniform() * shortest * 6
            while time < seconds {
                use(tenant, at: time)
                time += shortest * pow(uniform(), -1 / 1.2)
            }
        }

        func simulation(holding share: Double) -> EvictionSimulation {
            EvictionSimulation(items: items, uses: uses, capacityBytes: Int(Double(items.reduce(0) { $0 + $1.bytes }) * share))
        }
    }

    /// Who comes regularly is brought back before its call, which Belady's rule does not do; without that what can be told from the past closes about
    /// half of the gap here (0.6 by rules that do worse than plain LRU on other mixes: `AzureCallsTests`). 0.08 is about what 4 GiB hold of 50,000 tenants.
    @Test(arguments: [(UInt64(1), 0.1, 0.7), (2, 0.2, 0.6), (3, 0.3, 0.6), (4, 0.08, 0.7)])
    func theOrderClosesMostOfTheGapBetweenLRUAndTheOptimum(seed: UInt64, share: Double, aim: Double) {
        let simulation = Workload(tenants: 600, seconds: 5_400, seed: seed).simulation(holding: share)
        let (lru, best) = (simulation.run(.order(.lru)), simulation.run(.belady))
        func closed(_ result: EvictionSimulation.Result) -> Double {
            (Double(lru.costNanoseconds) - Double(result.costNanoseconds)) / Double(lru.costNanoseconds - best.costNanoseconds)
        }
        let (order, whole) = (simulation.run(.order(.greedyDual)), simulation.run(.order(.greedyDual, prewarms: true)))
        print("seed \(seed), room for \(share): \(closed(order)) of the gap; with \(whole.prewarmed) brought back before: \(closed(whole))")
        #expect(closed(order) > 0.4 && closed(order) < 1, "seed \(seed), \(share): \(closed(order)) of the gap")
        #expect(closed(whole) > aim, "seed \(seed), \(share): \(closed(whole)) of the gap")
    }

    @Test func withRoomForAllNothingIsMissedTwice() {
        let workload = Workload(tenants: 50, seconds: 600, seed: 5)
        for rule in [EvictionSimulation.Rule.order(.lru), .order(.greedyDual), .belady] {
            let result = workload.simulation(holding: 1).run(rule)
            #expect(result.costNanoseconds == 0 && result.misses == Set(workload.uses.map(\.item)).count)
        }
    }

    @Test func ofTwoThatAreUsedInTurnOneStaysByBeladysRule() {
        let items = [EvictionSimulation.Item](repeating: .init(bytes: 10, costNanoseconds: 1), count: 3)
        let uses = (0..<90).map { EvictionSimulation.Use(nanoseconds: UInt64($0) * 1_000_000_000, item: $0 % 3) }
        let simulation = EvictionSimulation(items: items, uses: uses, capacityBytes: 20)
        // Going round, LRU always evicts who comes next.
        #expect(simulation.run(.order(.lru)).misses == 90)
        #expect(simulation.run(.belady).misses < 60)
    }
}
