import ArgumentParser
import Foundation
import LoadHarness

struct Starts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures first answers, from snapshot, kept code and source and beside peers, for a small bundle and a large one.")

    @OptionGroup var peers: PeerOptions
    @Option(help: "Starts of each kind.") var rounds = 10
    @Option(help: "A module that answers any request: the large bundle, in place of a generated router of a megabyte.") var bundle: String?
    @Option(help: "cloisterd, where it does not lie beside this one.") var daemon: String?
    @Option(help: "Write all times there as JSON.") var json: String?

    func validate() throws {
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be 1 to 100") }
        try checkWritable(json)
    }

    func run() async throws {
        let largeSource = try bundle.map { path in
            do {
                return try String(contentsOfFile: path, encoding: .utf8)
            } catch {
                throw ValidationError("--bundle \(path): \(error.localizedDescription)")
            }
        }
        let comparison = StartComparison(
            daemon: daemon ?? daemonBeside(), peers: peers.systems(modes: [.workers]), rounds: rounds, largeSource: largeSource)
        let rows = try await comparison.run { say($0) }
        print(StartComparison.table(rows), terminator: "")
        if let json { try encode(rows).write(to: URL(fileURLWithPath: json)) }
    }
}
