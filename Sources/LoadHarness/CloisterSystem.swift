import Foundation

/// A system that a scenario can be run on.
public protocol LoadedSystem: Sendable {
    var name: String { get }
    /// Starts it with the scenario's tenants, runs the scenario and ends it.
    func run(_ scenario: Scenario, _ parameters: ScenarioParameters, progress: @escaping @Sendable (String) -> Void) async throws
        -> LoadReport
}

/// Cloister, with or without preemption.
public struct CloisterSystem: LoadedSystem {
    private let executable: String
    private let preempts: Bool
    private let configuration: String
    private let memoryMegabytes: Int?
    /// As reports and tables have it.
    public var name: String { preempts ? "cloister" : "cloister-run-to-completion" }

    /// - Parameters:
    ///   - executable: `cloisterd`.
    ///   - configuration: its configuration as YAML.
    ///   - memoryMegabytes: what all its processes may have, in MiB, by a `MemoryCap`; nil: there is none.
    public init(executable: String, preempts: Bool, configuration: String = "", memoryMegabytes: Int? = nil) {
        self.executable = executable
        self.preempts = preempts
        self.configuration = configuration
        self.memoryMegabytes = memoryMegabytes
    }

    /// The daemon is ended and its folder removed, also after an error. Throws when it does not come up, or as `MemoryCap` and `ScenarioRun` do.
    public func run(_ scenario: Scenario, _ parameters: ScenarioParameters, progress: @escaping @Sendable (String) -> Void) async throws
        -> LoadReport
    {
        let tenants = scenario.workload(parameters).tenants
        let cap = try memoryMegabytes.map { try MemoryCap(megabytes: $0) }
        defer { cap?.remove() }
        let daemon = try SpawnedDaemon(
            executable: executable, tenants: tenants + [Workload.Tenant("warm", Scenario.helloSource)], workers: parameters.workers,
            configuration: configuration, arguments: preempts ? [] : ["--no-preemption"], group: cap?.group)
        defer { daemon.end() }
        return try await ScenarioRun(
            scenario: scenario, parameters: parameters,
            target: .init(
                system: name, host: "127.0.0.1", port: daemon.port, adminPort: daemon.adminPort,
                state: daemon.folder.appendingPathComponent("state").path, pid: daemon.pid),
            progress: progress, churn: scenario == .churn ? TenantChurn(of: daemon) : nil
        ).run()
    }
}
