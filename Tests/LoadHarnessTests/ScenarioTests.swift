import Foundation
import Scheduling
import Testing

@testable import LoadHarness

@Suite struct ScenarioTests {
    private static func parameters(
        tenants: Int = 10, rate: Double? = nil, seconds: Double = 20, warmUpSeconds: Double = 3, seed: UInt64 = 7
    ) -> ScenarioParameters {
        ScenarioParameters(tenants: tenants, rate: rate, load: 0.8, seconds: seconds, warmUpSeconds: warmUpSeconds, seed: seed, workers: 1)
    }

    private func measured(_ workload: Workload) -> [Workload.Arrival] { workload.phases.filter(\.isMeasured).flatMap(\.arrivals) }

    @Test(arguments: Scenario.allCases) func theSameSeedGivesTheSameLoadAndAnotherDoesNot(_ scenario: Scenario) {
        let first = scenario.workload(Self.parameters())
        let second = scenario.workload(Self.parameters())
        #expect(first.phases.map(\.arrivals) == second.phases.map(\.arrivals) && first.tenants == second.tenants)
        guard !measured(first).isEmpty, ![.coldstart, .idle].contains(scenario) else { return }
        #expect(measured(first) != measured(scenario.workload(Self.parameters(seed: 8))))
    }

    @Test(arguments: Scenario.allCases) func everyRequestIsForATenantAndAGroupThatThereIs(_ scenario: Scenario) {
        let workload = scenario.workload(Self.parameters())
        for phase in workload.phases {
            for arrival in phase.arrivals {
                #expect(workload.tenants.indices.contains(arrival.tenant) && workload.groups.indices.contains(arrival.group))
                if arrival.nanoseconds > UInt64(phase.seconds * 1e9) { Issue.record("it is due after its phase") }
            }
            for loop in phase.loops { #expect(loop.tenants.allSatisfy(workload.tenants.indices.contains)) }
        }
        #expect(Set(workload.tenants.map(\.name)).count == workload.tenants.count)
    }

    @Test(arguments: [Scenario.bimodal, .tpcc, .exponential, .azure]) func theOfferedWorkIsTheLoadThatWasAskedFor(_ scenario: Scenario) {
        let workload = scenario.workload(Self.parameters(seconds: 400))
        let work = measured(workload).reduce(0.0) { $0 + Double($1.serviceNanoseconds) } / 400e9
        #expect(abs(work - 0.8) < 0.06, "\(work)")
    }

    @Test(arguments: [Scenario.bimodal, .tpcc, .exponential, .azure, .soak, .zipf]) func theWarmUpIsAsLongAsAskedFor(_ scenario: Scenario) {
        func total(_ warmUpSeconds: Double) -> Double {
            scenario.workload(Self.parameters(warmUpSeconds: warmUpSeconds)).phases.filter { !$0.isMeasured }.reduce(0) { $0 + $1.seconds }
        }
        #expect(abs(total(9) - total(0) - 9) < 1e-9)
    }

    @Test(arguments: [Scenario.azure, .pressure, .registered]) func bundlesAreAsLargeAsTheyAreSaidToBeInClouds(_ scenario: Scenario) {
        let sizes = scenario.workload(Self.parameters(tenants: 20_000, seconds: 1)).tenants.map(\.bundleBytes).sorted()
        // Of 20,000 draws the median is within 2 %, the 99th percentile within 14 % (three standard errors), but for one run in several hundred.
        #expect(abs(Double(sizes[10_000]) / 20_000 - 1) < 0.06, "\(sizes[10_000])")
        #expect(abs(Double(sizes[19_800]) / 2_000_000 - 1) < 0.25, "\(sizes[19_800])")
        #expect(sizes.last! <= 10_000_000)
        var parameters = Self.parameters(seconds: 1)
        parameters.bundleBytes = 5_000
        #expect(scenario.workload(parameters).tenants.allSatisfy { $0.bundleBytes == 5_000 })
    }

    @Test func aBundleIsAsLargeAsAskedForAndEachTenantsIsItsOwn() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let sizes = [0, 10_000, 3_000_000, BundleSizes.mostBytes]
        for (number, size) in sizes.enumerated() {
            try Workload.Tenant("t\(number)", Scenario.smallSource(number), bundleBytes: size).write(to: folder)
            let text = try String(contentsOf: folder.appendingPathComponent("bundles/t\(number)/worker.js"), encoding: .utf8)
            #expect(text.hasPrefix(Scenario.smallSource(number)) && text.hasSuffix("\n"))
            #expect(size == 0 ? text.utf8.count < 200 : (size - 500...size).contains(text.utf8.count), "\(text.utf8.count)")
        }
    }

    @Test func arrivalsAreAPoissonProcessAtTheRate() {
        let arrivals = measured(Scenario.hello.workload(Self.parameters(rate: 1_000, seconds: 100)))
        #expect(zip(arrivals, arrivals.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
        // 100,000 expected; five standard deviations are 1,581.
        #expect(abs(arrivals.count - 100_000) < 1_581)
        #expect(Set(arrivals.map(\.tenant)) == Set(0..<10))
        let gaps = zip(arrivals.dropFirst(), arrivals).map { Double($0.nanoseconds - $1.nanoseconds) / 1e6 }
        let variance = gaps.reduce(0) { $0 + ($1 - 1) * ($1 - 1) } / Double(gaps.count)
        #expect(abs(variance - 1) < 0.1, "of an exponential distribution with mean 1 it is 1")
    }

    @Test func shortAndLongRequestsHaveTheirOwnTenants() {
        let arrivals = measured(Scenario.bimodal.workload(Self.parameters(tenants: 30, seconds: 60)))
        let short = Set(arrivals.filter { $0.group == 0 }.map(\.tenant))
        let long = Set(arrivals.filter { $0.group == 1 }.map(\.tenant))
        #expect(short.isDisjoint(with: long) && !short.isEmpty && !long.isEmpty)
    }

    @Test func hogsRunFirstWithoutAndThenWithHogsOfEachKind() {
        let workload = Scenario.hogs.workload(Self.parameters())
        let measured = workload.phases.filter(\.isMeasured)
        #expect(measured.count == 2 && measured[0].loops.isEmpty && measured[1].loops.count == Scenario.hogSources.count)
        #expect(Set(measured[0].arrivals.map(\.group)) == [1] && Set(measured[1].arrivals.map(\.group)) == [0])
    }

    @Test func ofHogsTheVictimsAreReported() {
        let workload = Scenario.hogs.workload(Self.parameters(tenants: 10))
        #expect(workload.reportedGroups.map { workload.groups[$0] } == ["victims"])
    }

    @Test(arguments: Scenario.allCases.filter { $0 != .hogs }) func allGroupsAreReported(_ scenario: Scenario) {
        let workload = scenario.workload(Self.parameters())
        #expect(workload.reportedGroups == Array(workload.groups.indices))
    }

    @Test func ratesAreOverTheSecondsOfTheirOwnPhases() {
        // 10 tenants at 100/s, each once, then all of them for 20 s.
        let resident = Scenario.resident.workload(Self.parameters(tenants: 10, rate: 100))
        #expect(abs(resident.measuredSeconds(of: [0]) - 0.1) < 1e-9 && resident.measuredSeconds(of: [1]) == 20)
        #expect(abs(resident.measuredSeconds(of: [0, 1]) - 20.1) < 1e-9)
        let hogs = Scenario.hogs.workload(Self.parameters())
        #expect(hogs.measuredSeconds(of: [0]) == 20 && hogs.measuredSeconds(of: [2]) == 20)
        // No plan has those who come and go.
        #expect(Scenario.churn.workload(Self.parameters()).measuredSeconds(of: [1]) == 20)
    }

    @Test func whoComesIsCalledInThreeSteps() {
        let calls = (0..<10).flatMap { TenantChurn.called(in: $0) }
        #expect(calls.count { $0 == 0 } == 3 && calls.count { $0 == 5 } == 3 && calls.max() == 9)
    }

    @Test func whoComesAndGoesIsPartOfTheOfferedRate() {
        // 100 steps in 20 s: one call in the first, two in the second, three in each of the others.
        #expect(TenantChurn.calls(inSeconds: 20) == 297)
        #expect(abs(Scenario.churn.workload(Self.parameters(rate: 40)).offeredRate - (40 + 297.0 / 20)) < 1e-9)
    }

    @Test func aPlanThatIsTooLongIsRefused() {
        for scenario in Scenario.allCases { #expect(scenario.problem(Self.parameters()) == nil, "\(scenario)") }
        // 4,000 requests a second for a day.
        #expect(Scenario.soak.problem(Self.parameters(seconds: 86_400))?.contains("--duration") == true)
        #expect(Scenario.soak.problem(Self.parameters(rate: 500, seconds: 86_400)) == nil)
        #expect(Scenario.hogs.problem(Self.parameters(rate: 400, seconds: 86_400))?.contains("--duration") == true, "it has two phases")
        // As many as are answered.
        #expect(Scenario.zipf.problem(Self.parameters(seconds: 86_400)) == nil)
    }

    @Test func aLoadThatIsNoneIsRefused() {
        for load in [1e-9, Double.leastNonzeroMagnitude] {
            var parameters = Self.parameters()
            parameters.load = load
            #expect(Scenario.bimodal.problem(parameters)?.contains("--load") == true)
            #expect(Scenario.hello.problem(parameters) == nil)
        }
    }

    @Test func whereAllFitNobodyIsRevived() {
        #expect(Scenario.revive.problem(Self.parameters(tenants: Scenario.reviveIsolates))?.contains("--tenants") == true)
        #expect(Scenario.revive.problem(Self.parameters(tenants: Scenario.reviveIsolates + 1)) == nil)
    }

    @Test(arguments: Scenario.allCases) func theBudgetCanBeAnother(_ scenario: Scenario) {
        // All else stays.
        let without = scenario.configuration(memoryMegabytes: nil)
        #expect(!without.contains("memory_mb") && scenario.configuration(memoryMegabytes: 100) == "memory_mb: 100\n" + without)
        let budget =
            switch scenario {
            case .pressure: "memory_mb: 512\n"
            case .registered: "memory_mb: 4096\n"
            default: ""
            }
        #expect(scenario.usualConfiguration == budget + without)
    }

    @Test func zipfFavoursTheFirst() {
        let shares = Popularity.zipf(1_000, exponent: 1.1)
        var random = SplitMix64(seed: 1)
        let cumulated = Popularity.cumulated(shares)
        let draws = (0..<100_000).map { _ in Popularity.draw(cumulated, &random) }
        let first = Double(draws.count { $0 == 0 }) / 100_000
        #expect(abs(first - shares[0] / shares.reduce(0, +)) < 0.01)
    }

    @Test func azuresSharesAddUp() { #expect(abs(Popularity.azure(500).reduce(0, +) - 1) < 1e-9) }
}
