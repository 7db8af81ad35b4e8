import ArgumentParser
import Foundation
import LoadHarness

struct Starts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures first answers, from snapshot, kept code and source and beside peers, for a small bundle and one of a megabyte.")

    @OptionGroup var peers: PeerOptions
    @Option(help: "Starts of each kind.") var rounds = 10
    @Option(help: "cloisterd, where it does not lie beside this one.") var daemon: String?
    @Option(help: "Write all times there as JSON.") var json: String?

    func validate() throws { guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be 1 to 100") } }

    func run() async throws {
        let comparison = StartComparison(daemon: daemon ?? daemonBeside(), peers: peers.systems(modes: [.workers]), rounds: rounds)
        let rows = try await comparison.run { say($0) }
        print(StartComparison.table(rows), terminator: "")
        if let json { try encode(rows).write(to: URL(fileURLWithPath: json)) }
    }
}
