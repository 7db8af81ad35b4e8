import ArgumentParser
import Foundation
import Sandbox
import Supervisor

/// `cloisterd selfcheck`.
struct SelfcheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "selfcheck", abstract: "Starts disposable cells and proves each measure of the sandbox.")

    @Flag(help: "For machines.") var json = false
    @Option(help: "The cell's executable, where it does not lie beside this one.") var cell: String?

    func run() throws {
        let results: [Selfcheck.Result]
        do { results = try Selfcheck.run(cell: cell ?? RunCommand.cellBesideThis) } catch {
            complain("no cell can be started: \(error)")
            throw ExitStatus.permission
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(results), as: UTF8.self))
        } else {
            let width = results.map(\.measure.count).max() ?? 0
            for result in results {
                print(
                    "\(result.isProved ? "ok  " : "FAIL") \(result.measure.padding(toLength: width, withPad: " ", startingAt: 0))  \(result.evidence)"
                )
            }
        }
        guard results.allSatisfy(\.isProved) else { throw ExitStatus.failure }
    }
}
