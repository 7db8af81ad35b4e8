import ArgumentParser
import Foundation
import LoadHarness

struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs one scenario on Cloister, on Cloister without preemption and on peers, alternating, and prints medians and ratios.")

    @OptionGroup var options: ScenarioOptions
    @OptionGroup var peers: PeerOptions
    @Option(help: "Alternating runs.") var rounds = 5
    @Option(name: .customLong("memory-mb"), help: "Memory that each system with its children may have, by cgroup where one is writable.")
    var memory = 4_096
    @Option(help: "cloisterd, where it does not lie beside this one.") var daemon: String?
    @Option(help: "Write all reports there as JSON.") var json: String?

    private static let pause = Duration.seconds(2)

    func validate() throws {
        guard options.scenario != .churn else { throw ValidationError("churn changes policies, which peers do not have") }
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be 1 to 100") }
        guard memory >= 64 else { throw ValidationError("--memory-mb must be at least 64") }
    }

    func run() async throws {
        let executable = daemon ?? daemonBeside()
        let systems: [any LoadedSystem] =
            [true, false].map {
                CloisterSystem(executable: executable, preempts: $0, configuration: options.scenario.usualConfiguration)
            } + peers.systems(modes: PeerSystem.Mode.allCases)
        let cap = MemoryCap(megabytes: memory)
        defer { cap.remove() }
        if let warning = cap.warning { say(warning) }
        var reports: [String: [LoadReport]] = [:]
        var parameters = options.parameters
        for round in 1...rounds {
            // Nobody always comes after the same one, whose processes the kernel may still be taking apart.
            let first = (round - 1) % systems.count
            for system in systems[first...] + systems[..<first] {
                try await Task.sleep(for: Self.pause)
                do {
                    try cap.join()
                    defer { cap.leave() }
                    let report = try await system.run(options.scenario, parameters) { _ in }
                    // The first one's for all: who runs JavaScript more slowly has the same to do.
                    parameters.roundsPerMicrosecond = parameters.roundsPerMicrosecond ?? report.rounds_per_us
                    reports[system.name, default: []].append(report)
                    say(
                        "round \(round), \(system.name): p99 \(ReportTable.text(report.latency_ms?.p99)) ms, \(ReportTable.number(report.throughput_rps)) requests/s"
                    )
                    if let lost = report.cells_lost, lost > 0 {
                        say("round \(round), \(system.name): cells lost: \(lost); the daemon's log says why")
                    }
                } catch {
                    // The first of all runs: what the others are compared with.
                    if reports.isEmpty { throw RunFailure(system: system.name, reason: error) }
                    say("round \(round), \(system.name): \(error)")
                }
            }
        }
        print(ReportTable(names: systems.map(\.name), reports: reports).text, terminator: "")
        if let json { try encode(reports).write(to: URL(fileURLWithPath: json)) }
    }
}

/// There is nothing to compare with.
private struct RunFailure: Error, CustomStringConvertible {
    var system: String
    var reason: any Error
    var description: String { "\(system) did not run: \(reason)" }
}
