import Foundation
import FoundationXML
import Testing

@testable import LoadHarness

@Suite struct ReportTests {
    static func report(p99: Double = 5, errors: [String: Int] = [:], jain: Double = 1, share: Double = 0) -> LoadReport {
        let latency = LoadReport.Latency(p50: 1, p90: 2, p99: p99, p99_9: 9, max: 12)
        let group = LoadReport.Group(completed: 100, errors: errors, throughput_rps: 50, latency_ms: latency, slowdown: latency)
        return LoadReport(
            scenario: "hogs", system: "cloister", tenants: 3, workers: 1, cells: 1, duration_s: 2, offered_rps: 50, seed: 1, completed: 100,
            errors: errors, throughput_rps: 50, latency_ms: latency, groups: ["a<b": group, "victims": group],
            fairness: .init(jain: jain, max_share_error: share), preemptions: 4, handoffs: 5, cpu_us_per_request: 20, rss_bytes: 1 << 20,
            cold_starts: 1, pss_bytes_per_tenant: nil,
            series: (0..<3).map { .init(second: $0, completed: ["victims": 30 + $0], errors: 0, jain: 0.99, rss_bytes: 1 << 20) })
    }

    @Test func resultsKeepPercentilesAndErrorsApart() {
        var results = GroupResults()
        for milliseconds in 1...100 { results.record(latencyNanoseconds: UInt64(milliseconds) * 1_000_000, serviceNanoseconds: 500_000) }
        results.record(error: "cpu_limit")
        let report = results.report(seconds: 10)
        #expect(report.completed == 100 && report.errors == ["cpu_limit": 1] && report.throughput_rps == 10)
        #expect(abs(report.latency_ms.p50 - 50) < 0.1 && abs(report.latency_ms.p99 - 99) < 0.1 && abs(report.latency_ms.max - 100) < 0.1)
        #expect(abs(report.slowdown!.p50 - 100) < 1)
    }

    @Test func theNamesInJSONAreTheDocumentedOnes() throws {
        let object = try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(Self.report())) as? [String: Any])
        for name in [
            "scenario", "tenants", "workers", "duration_s", "offered_rps", "completed", "errors", "throughput_rps", "latency_ms", "groups",
            "fairness",
            "preemptions", "handoffs", "cpu_us_per_request", "rss_bytes", "cold_starts",
        ] { #expect(object[name] != nil, "\(name)") }
        #expect(Set((object["latency_ms"] as? [String: Any] ?? [:]).keys) == ["p50", "p90", "p99", "p99_9", "max"])
        #expect(Set((object["fairness"] as? [String: Any] ?? [:]).keys) == ["jain", "max_share_error"])
    }

    @Test func aThresholdIsMissedOnlyBeyondIt() {
        var thresholds = Thresholds()
        #expect(thresholds.missed(by: Self.report(errors: ["x": 9])).isEmpty)
        thresholds.maxP99Milliseconds = 5
        thresholds.maxErrors = 0
        thresholds.minJain = 0.99
        thresholds.maxShareError = 0.02
        thresholds.minThroughput = 50
        thresholds.maxSlowdownP999 = 9
        #expect(thresholds.missed(by: Self.report()).isEmpty)
        #expect(thresholds.missed(by: Self.report(p99: 5.1, errors: ["x": 1], jain: 0.98, share: 0.03)).count == 4)
    }

    @Test func fairnessIsMeasuredAsPublished() {
        #expect(FairnessMeasure.jain([1, 1, 1]) == 1)
        // One of four has all: 1 / 4.
        #expect(FairnessMeasure.jain([1, 0, 0, 0]) == 0.25)
        #expect(abs(FairnessMeasure.largestShareError(of: [11, 20], weights: [1, 2]) - (11.0 / 31 - 1.0 / 3) * 3) < 1e-12)
        #expect(FairnessMeasure.largestShareError(of: [10, 20], weights: [1, 2]) < 1e-12)
        #expect(FairnessMeasure.jainAmongEquals([1, 5, 1, 5], weights: [1, 2, 1, 2]) == 1)
    }

    @Test func thePageIsWellFormedAndNeedsNothingElse() throws {
        let html = ReportPage(Self.report()).html
        // As XML, but for the two tags that HTML does not close.
        let xml = html.replacing("<!doctype html>", with: "").replacing("<meta charset=\"utf-8\">", with: "")
        let parser = XMLParser(data: Data(xml.utf8))
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "") at line \(parser.lineNumber)")
        #expect(!html.contains("http") && !html.contains("a<b"))
        #expect(html.components(separatedBy: "<svg").count == 5)
    }

    @Test func mediansAreComparedWithTheFirst() {
        let text = ReportTable(
            names: ["cloister", "peer"], reports: ["cloister": [Self.report(p99: 4)], "peer": [Self.report(p99: 8), Self.report(p99: 12)]]
        ).text
        let rows = text.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
        #expect(rows[2][0] == "peer" && rows[2][1] == "2" && rows[2].contains("10") && rows[2].contains("2.50"))
    }

    @Test func startsAreComparedWithThoseFromTheSnapshot() {
        let rows = [
            StartComparison.Row(system: "snapshot", small_ms: [2, 1, 3], large_ms: [8]),
            .init(system: "peer", small_ms: [30], large_ms: []),
        ]
        let lines = StartComparison.table(rows).split(separator: "\n").map { line in
            line.split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(lines[1] == ["snapshot", "2", "1 to 3", "1", "8", "8 to 8", "1"], "\(lines)")
        #expect(lines[2] == ["peer", "30", "30 to 30", "15", "–", "–", "–"], "\(lines)")
    }
}
