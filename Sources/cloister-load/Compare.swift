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
        guard (64...1 << 24).contains(memory) else { throw ValidationError("--memory-mb must be 64 to \(1 << 24)") }
        try checkWritable(json)
    }

    /// What the systems may have: `--memory-mb`; nil: no limit can be set here.
    private var memoryLimit: Int? {
        do {
            try MemoryCap(megabytes: memory).remove()
            return memory
        } catch {
            say("\(error): the systems run without a cap")
            return nil
        }
    }

    func run() async throws {
        let executable = daemon ?? daemonBeside()
        let limit = memoryLimit
        // The budget that it takes of itself where it is not told one, and sees the limit; at least what may be configured.
        let configuration = options.scenario.configuration(memoryMegabytes: limit.map { max($0 * 4 / 5, 64) })
        let systems: [any LoadedSystem] =
            [true, false].map {
                CloisterSystem(executable: executable, preempts: $0, configuration: configuration, memoryMegabytes: limit)
            } + peers.systems(modes: PeerSystem.Mode.allCases, memoryMegabytes: limit)
        var reports: [String: [LoadReport]] = [:]
        var parameters = options.parameters
        for round in 1...rounds {
            // Nobody always comes after the same one, whose processes the kernel may still be taking apart.
            let first = (round - 1) % systems.count
            for system in systems[first...] + systems[..<first] {
                try await Task.sleep(for: Self.pause)
                do {
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
