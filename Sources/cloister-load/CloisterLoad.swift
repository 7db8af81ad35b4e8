import ArgumentParser
import Foundation
import LoadHarness

/// The load generator's command.
@main
struct CloisterLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloister-load", abstract: "Open-loop load on a daemon of its own, measured from when each request was due.",
        subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Starts cloisterd with tenants for a scenario and runs it.")

        @Option(help: "\(Scenario.allCases.map(\.rawValue).joined(separator: ", "))") var scenario: Scenario
        @Option(help: "Tenants that are called.") var tenants = 1
        @Option(help: "Requests a second.") var rate = 500.0
        @Option(help: "Seconds.") var duration = 5.0
        @Option(help: "Seed of the arrivals.") var seed: UInt64 = 1
        @Option(help: "Worker threads a cell.") var workers = 1
        @Flag(name: .customLong("no-preemption"), help: "Let every turn run to its end.") var noPreemption = false
        @Option(help: "Write the report there as JSON.") var json: String?
        @Option(name: .customLong("max-p99-ms"), help: "Exit 1 when the 99th percentile is above.") var maxP99: Double?
        @Option(help: "cloisterd, where it does not lie beside this one.") var daemon: String?

        func validate() throws {
            guard (1...50_000).contains(tenants) else { throw ValidationError("--tenants must be 1 to 50000") }
            guard rate > 0, rate <= 1_000_000 else { throw ValidationError("--rate must be above 0, at most 1000000") }
            guard duration > 0, duration <= 3_600 else { throw ValidationError("--duration must be above 0, at most 3600") }
            guard (1...256).contains(workers) else { throw ValidationError("--workers must be 1 to 256") }
        }

        func run() async throws {
            let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
            let beside = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("cloisterd").path
            let report = try await ScenarioRun(
                scenario: scenario, tenants: tenants, rate: rate, seconds: duration, seed: seed, workers: workers,
                executable: daemon ?? beside, preempts: !noPreemption
            ).run()
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            let data = try encoder.encode(report)
            if let json { try data.write(to: URL(fileURLWithPath: json)) } else { print(String(decoding: data, as: UTF8.self)) }
            if let maxP99, report.latency_ms.p99 > maxP99 {
                FileHandle.standardError.write(Data("p99 is \(report.latency_ms.p99) ms, above \(maxP99)\n".utf8))
                throw ExitCode(1)
            }
        }
    }
}

extension Scenario: ExpressibleByArgument {}
