import Foundation
import NIOCore

/// One run of a scenario against a system that listens.
public final class ScenarioRun: @unchecked Sendable {
    /// What is called.
    public struct Target: Sendable {
        /// As reports call it.
        public var system: String
        /// Where its front listens. A tenant's requests have `NAME.localhost` as their host.
        public var host: String
        /// The front's.
        public var port: Int
        /// The port of a Cloister daemon's admin API; nil for others.
        public var adminPort: Int?
        /// The state folder of that daemon, which has the token for it.
        public var state: String?
        /// The process whose CPU time and memory are measured, with its children; nil: of a Cloister daemon the parent of its cells.
        public var pid: Int32?

        /// Nothing is connected or looked at yet.
        public init(system: String, host: String, port: Int, adminPort: Int?, state: String? = nil, pid: Int32?) {
            self.system = system
            self.host = host
            self.port = port
            self.adminPort = adminPort
            self.state = state
            self.pid = pid
        }
    }

    /// The run cannot show what it should.
    public struct Failure: Error, CustomStringConvertible {
        /// What was wrong, with the tenant that was called.
        public var description: String
    }

    private let scenario: Scenario
    private let parameters: ScenarioParameters
    private let workload: Workload
    private let target: Target
    private let observation: Observation
    /// Told once a second how it goes.
    private let progress: @Sendable (String) -> Void
    /// Adds and removes tenants while it runs; scenario `churn`.
    private let churn: TenantChurn?
    /// Tenants that always have something to do.
    private let busy: [Int]

    // On the client's event loop.
    private var groups: [GroupResults]
    private var isMeasuring = false
    /// Until when the phase sends requests.
    private var measuredUntil = NIODeadline.now()
    private var lastError: String?
    /// The phase's seconds, of all that are measured.
    private var seconds = 0..<1
    private var second = LoadReport.Second(second: 0, completed: [:], errors: 0)
    private var unanswered = UnansweredRequests()
    /// Answers that loops got, by tenant.
    private var loopAnswers: [Int: Int] = [:]

    // By `run` only.
    private var series: [LoadReport.Second] = []
    /// The measured phases and their seconds.
    private var plans: [(seconds: Range<Int>, phase: Workload.Phase)] = []
    /// What each of `busy` had got when a second ended.
    private var served: [[Double]] = []
    private var roundsPerMicrosecond: Double?
    /// Within it every cell has reported what it counts: they do once a second.
    private static let reportTime = Duration.milliseconds(1_500)
    private var usageBefore = Usage()
    private var pssBefore: UInt64?
    private var countersBefore: MemoryCounters?
    private var cellsLostBefore: Double?
    private var startsBefore: [String: Int]?

    /// - Throws: when the target's admin API does not answer or refuses.
    public init(
        scenario: Scenario, parameters: ScenarioParameters, target: Target, progress: @escaping @Sendable (String) -> Void = { _ in },
        churn: TenantChurn? = nil
    ) throws {
        self.scenario = scenario
        self.parameters = parameters
        self.target = target
        self.progress = progress
        self.churn = churn
        workload = scenario.workload(parameters)
        busy = workload.weights.keys.sorted()
        observation = try Observation(adminPort: target.adminPort, state: target.state, pid: target.pid)
        groups = workload.groups.map { _ in GroupResults() }
    }

    /// Runs all phases, once; returns what came of those that are measured. Throws a `Failure` when no request could be timed.
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
        var tenants = workload.tenants.map(\.name)
        if churn != nil { tenants += (0..<TenantChurn.steps(inSeconds: parameters.seconds)).map { TenantChurn.tenant($0).name } }
        return LoadClient(host: target.host, port: target.port, tenants: tenants, seed: parameters.seed) { [self] job, latency, error in
            take(job, latency, error)
        }
    }

    private func run(with client: LoadClient) async throws -> LoadReport {
        if workload.needsCalibration {
            let rounds = if let known = parameters.roundsPerMicrosecond { known } else { try await calibrate(client) }
            client.roundsPerMicrosecond = rounds
            roundsPerMicrosecond = rounds
        }
        let startsAt = workload.phases.firstIndex { $0.isMeasured } ?? 0
        cellsLostBefore = observation.memoryCounters?.cellsLost
        for (index, phase) in workload.phases.enumerated() {
            if index > 0, !phase.goesOn, scenario.isAboutMemory { try await observation.waitForSnapshots() }
            if index == startsAt {
                // Or the last second of the warm-up would count. Loops go on meanwhile.
                if index > 0, target.adminPort != nil, !phase.goesOn { try await Task.sleep(for: Self.reportTime) }
                usageBefore = observation.usage
                pssBefore = observation.cellPSSBytes
                countersBefore = observation.memoryCounters
                if scenario.isAboutMemory { startsBefore = observation.startsByTenant }
            }
            if phase.isMeasured { try await measure(phase, client) } else { try await client.run(phase) }
        }
        var usage = observation.usage
        // What loops are given is not over.
        if target.adminPort != nil, workload.phases.last?.loops.isEmpty ?? true {
            try await Task.sleep(for: Self.reportTime)
            usage.counters = observation.usage.counters
        }
        let results = try await client.onLoop { [self] in groups }
        var report = report(results, usage)
        if target.adminPort != nil { try await addMemory(to: &report, results) }
        return report
    }

    /// Runs a phase whose requests count, to the last answer.
    private func measure(_ phase: Workload.Phase, _ client: LoadClient) async throws {
        let seconds = series.count..<series.count + max(1, Int(phase.seconds.rounded()))
        plans.append((seconds, phase))
        try await client.onLoop { [self] in
            isMeasuring = true
            self.seconds = seconds
            measuredUntil = NIODeadline.now() + TimeAmount.nanoseconds(Int64(phase.seconds * 1e9))
        }
        let watcher = Task { await watch(client, phase) }
        let newcomers = Task { try await callNewcomers(client, seconds: phase.seconds) }
        try await client.run(phase)
        try await newcomers.value
        // Until those are answered, too, that came late.
        if churn != nil { try await client.run(.init(seconds: 0.001)) }
        // At once: loops go on.
        try await client.onLoop { [self] in
            isMeasuring = false
            for (job, age) in client.openLoopRequests {
                groups[job.group].record(openNanoseconds: age, serviceNanoseconds: job.serviceNanoseconds)
            }
        }
        await watcher.value
        let rest = try await client.onLoop { [self] in takeSecond() }
        // What came in time, but after the watcher had looked, counts in the last second.
        guard var last = series.popLast() else { return }
        last.completed.merge(rest.completed, uniquingKeysWith: +)
        last.errors += rest.errors
        series.append(last)
    }

    /// Has tenants come and go, and calls those that have come: when they are due, whatever reloads take.
    private func callNewcomers(_ client: LoadClient, seconds: Double) async throws {
        guard let churn else { return }
        let start = ContinuousClock.now
        let firstDue = NIODeadline.now()
        var thereSince: [NIODeadline] = []
        for step in 0..<TenantChurn.steps(inSeconds: seconds) {
            let milliseconds = step * 1000 / TenantChurn.stepsPerSecond
            try await Task.sleep(until: start + .milliseconds(milliseconds))
            for earlier in TenantChurn.called(in: step) where earlier < step {
                // An earlier reload may have taken until now. Nobody could be called before it was there.
                let due = max(firstDue + TimeAmount.milliseconds(Int64(milliseconds)), thereSince[earlier])
                client.call(workload.tenants.count + earlier, group: 1, due: due)
            }
            try churn.step(step)
            thereSince.append(.now())
            client.call(workload.tenants.count + step, group: 1)
        }
    }

    private func addMemory(to report: inout LoadReport, _ results: [GroupResults]) async throws {
        guard let countersBefore, let now = observation.memoryCounters else { return }
        let counters = now.since(countersBefore)
        report.cells_lost = cellsLostBefore.map { UInt64(max(now.cellsLost - $0, 0)) }
        report.evictions = UInt64(counters.evictions)
        report.revivals = UInt64(counters.revivals)
        report.cold_starts = UInt64(counters.coldStarts)
        let made = counters.revivals + counters.coldStarts
        // Who finds its isolate there has not seen a revival.
        let isOfRevivals = scenario == .revive && made >= 0.9 * Double(report.completed)
        if isOfRevivals, let p50 = results[0].milliseconds(atPercentile: 50), let p99 = results[0].milliseconds(atPercentile: 99) {
            report.revive_ms = .init(p50: p50, p99: p99)
        } else if let p50 = counters.revivalMilliseconds(at: 0.5), let p99 = counters.revivalMilliseconds(at: 0.99) {
            report.revive_ms = .init(p50: p50, p99: p99)
        }
        if scenario.isAboutMemory {
            // At the end none is on its way out besides those that fit.
            let counts = series.compactMap(\.isolates) + [observation.isolates ?? 0]
            let isolates = counts.reduce(0, +) / counts.count
            let bounds = EvictionBounds(workload.phases, tenants: workload.tenants.count, isolates: isolates)
            report.belady_ratio = made / Double(max(bounds.belady.misses, 1))
            report.belady_gap_closed = bounds.gapClosed(making: made - counters.prewarmed)
            report.belady_cost_gap_closed = costGapClosed(isolates: isolates)
            report.prewarmed = UInt64(counters.prewarmed)
            var bytes = observation.bytesPerTenant
            bytes.cold = observation.daemonPSSBytes.map { Double($0) / Double(workload.tenants.count) }
            report.bytes_per_tenant = bytes
        } else if scenario == .idle {
            let hot = report.pss_bytes_per_tenant
            try await observation.waitForSnapshots()
            observation.evict()
            // Until what cells keep of them for others has gone back, too.
            try await Task.sleep(for: .seconds(25))
            report.bytes_per_tenant = .init(hot: hot, warm: pssPerTenant, cold: nil)
        }
    }

    /// Of the time that foresight would save beside plain LRU, with as much room as the isolates took, the part that was saved to those who wait.
    private func costGapClosed(isolates: Int) -> Double? {
        let sizes = Dictionary(uniqueKeysWithValues: workload.tenants.map { ($0.name, max($0.bundleBytes, $0.source.utf8.count)) })
        guard let startsBefore, let starts = observation.startsByTenant, let model = observation.isolateModel(sizes) else { return nil }
        let items = workload.tenants.map { model.item(tenant: $0.name, bundleBytes: sizes[$0.name]!) }
        let newcomers = EvictionBounds.newcomers(workload.phases)
        var nanoseconds = 0.0
        for (index, tenant) in workload.tenants.enumerated() {
            let made = (starts[tenant.name] ?? 0) - (startsBefore[tenant.name] ?? 0) - (newcomers.contains(index) ? 1 : 0)
            nanoseconds += Double(max(made, 0)) * Double(items[index].costNanoseconds)
        }
        return EvictionBounds(workload.phases, items: items, capacityBytes: isolates * model.meanBytes).gapClosed(costing: nanoseconds)
    }

    /// What the tenants have added to the cells' proportional set size, each.
    private var pssPerTenant: Double? {
        guard let now = observation.cellPSSBytes, let pssBefore else { return nil }
        return (Double(now) - Double(pssBefore)) / Double(parameters.tenants)
    }

    private func take(_ job: LoadClient.Job, _ latency: UInt64, _ error: String?) {
        guard isMeasuring else { return lastError = error }
        let isInTime = job.due + TimeAmount.nanoseconds(Int64(latency)) < measuredUntil
        guard let error else {
            groups[job.group].record(latencyNanoseconds: latency, serviceNanoseconds: job.serviceNanoseconds, isInTime: isInTime)
            if isInTime { second.completed[workload.groups[job.group], default: 0] += 1 }
            if job.loop != nil { loopAnswers[job.tenant, default: 0] += 1 }
            return
        }
        if error == "unanswered" {
            groups[job.group].record(unansweredNanoseconds: latency, serviceNanoseconds: job.serviceNanoseconds)
        } else {
            groups[job.group].record(error: error)
        }
        if isInTime { second.errors += 1 }
        if let due = job.second { unanswered.add(second: Self.place(due, in: seconds), tenant: job.tenant) }
    }

    /// A phase's last second is as long as its last part.
    private static func place(_ second: Int, in seconds: Range<Int>) -> Int { min(seconds.lowerBound + second, seconds.upperBound - 1) }

    /// How many rounds of the tenants' loop take a microsecond: of three long runs after V8 has optimised it, the fastest.
    private func calibrate(_ client: LoadClient) async throws -> Double {
        client.roundsPerMicrosecond = 500
        let milliseconds = 40.0
        func visit() async throws -> Double {
            let start = ContinuousClock.now
            try await client.run(
                .init(
                    seconds: 0.001, arrivals: [.init(nanoseconds: 0, tenant: 0, group: 0, serviceNanoseconds: UInt64(milliseconds * 1e6))]))
            let taken = ContinuousClock.now - start
            if let error = try await client.onLoop({ [self] in lastError }) {
                throw Failure(description: "no request of \(workload.tenants[0].name) could be timed: \(error)")
            }
            return taken / .microseconds(1)
        }
        var best = Double.infinity
        for _ in 0..<6 { best = min(best, try await visit()) }
        return 500 * milliseconds * 1000 / best
    }

    /// Once a second of a measured phase: what was answered, how fairly, and what memory is held.
    private func watch(_ client: LoadClient, _ phase: Workload.Phase) async {
        let start = ContinuousClock.now
        let comparesBusy = !busy.isEmpty && !phase.loops.isEmpty
        if comparesBusy, let before = await busyServed(client) { served.append(before) }
        let count = max(1, Int(phase.seconds.rounded()))
        for number in 1...count {
            try? await Task.sleep(until: start + .seconds(number == count ? phase.seconds : Double(number)))
            guard var ended = try? await client.onLoop({ [self] in takeSecond() }) else { return }
            ended.second = series.count
            if comparesBusy, let after = await busyServed(client) {
                if let before = served.last {
                    ended.jain = FairnessMeasure.jainAmongEquals(zip(after, before).map(-), weights: busyWeights)
                }
                served.append(after)
            }
            if scenario == .soak || scenario == .churn { ended.rss_bytes = observation.rssBytes }
            if scenario.isAboutMemory { ended.isolates = observation.isolates }
            series.append(ended)
            let answered = ended.completed.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            progress("\(number) s: \(answered.isEmpty ? "nothing" : answered) answered, \(ended.errors) errors")
        }
    }

    private func takeSecond() -> LoadReport.Second {
        defer { second = LoadReport.Second(second: 0, completed: [:], errors: 0) }
        return second
    }

    // MARK: Fairness

    private var busyWeights: [Double] { busy.map { workload.weights[$0]! } }

    /// What each of `busy` has got so far: CPU time, or answers, of which each takes the same, where no admin API tells.
    private func busyServed(_ client: LoadClient) async -> [Double]? {
        guard target.adminPort != nil else {
            return try? await client.onLoop { [self] in busy.map { Double(loopAnswers[$0] ?? 0) } }
        }
        guard let seconds = observation.cpuSecondsByTenant else { return nil }
        return busy.map { seconds[workload.tenants[$0].name] ?? 0 }
    }

    /// Of CPU time among those who always have something to do, else of answers; nil where nobody could be compared.
    private func fairness() -> LoadReport.Fairness? {
        var shareError: Double?
        if busy.isEmpty {
            let asked = plans.lazy.flatMap { plan in
                plan.phase.arrivals.lazy.map {
                    (second: Self.place(Int($0.nanoseconds / 1_000_000_000), in: plan.seconds), tenant: $0.tenant)
                }
            }
            let measured = unanswered.fairness(of: asked)
            for (second, jain) in measured.jain where series.indices.contains(second) { series[second].jain = jain }
            shareError = measured.shareError
        } else if let first = served.first, let last = served.last {
            shareError = FairnessMeasure.largestShareError(of: zip(last, first).map(-), weights: busyWeights)
        }
        let jain = series.compactMap(\.jain).min()
        return jain == nil && shareError == nil ? nil : .init(jain: jain, max_share_error: shareError)
    }

    private func handoffs(_ usage: Usage) -> LoadReport.Handoffs? {
        guard let count = usage.count("handoffs", since: usageBefore), count > 0,
            let microseconds = usage.count("handoff_microseconds", since: usageBefore),
            let longest = observation.cells?.compactMap({ $0["longest_handoff_microseconds"] as? Int }).max()
        else { return nil }
        return LoadReport.Handoffs(mean: Double(microseconds) / Double(count) / 1e3, longest: Double(longest) / 1e3)
    }

    // MARK: Report

    private func report(_ results: [GroupResults], _ usage: Usage) -> LoadReport {
        let groups = results.indices.map { results[$0].report(seconds: workload.measuredSeconds(of: [$0])) }
        var all = GroupResults()
        for group in workload.reportedGroups { all.add(results[group]) }
        let seconds = workload.measuredSeconds(of: workload.reportedGroups)
        let own = all.report(seconds: seconds)
        let completed = groups.reduce(0) { $0 + $1.completed }
        let cpu = completed == 0 ? nil : usage.cpuSeconds(since: usageBefore).map { $0 * 1e6 / Double(completed) }
        let fairness = fairness()
        return LoadReport(
            scenario: scenario.rawValue, system: target.system, tenants: parameters.tenants, workers: parameters.workers,
            cells: observation.cells?.count, duration_s: seconds, offered_rps: workload.offeredRate, seed: parameters.seed,
            completed: completed, errors: groups.reduce(into: [:]) { $0.merge($1.errors, uniquingKeysWith: +) },
            throughput_rps: own.throughput_rps, latency_ms: own.latency_ms,
            groups: Dictionary(uniqueKeysWithValues: zip(workload.groups, groups)), fairness: fairness,
            preemptions: usage.count("preemptions", since: usageBefore), handoffs: usage.count("handoffs", since: usageBefore),
            handoff_ms: handoffs(usage),
            cpu_us_per_request: cpu, rss_bytes: observation.rssBytes, cold_starts: usage.count("cold_starts", since: usageBefore),
            pss_bytes_per_tenant: scenario == .idle || scenario == .resident ? pssPerTenant : nil, rounds_per_us: roundsPerMicrosecond,
            series: series)
    }
}
