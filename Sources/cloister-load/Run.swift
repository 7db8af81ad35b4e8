import ArgumentParser
import Foundation
import LoadHarness

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs one scenario on a daemon that it starts with tenants of its own, or on one that runs.",
        discussion: "Exit status 1 when a threshold is missed or was not measured.")

    @OptionGroup var options: ScenarioOptions
    @Flag(help: "Start cloisterd with generated tenants (the default).") var spawn = false
    @Option(help: "HOST:PORT of a front that runs and has the scenario's tenants (see --write-tenants).") var target: String?
    @Option(help: "Port of that daemon's admin API on loopback.") var admin: Int?
    @Option(help: "State folder of that daemon, for its admin API's token.") var state: String?
    @Option(name: .customLong("write-tenants"), help: "Only write the scenario's tenants and policies into this folder.") var writeTenants:
        String?
    @Flag(name: .customLong("no-preemption"), help: "Let every turn run to its end, in the order in which they came.") var noPreemption =
        false
    @Option(help: "cloisterd, where it does not lie beside this one.") var daemon: String?
    @Option(name: .customLong("config"), help: "Configuration file of the daemon that is started.") var config: String?
    @Option(help: "Write the report there as JSON, else on standard output.") var json: String?
    @Option(help: "Write the report there as a page.") var report: String?
    @Option(name: .customLong("max-p50-ms"), help: "Exit 1 when the median is above, or nothing was answered.") var maxP50: Double?
    @Option(name: .customLong("max-p99-ms"), help: "Exit 1 when the 99th percentile is above.") var maxP99: Double?
    @Option(name: .customLong("max-p999-ms"), help: "Exit 1 when the 99.9th percentile is above.") var maxP999: Double?
    @Option(name: .customLong("max-errors"), help: "Exit 1 when there are more errors.") var maxErrors: Int?
    @Option(name: .customLong("min-throughput"), help: "Exit 1 when fewer requests a second are answered.") var minThroughput: Double?
    @Option(name: .customLong("min-jain"), help: "Exit 1 when Jain's index of a second is below.") var minJain: Double?
    @Option(name: .customLong("max-share-error"), help: "Exit 1 when a share is off by more, in parts of it.") var maxShareError: Double?
    @Option(name: .customLong("max-slowdown-p999"), help: "Exit 1 when the 99.9th percentile of slowdown is above.") var maxSlowdown:
        Double?

    func validate() throws {
        if spawn, target != nil { throw ValidationError("--spawn and --target exclude each other") }
        if let target, Self.address(target) == nil { throw ValidationError("--target must be HOST:PORT") }
        if target != nil, options.scenario == .churn { throw ValidationError("churn changes policies: it needs a daemon of its own") }
        if target == nil, admin != nil || state != nil { throw ValidationError("--admin and --state need --target") }
        if admin == nil, state != nil { throw ValidationError("--state is for the admin API: it needs --admin") }
        if let problem = thresholds.problem { throw ValidationError(problem) }
        for file in [json, report] { try checkWritable(file) }
    }

    private static func address(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port) else {
            return nil
        }
        return (String(text[..<colon]), port)
    }

    func run() async throws {
        if let writeTenants {
            let tenants = options.scenario.workload(options.parameters).tenants
            for tenant in tenants { try tenant.write(to: URL(fileURLWithPath: writeTenants)) }
            return say("wrote \(tenants.count) tenants; start cloisterd with --policies \(writeTenants)/policies")
        }
        let result: LoadReport
        if let target, let (host, port) = Self.address(target) {
            result = try await ScenarioRun(
                scenario: options.scenario, parameters: options.parameters,
                target: .init(system: "cloister", host: host, port: port, adminPort: admin, state: state, pid: nil), progress: progress
            ).run()
        } else {
            let configuration = try config.map { try String(contentsOfFile: $0, encoding: .utf8) } ?? options.scenario.usualConfiguration
            result = try await CloisterSystem(executable: daemon ?? daemonBeside(), preempts: !noPreemption, configuration: configuration)
                .run(options.scenario, options.parameters, progress: progress)
        }
        let data = try encode(result)
        if let json { try data.write(to: URL(fileURLWithPath: json)) } else { print(String(decoding: data, as: UTF8.self), terminator: "") }
        if let report { try Data(ReportPage(result).html.utf8).write(to: URL(fileURLWithPath: report)) }
        if let lost = result.cells_lost, lost > 0 { say("cloister-load: cells lost: \(lost); the daemon's log says why") }
        let missed = thresholds.missed(by: result)
        for line in missed { say("cloister-load: \(line)") }
        if !missed.isEmpty { throw ExitCode(1) }
    }

    private var thresholds: Thresholds {
        var thresholds = Thresholds()
        thresholds.maxP50Milliseconds = maxP50
        thresholds.maxP99Milliseconds = maxP99
        thresholds.maxP999Milliseconds = maxP999
        thresholds.maxErrors = maxErrors
        thresholds.minThroughput = minThroughput
        thresholds.minJain = minJain
        thresholds.maxShareError = maxShareError
        thresholds.maxSlowdownP999 = maxSlowdown
        return thresholds
    }

    /// A line a second on a terminal.
    private var progress: @Sendable (String) -> Void {
        let isTerminal = isatty(STDERR_FILENO) == 1
        return { line in if isTerminal { say(line) } }
    }
}
