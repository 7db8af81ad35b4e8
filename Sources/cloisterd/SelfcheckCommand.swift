import ArgumentParser
import Foundation
import Sandbox
import Supervisor

/// `cloisterd selfcheck`.
struct SelfcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "selfcheck", abstract: "Starts disposable cells and proves each measure of the sandbox.")

    @Flag(help: "For machines.") var json = false
    @Option(help: "Instead, measure as many starts of a cell: from the launch to its READY, sandbox and all.") var starts: Int?
    @Option(help: "The cell's executable, where it does not lie beside this one.") var cell: String?

    private struct Report: Encodable {
        /// Whether nothing is missing that the kernel offers.
        var isProved: Bool
        var seconds: Double
        var measures: [Selfcheck.Row]
    }

    /// Times from the launch of a cell to its READY.
    private struct Starts: Encodable {
        var cell: String
        /// How many were asked for, and how many came that far.
        var starts: Int
        var ready: Int
        var p50Milliseconds: Double
        var p90Milliseconds: Double
        var longestMilliseconds: Double
    }

    func validate() throws {
        guard starts.map({ $0 > 0 }) ?? true else { throw ValidationError("--starts must be 1 or more") }
    }

    func run() async throws {
        do {
            let selfcheck = try Selfcheck(cell: cell ?? RunCommand.cellBesideThis)
            if let starts { try await measure(selfcheck, starts) } else { try await prove(selfcheck) }
            await selfcheck.shutdown()
        } catch let error as ExitCode {
            throw error
        } catch {
            complain("no cell can be started: \(error)")
            throw (error as? SandboxFailure).map(ExitStatus.of) ?? ExitStatus.unavailable
        }
    }

    private func prove(_ selfcheck: Selfcheck) async throws {
        let start = ContinuousClock.now
        let rows = try await selfcheck.run()
        let took = ContinuousClock.now - start
        let report = Report(
            isProved: rows.allSatisfy { $0.result != .missing },
            seconds: Double(took.components.attoseconds) / 1e18 + Double(took.components.seconds),
            measures: rows)
        json ? try Self.printJSON(report) : Self.table(report).forEach { print($0) }
        guard report.isProved else { throw ExitStatus.failure }
    }

    private func measure(_ selfcheck: Selfcheck, _ count: Int) async throws {
        var all: [Starts] = []
        for jit in [true, false] {
            let times = try await selfcheck.startTimes(count, jit: jit).map {
                Double($0.components.attoseconds) / 1e15 + Double($0.components.seconds) * 1e3
            }
            guard let longest = times.last else { throw ExitStatus.failure }
            all.append(
                Starts(
                    cell: jit ? "jit" : "jit-less", starts: count, ready: times.count, p50Milliseconds: times[times.count / 2],
                    p90Milliseconds: times[times.count * 9 / 10], longestMilliseconds: longest))
        }
        if json { return try Self.printJSON(all) }
        for row in all {
            print(
                "\(row.cell.padding(toLength: 8, withPad: " ", startingAt: 0))  \(row.ready) of \(count) starts: p50 "
                    + String(
                        format: "%.0f ms, p90 %.0f ms, longest %.0f ms", row.p50Milliseconds, row.p90Milliseconds,
                        row.longestMilliseconds))
        }
    }

    private static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    private static func table(_ report: Report) -> [String] {
        let rows =
            [("cell", "measure", "result", "how it was proved")]
            + report.measures.map { ($0.cell, $0.measure, $0.result.rawValue, $0.proof) }
        func width(_ column: ((String, String, String, String)) -> String) -> Int { rows.map { column($0).count }.max() ?? 0 }
        let widths = (width { $0.0 }, width { $0.1 }, width { $0.2 })
        func pad(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
        let counts = Dictionary(grouping: report.measures, by: \.result).mapValues(\.count)
        return rows.map { "\(pad($0.0, widths.0))  \(pad($0.1, widths.1))  \(pad($0.2, widths.2))  \($0.3)" } + [
            "\(counts[.proved, default: 0]) proved, \(counts[.missing, default: 0]) missing, \(counts[.notOffered, default: 0]) not offered here; "
                + String(format: "%.1f s", report.seconds)
        ]
    }
}
