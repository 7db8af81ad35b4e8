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

    func run() async throws {
        let start = ContinuousClock.now
        let rows: [Selfcheck.Row]
        do {
            let selfcheck = try Selfcheck(cell: cell ?? RunCommand.cellBesideThis)
            if let starts { return try await Self.measure(selfcheck, max(1, starts)) }
            rows = try await selfcheck.run()
            await selfcheck.shutdown()
        } catch {
            complain("no cell can be started: \(error)")
            throw ExitStatus.permission
        }
        let took = ContinuousClock.now - start
        let report = Report(
            isProved: rows.allSatisfy { $0.result != .missing },
            seconds: Double(took.components.attoseconds) / 1e18 + Double(took.components.seconds),
            measures: rows)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            Self.table(report).forEach { print($0) }
        }
        guard report.isProved else { throw ExitStatus.failure }
    }

    private static func measure(_ selfcheck: Selfcheck, _ count: Int) async throws {
        for jit in [true, false] {
            let times = try await selfcheck.startTimes(count, jit: jit).map {
                Double($0.components.attoseconds) / 1e15 + Double($0.components.seconds) * 1e3
            }
            guard let longest = times.last else { throw ExitStatus.failure }
            print(
                "\(jit ? "jit     " : "jit-less")  \(times.count) of \(count) starts: p50 "
                    + String(format: "%.0f ms, p90 %.0f ms, longest %.0f ms", times[times.count / 2], times[times.count * 9 / 10], longest))
        }
        await selfcheck.shutdown()
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
