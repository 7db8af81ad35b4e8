import Foundation
import Synchronization

/// One run of a scenario against a system that listens.
public final class ScenarioRun: @unchecked Sendable {
    /// What is called.
    public struct Target: Sendable {
        public var system: String
        public var host: String
        public var port: Int
        /// The port of a Cloister daemon's admin API; nil for others.
        public var adminPort: Int?
        /// The state folder of that daemon, which has the token for it.
        public var state: String?
        /// The process whose CPU time and memory are measured.
        public var pid: Int32?

        public init(system: String, host: String, port: Int, adminPort: Int?, state: String? = nil, pid: Int32?) {
            self.system = system
            self.host = host
            self.port = port
            self.adminPort = adminPort
            self.state = state
            self.pid = pid
        }
    }

    private let scenario: Scenario
    private let parameters: ScenarioParameters
    private let workload: Workload
    private let target: Target
    private let observation: Observation
    /// Told once a second how it goes.
    private let progress: @Sendable (String) -> Void
    /// Adds and removes tenants while it runs; scenario `churn`.
    private let churn: (@Sendable (_ step: Int) -> Void)?

    // On the client's event loop.
    private var groups: [GroupResults]
    private var isMeasuring = false
    private var second = LoadReport.Second(second: 0, completed: [:], errors: 0)

    // By `run` only.
    private var series: [LoadReport.Second] = []
    private var measuredSeconds = 0.0
    private var cpuByTenant: [[Double]] = []
    private var countersBefore = MemoryCounters()

    public init(
        scenario: Scenario, parameters: ScenarioParameters, target: Target, progress: @escaping @Sendable (String) -> Void = { _ in },
        churn: (@Sendable (_ step: Int) -> Void)? = nil
    ) {
        self.scenario = scenario
        self.parameters = parameters
        self.target = target
        self.progress = progress
        self.churn = churn
        workload = scenario.workload(parameters)
        observation = Observation(
            adminPort: target.adminPort, adminToken: target.state.flatMap { AdminQuery.token(state: $0) }, pid: target.pid)
        groups = workload.groups.map { _ in GroupResults() }
    }

    public func run() async throws -> LoadReport {
        let client = client()
        let report: LoadReport
        do {
            report = try await run(with: client)
        } catch {
            try? await client.stop()
            throw error
        }
        try await client.stop()
        return report
    }

    private func client() -> LoadClient {
        LoadClient(host: target.host, port: target.port, tenants: workload.tenants.map(\.name), seed: parameters.seed) {
            [self] job, latency, error in
            take(job, latency, error)
        }
    }

    private func run(with client: LoadClient) async throws -> LoadReport {
        if workload.needsCalibration { client.roundsPerMicrosecond = try await calibrate(client) }
        let startsAt = workload.phases.firstIndex { $0.isMeasured } ?? 0
        var cpuBefore = 0.0
        var pssBefore: UInt64 = 0
        var coldBefore: UInt64 = 0
        for (index, phase) in workload.phases.enumerated() {
            if index == startsAt {
                cpuBefore = observation.cpuSeconds
                pssBefore = observation.cellPSSBytes
                coldBefore = observation.sum("cold_starts")
                if scenario.isAboutMemory { try await observation.waitForSnapshots() }
                countersBefore = observation.memoryCounters
            }
            try await client.onLoop { [self] in isMeasuring = phase.isMeasured }
            let watcher = phase.isMeasured ? Task { await watch(client, seconds: phase.seconds) } : nil
            try await client.run(phase)
            await watcher?.value
            try await client.onLoop { [self] in
                isMeasuring = false
                if phase.isMeasured, client.outstandingArrivals > 0 {
                    groups[0].record(error: "unanswered", count: client.outstandingArrivals)
                }
            }
            if phase.isMeasured { measuredSeconds = phase.seconds }
        }
        let cpu = observation.cpuSeconds - cpuBefore
        if target.adminPort != nil {
            // Cells report once a second.
            try await Task.sleep(for: .milliseconds(1_500))
        }
        let results = try await client.onLoop { [self] in groups }
        var report = report(results, cpu: cpu, pssBefore: pssBefore, coldBefore: coldBefore)
        if target.adminPort != nil { try await addMemory(to: &report, results, pssBefore: pssBefore) }
        return report
    }

    private func addMemory(to report: inout LoadReport, _ results: [GroupResults], pssBefore: UInt64) async throws {
        let counters = observation.memoryCounters.since(countersBefore)
        report.evictions = UInt64(counters.evictions)
        report.revivals = UInt64(max(counters.revivals, 0))
        report.cold_starts = UInt64(max(counters.coldStarts, 0))
        if scenario == .revive {
            report.revive_ms = .init(p50: results[0].milliseconds(atPercentile: 50), p99: results[0].milliseconds(atPercentile: 99))
        } else if let p50 = counters.revivalMilliseconds(at: 0.5), let p99 = counters.revivalMilliseconds(at: 0.99) {
            report.revive_ms = .init(p50: p50, p99: p99)
        }
        if scenario.isAboutMemory, let phase = workload.phases.last {
            let best = BeladyBound.misses(phase.arrivals, tenants: workload.tenants.count, isolates: Int(observation.sum("isolates")))
            report.belady_ratio = (counters.revivals + counters.coldStarts) / Double(max(best, 1))
            var bytes = observation.bytesPerTenant
            bytes.cold = Double(observation.daemonPSSBytes) / Double(workload.tenants.count)
            report.bytes_per_tenant = bytes
        } else if scenario == .idle {
            let hot = report.pss_bytes_per_tenant
            try await observation.waitForSnapshots()
            observation.evict()
            // Until what cells keep of them for others has gone back, too.
            try await Task.sleep(for: .seconds(25))
            report.bytes_per_tenant = .init(
                hot: hot, warm: (Double(observation.cellPSSBytes) - Double(pssBefore)) / Double(parameters.tenants), cold: nil)
        }
    }

    private func take(_ job: LoadClient.Job, _ latency: UInt64, _ error: String?) {
        guard isMeasuring else { return }
        if let error {
            groups[job.group].record(error: error)
            second.errors += 1
        } else {
            groups[job.group].record(latencyNanoseconds: latency, serviceNanoseconds: job.serviceNanoseconds)
            second.completed[workload.groups[job.group], default: 0] += 1
        }
    }

    /// How many rounds of the tenants' loop take a microsecond: of three long runs after V8 has optimised it, the fastest.
    private func calibrate(_ client: LoadClient) async throws -> Double {
        client.roundsPerMicrosecond = 500
        let milliseconds = 40.0
        func visit() async throws -> Double {
            let start = ContinuousClock.now
            try await client.run(
                .init(
                    seconds: 0.001, arrivals: [.init(nanoseconds: 0, tenant: 0, group: 0, serviceNanoseconds: UInt64(milliseconds * 1e6))]))
            return Double((ContinuousClock.now - start).components.attoseconds) / 1e12
        }
        var best = Double.infinity
        for _ in 0..<6 { best = min(best, try await visit()) }
        return 500 * milliseconds * 1000 / best
    }

    /// Once a second of a measured phase: what was answered, how fairly, and what memory is held.
    private func watch(_ client: LoadClient, seconds: Double) async {
        let start = ContinuousClock.now
        let names = workload.tenants.map(\.name)
        var before = scenario == .weights ? observation.cpuSecondsByTenant : [:]
        if scenario == .weights { cpuByTenant.append(names.map { before[$0] ?? 0 }) }
        let steps = churn == nil ? 1 : 5
        for number in 0..<max(1, Int(seconds.rounded())) {
            for step in 0..<steps {
                let wake = start + .milliseconds(number * 1000 + (step + 1) * 1000 / steps)
                try? await Task.sleep(until: wake)
                churn?(number * steps + step)
            }
            guard var ended = try? await client.onLoop({ [self] in takeSecond() }) else { return }
            ended.second = series.count
            if scenario == .weights {
                let after = observation.cpuSecondsByTenant
                let used = names.map { (after[$0] ?? 0) - (before[$0] ?? 0) }
                cpuByTenant.append(names.map { after[$0] ?? 0 })
                ended.jain = FairnessMeasure.jainAmongEquals(used, weights: weights)
                before = after
            }
            if scenario == .soak || scenario == .churn { ended.rss_bytes = observation.rssBytes }
            series.append(ended)
            let answered = ended.completed.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            progress("\(number + 1) s: \(answered.isEmpty ? "nothing" : answered) answered, \(ended.errors) errors")
        }
    }

    private func takeSecond() -> LoadReport.Second {
        defer { second = LoadReport.Second(second: 0, completed: [:], errors: 0) }
        return second
    }

    private var weights: [Double] { workload.tenants.indices.map { Double(Scenario.weightSteps[$0 % Scenario.weightSteps.count]) } }

    private var fairness: LoadReport.Fairness {
        guard scenario == .weights, let first = cpuByTenant.first, let last = cpuByTenant.last else {
            return .init(jain: 1, max_share_error: 0)
        }
        let used = zip(last, first).map(-)
        return .init(
            jain: series.compactMap(\.jain).min() ?? 1, max_share_error: FairnessMeasure.largestShareError(of: used, weights: weights))
    }

    private func report(_ results: [GroupResults], cpu: Double, pssBefore: UInt64, coldBefore: UInt64) -> LoadReport {
        let groups = results.map { $0.report(seconds: measuredSeconds) }
        let main = groups[0]
        let completed = groups.reduce(0) { $0 + $1.completed }
        let cells = observation.cells
        let perTenant = scenario == .idle || scenario == .resident
        return LoadReport(
            scenario: scenario.rawValue, system: target.system, tenants: parameters.tenants, workers: parameters.workers,
            cells: cells.count,
            duration_s: measuredSeconds, offered_rps: workload.offeredRate, seed: parameters.seed, completed: completed,
            errors: groups.reduce(into: [:]) { $0.merge($1.errors, uniquingKeysWith: +) }, throughput_rps: main.throughput_rps,
            latency_ms: main.latency_ms, groups: Dictionary(uniqueKeysWithValues: zip(workload.groups, groups)), fairness: fairness,
            preemptions: observation.sum("preemptions"), handoffs: observation.sum("handoffs"),
            cpu_us_per_request: cpu * 1e6 / Double(max(completed, 1)), rss_bytes: observation.rssBytes,
            cold_starts: observation.sum("cold_starts") - min(coldBefore, observation.sum("cold_starts")),
            pss_bytes_per_tenant: perTenant
                ? (Double(observation.cellPSSBytes) - Double(pssBefore)) / Double(parameters.tenants) : nil, series: series)
    }
}
