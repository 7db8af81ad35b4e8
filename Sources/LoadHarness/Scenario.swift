import Foundation

/// The workloads, by name.
public enum Scenario: String, CaseIterable, Sendable {
    /// One small handler.
    case hello
    /// The first answer of tenants that were never seen before, one after the other.
    case coldstart
    /// Small handlers alone, then beside endless loops: groups `victims_alone`, `victims`.
    case hogs
    /// Tenants that were called once and do nothing: the memory each adds.
    case idle
}

/// One run of a scenario.
public struct ScenarioRun: Sendable {
    public var scenario: Scenario
    public var tenants: Int
    public var rate: Double
    public var seconds: Double
    public var seed: UInt64
    public var workers: Int
    /// `cloisterd` to start.
    public var executable: String
    public var preempts: Bool

    public init(
        scenario: Scenario, tenants: Int, rate: Double, seconds: Double, seed: UInt64, workers: Int, executable: String, preempts: Bool
    ) {
        self.scenario = scenario
        self.tenants = tenants
        self.rate = rate
        self.seconds = seconds
        self.seed = seed
        self.workers = workers
        self.executable = executable
        self.preempts = preempts
    }

    static let helloSource = "export default { fetch() { return new Response('hello world'); } };"
    /// Limits under which a loop goes on for the whole run.
    static let loopPolicy = "limits: { cpu_ms: 300000, wall_ms: 600000, cpu_quota_ms_per_s: 1000000 }"
    /// Loops a worker in `hogs`.
    static let loopsPerWorker = 2

    public func run() async throws -> LoadReport {
        var made = (0..<tenants).map { SpawnedDaemon.Tenant("t\($0)", Self.helloSource) }
        let loops = scenario == .hogs ? workers * Self.loopsPerWorker : 0
        made += (0..<loops).map { .init("loop\($0)", "export default { fetch() { for (;;) {} } };", policy: Self.loopPolicy) }
        // The first call of a fresh cell is not a tenant's cold start.
        made.append(.init("warm", Self.helloSource))
        let daemon = try SpawnedDaemon(
            executable: executable, tenants: made, workers: workers, arguments: preempts ? [] : ["--no-preemption"])
        defer { daemon.end() }
        let client = LoadClient(host: "127.0.0.1", port: daemon.port)
        _ = try await client.run(LoadPlan(eachOf: 20, rate: 200)) { _ in "warm" }
        var groups: [String: GroupResults] = [:]
        let cpuBefore = daemon.cpuSeconds
        let pssBefore = daemon.cellPSSBytes
        var length = seconds
        switch scenario {
        case .hello: groups["hello"] = try await client.run(plan) { "t\($0)" }
        case .coldstart, .idle:
            groups["first"] = try await client.run(LoadPlan(eachOf: tenants, rate: rate)) { "t\($0)" }
            length = Double(tenants) / rate
        case .hogs:
            _ = try await client.run(LoadPlan(eachOf: tenants, rate: 500)) { "t\($0)" }
            groups["victims_alone"] = try await client.run(plan) { "t\($0)" }
            let hogs = LoadClient(host: "127.0.0.1", port: daemon.port)
            // They run until the daemon ends.
            let running = Task { _ = try await hogs.run(LoadPlan(eachOf: loops, rate: 1000)) { "loop\($0)" } }
            try await Task.sleep(for: .milliseconds(300))
            groups["victims"] = try await client.run(plan) { "t\($0)" }
            running.cancel()
        }
        let cpu = daemon.cpuSeconds - cpuBefore
        // Cells report once a second.
        try await Task.sleep(for: .milliseconds(1_500))
        return report(groups, daemon, length: length, cpu: cpu, pssBefore: pssBefore)
    }

    private var plan: LoadPlan { LoadPlan(rate: rate, seconds: seconds, tenants: tenants, seed: seed) }

    private func report(
        _ groups: [String: GroupResults], _ daemon: SpawnedDaemon, length: Double, cpu: Double, pssBefore: UInt64
    ) -> LoadReport {
        let main = (groups["victims"] ?? groups.values.first!).report(seconds: length)
        return LoadReport(
            scenario: scenario.rawValue, tenants: tenants, workers: workers, duration_s: length, offered_rps: rate, seed: seed,
            completed: main.completed, errors: main.errors, throughput_rps: main.throughput_rps, latency_ms: main.latency_ms,
            groups: groups.mapValues { $0.report(seconds: length) }, rss_bytes: daemon.rssBytes,
            pss_bytes_per_tenant: scenario == .idle ? (Double(daemon.cellPSSBytes) - Double(pssBefore)) / Double(tenants) : nil,
            preemptions: daemon.sum("preemptions"), cold_starts: daemon.sum("cold_starts"),
            cpu_us_per_request: scenario == .hogs ? nil : cpu * 1e6 / Double(max(main.completed, 1)))
    }
}
