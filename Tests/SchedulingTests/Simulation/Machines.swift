@testable import Scheduling

/// Machines to simulate.
extension SchedulerSimulation {
    private static func randomTenant(_ random: inout SplitMix64) -> Tenant {
        let weight = [1, 10, 100, 100, 100, 1000, 10_000].randomElement(using: &random)!
        let isBusy = Bool.random(using: &random)
        let services: [UInt64] = isBusy ? [1_000_000, 4_000_000, 100_000_000] : [20_000, 200_000, 2_000_000, 100_000_000]
        return Tenant(
            weight: weight,
            quotaMilliseconds: Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 1...500, using: &random) : nil,
            meanIntervalNanoseconds: isBusy ? nil : UInt64.random(in: 2_000_000...100_000_000, using: &random),
            meanServiceNanoseconds: services.randomElement(using: &random)!,
            admission: TenantAdmission(
                concurrency: Int.random(in: 1...8, using: &random), queue: Int.random(in: 0...16, using: &random), weight: weight))
    }

    /// Anything.
    static func randomMachine(seed: UInt64, workers: Int? = nil, faults: Faults, mutations: Mutations = Mutations()) throws -> Self {
        var random = SplitMix64(seed: seed)
        let limits = AdmissionLimits(
            machineConcurrency: Int.random(in: 4...60, using: &random), cellConcurrency: Int.random(in: 2...40, using: &random),
            machineQueue: Int.random(in: 2...50, using: &random))
        let some = Int.random(in: 1...4, using: &random)
        return try SchedulerSimulation(
            seed: seed, workers: workers ?? some,
            tenants: (0..<Int.random(in: 2...30, using: &random)).map { _ in randomTenant(&random) }, limits: limits, faults: faults,
            mutations: mutations)
    }

    /// Tenants that always have something to do, on one worker to four.
    static func busyMachine(seed: UInt64, window: UInt64? = nil, mutations: Mutations = Mutations()) throws -> Self {
        var random = SplitMix64(seed: seed)
        let workers = 1 + Int(seed % 4)
        let tenants = (0..<Int.random(in: 6...12, using: &random))
            .map { _ in
                let weight = Int.random(in: 50...1000, using: &random)
                return Tenant(
                    weight: weight, meanServiceNanoseconds: UInt64.random(in: 1_000_000...20_000_000, using: &random),
                    admission: TenantAdmission(concurrency: 3, queue: 2, weight: weight))
            }
        return try SchedulerSimulation(
            seed: seed, workers: workers, tenants: tenants, window: window ?? 100_000_000_000 / UInt64(workers), mutations: mutations)
    }

    /// Tenants that use up their quotas, and others that keep the worker busy.
    static func quotaMachine(seed: UInt64, mutations: Mutations = Mutations()) throws -> Self {
        try quotaMachine(seed: seed, busy: 2, mutations: mutations)
    }

    static func quotaMachine(seed: UInt64, busy: Int, mutations: Mutations) throws -> Self {
        let tenants = (0..<busy + 2)
            .map {
                Tenant(
                    weight: 100, quotaMilliseconds: $0 < busy ? nil : 100, meanServiceNanoseconds: 3_000_000,
                    admission: TenantAdmission(concurrency: 3, queue: 2, weight: 100))
            }
        return try SchedulerSimulation(seed: seed, workers: 1, tenants: tenants, mutations: mutations)
    }
}
