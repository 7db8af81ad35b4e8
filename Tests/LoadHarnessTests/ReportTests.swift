import Foundation
import FoundationXML
import Testing

@testable import LoadHarness

@Suite struct ReportTests {
    static func report(p99: Double = 5, errors: [String: Int] = [:], jain: Double = 1, share: Double = 0) -> LoadReport {
        let latency = LoadReport.Latency(p50: 1, p90: 2, p99: p99, p99_9: 9, max: 12)
        let group = LoadReport.Group(completed: 100, open: 0, errors: errors, throughput_rps: 50, latency_ms: latency, slowdown: latency)
        return LoadReport(
            scenario: "hogs", system: "cloister", tenants: 3, workers: 1, cells: 1, duration_s: 2, offered_rps: 50, seed: 1, completed: 100,
            errors: errors, throughput_rps: 50, latency_ms: latency, groups: ["a<b": group, "victims": group],
            fairness: .init(jain: jain, max_share_error: share), preemptions: 4, handoffs: 5, cpu_us_per_request: 20, rss_bytes: 1 << 20,
            cold_starts: 1, cells_lost: 0, pss_bytes_per_tenant: nil,
            series: (0..<3).map { .init(second: $0, completed: ["victims": 30 + $0], errors: 0, jain: 0.99, rss_bytes: 1 << 20) })
    }

    @Test func resultsKeepPercentilesAndErrorsApart() throws {
        var results = GroupResults()
        for milliseconds in 1...100 { results.record(latencyNanoseconds: UInt64(milliseconds) * 1_000_000, serviceNanoseconds: 500_000) }
        results.record(error: "cpu_limit")
        let report = results.report(seconds: 10)
        #expect(report.completed == 100 && report.errors == ["cpu_limit": 1] && report.throughput_rps == 10)
        let latency = try #require(report.latency_ms)
        #expect(abs(latency.p50 - 50) < 0.1 && abs(latency.p99 - 99) < 0.1 && abs(latency.max - 100) < 0.1)
        #expect(abs(report.slowdown!.p50 - 100) < 1)
    }

    /// A report of a run in which nothing was measured.
    static var nothing: LoadReport {
        var report = report()
        report.completed = 0
        report.throughput_rps = 0
        report.latency_ms = nil
        for name in report.groups.keys { report.groups[name] = GroupResults().report(seconds: 2) }
        report.fairness = nil
        (report.cells, report.preemptions, report.handoffs, report.cold_starts) = (nil, nil, nil, nil)
        (report.cpu_us_per_request, report.rss_bytes, report.cells_lost) = (nil, nil, nil)
        report.series = []
        return report
    }

    @Test func whatWasNeverAnsweredIsNoQuickAnswer() throws {
        var results = GroupResults()
        #expect(results.report(seconds: 1).latency_ms == nil && results.milliseconds(atPercentile: 50) == nil)
        results.record(error: "broken")
        #expect(results.report(seconds: 1).latency_ms == nil)
        for _ in 0..<60 { results.record(latencyNanoseconds: 1_000_000, serviceNanoseconds: 1_000_000) }
        for _ in 0..<30 { results.record(unansweredNanoseconds: 60_000_000_000, serviceNanoseconds: 1_000_000) }
        for _ in 0..<10 { results.record(openNanoseconds: 5_000_000_000) }
        let report = results.report(seconds: 10)
        #expect(report.completed == 60 && report.open == 10 && report.errors == ["broken": 1, "unanswered": 30])
        let latency = try #require(report.latency_ms)
        #expect(latency.p50 < 1.1 && latency.p90 > 59_000 && latency.max > 59_000)
        #expect(try #require(report.slowdown).p99 > 59_000)
    }

    @Test func groupsAddUp() throws {
        var first = GroupResults()
        var second = GroupResults()
        for _ in 0..<90 { first.record(latencyNanoseconds: 1_000_000) }
        for _ in 0..<10 { second.record(latencyNanoseconds: 100_000_000) }
        second.record(error: "cpu_limit")
        first.add(second)
        let report = first.report(seconds: 2)
        #expect(report.completed == 100 && report.errors == ["cpu_limit": 1] && report.throughput_rps == 50)
        let latency = try #require(report.latency_ms)
        #expect(latency.p50 < 1.1 && latency.p99 > 99)
    }

    @Test func whatComesAfterTheTimeIsNoThroughput() {
        var results = GroupResults()
        for _ in 0..<60 { results.record(latencyNanoseconds: 1_000_000) }
        for _ in 0..<40 { results.record(latencyNanoseconds: 30_000_000_000, isInTime: false) }
        var sum = GroupResults()
        sum.add(results)
        sum.add(results)
        let (one, two) = (results.report(seconds: 10), sum.report(seconds: 10))
        #expect(one.completed == 100 && one.throughput_rps == 6 && two.completed == 200 && two.throughput_rps == 12)
        #expect(one.latency_ms.map { $0.p90 > 29_000 } == true, "it has a latency")
        // Where all came late there is a latency to keep to.
        var report = Self.report(p99: 5)
        report.throughput_rps = 0
        var thresholds = Thresholds()
        thresholds.maxP99Milliseconds = 5
        #expect(thresholds.missed(by: report).isEmpty)
    }

    @Test func aThresholdOfWhatWasNotMeasuredIsMissed() {
        var thresholds = Thresholds()
        thresholds.maxP50Milliseconds = 1e6
        thresholds.maxP99Milliseconds = 1e6
        thresholds.maxP999Milliseconds = 1e6
        thresholds.minJain = 0
        thresholds.maxShareError = 1e6
        thresholds.maxSlowdownP999 = 1e6
        let missed = thresholds.missed(by: Self.nothing)
        #expect(missed.count == 6 && missed.allSatisfy { $0.contains("not measured") }, "\(missed)")
        // Nor is the age of what was given up a latency.
        var results = GroupResults()
        results.record(unansweredNanoseconds: 60_000_000_000)
        var stalled = Self.nothing
        stalled.latency_ms = results.report(seconds: 1).latency_ms
        #expect(stalled.latency_ms != nil && thresholds.missed(by: stalled) == missed)
    }

    @Test(arguments: [Double.nan, -1, .infinity, -.infinity]) func aThresholdIsANumberOfAtLeastNothing(_ value: Double) {
        let limits: [(String, WritableKeyPath<Thresholds, Double?>)] = [
            ("--max-p50-ms", \.maxP50Milliseconds), ("--max-p99-ms", \.maxP99Milliseconds), ("--max-p999-ms", \.maxP999Milliseconds),
            ("--min-throughput", \.minThroughput), ("--min-jain", \.minJain), ("--max-share-error", \.maxShareError),
            ("--max-slowdown-p999", \.maxSlowdownP999),
        ]
        for (name, limit) in limits {
            var thresholds = Thresholds()
            thresholds[keyPath: limit] = 0.5
            #expect(thresholds.problem == nil)
            thresholds[keyPath: limit] = value
            #expect(thresholds.problem?.contains(name) == true)
        }
        var thresholds = Thresholds()
        thresholds.maxErrors = -1
        #expect(thresholds.problem?.contains("--max-errors") == true)
        thresholds.maxErrors = 0
        thresholds.minJain = 1.1
        #expect(thresholds.problem?.contains("--min-jain") == true)
    }

    @Test func thePageTellsOfMemoryWhereTheRunDoes() {
        var report = Self.report()
        #expect(!ReportPage(report).html.contains("Belady"))
        report.evictions = 5_432
        report.revive_ms = .init(p50: 3, p99: 4)
        report.belady_gap_closed = 0.625
        report.bytes_per_tenant = .init(hot: 850 * 1_024, warm: nil, cold: nil)
        report.series = (0..<3).map { .init(second: $0, completed: [:], errors: 0, isolates: 700 + $0) }
        let page = ReportPage(report).html
        for text in [
            "Evictions: 5432", "p50: 3 ms", "closed: 0.625", "a hot tenant: 850 KiB", "a warm one:\nnot measured", "Isolates over time",
        ] {
            #expect(page.contains(text), "\(text)")
        }
    }

    /// A cell's counts begin at nothing, and end with it.
    @Test func countersAreComparedCellByCell() {
        func counters(_ lines: [String]) -> MemoryCounters { MemoryCounters(parsing: lines.joined(separator: "\n")) }
        let before = counters([
            "cloister_evictions_total{cell=\"a#0\",reason=\"idle\"} 100", "cloister_evictions_total{cell=\"a#1\",reason=\"idle\"} 10",
            "cloister_prewarmed_total{cell=\"a#0\"} 50", "cloister_revival_duration_seconds_count 7", "cloister_cells_lost_total 1",
        ])
        let after = counters([
            "cloister_evictions_total{cell=\"a#1\",reason=\"idle\"} 15", "cloister_evictions_total{cell=\"a#2\",reason=\"limit\"} 3",
            "cloister_prewarmed_total{cell=\"a#2\"} 4", "cloister_revival_duration_seconds_count 9", "cloister_cells_lost_total 3",
        ])
        let since = after.since(before)
        #expect(since.evictions == 8 && since.prewarmed == 4 && since.revivals == 2 && since.cellsLost == 2)
    }

    @Test func whoeverBeganAnewHasCountedNothingBefore() {
        let names = [
            "cloister_evictions_total{cell=\"a#0\",reason=\"idle\"}", "cloister_prewarmed_total{cell=\"a#0\"}",
            "cloister_revival_duration_seconds_bucket{le=\"0.01\"}", "cloister_revival_duration_seconds_bucket{le=\"+Inf\"}",
            "cloister_revival_duration_seconds_count", "cloister_revivals_total{from=\"snapshot\"}",
            "cloister_cold_start_duration_seconds_count", "cloister_cells_lost_total",
        ]
        func counters(_ value: Int) -> MemoryCounters { MemoryCounters(parsing: names.map { "\($0) \(value)" }.joined(separator: "\n")) }
        let since = counters(2).since(counters(100))
        #expect(since.evictions == 0 && since.prewarmed == 0 && since.revivals == 0 && since.fromSnapshot == 0)
        #expect(since.coldStarts == 0 && since.cellsLost == 0 && since.revivalMilliseconds(at: 0.5) == nil)
    }

    @Test func theNamesInJSONAreTheDocumentedOnes() throws {
        func written(_ report: LoadReport) throws -> [String: Any] {
            try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(report)) as? [String: Any])
        }
        var report = Self.report()
        report.handoff_ms = .init(mean: 1, longest: 2)
        report.revive_ms = .init(p50: 3, p99: 4)
        report.evictions = 5
        report.revivals = 6
        report.prewarmed = 1
        report.belady_ratio = 1.5
        report.belady_gap_closed = 0.25
        report.belady_cost_gap_closed = 0.5
        report.bytes_per_tenant = .init(hot: 3, warm: 2, cold: 1)
        let object = try written(report)
        for name in [
            "scenario", "tenants", "workers", "duration_s", "offered_rps", "completed", "errors", "throughput_rps", "latency_ms", "groups",
            "fairness", "preemptions", "handoffs", "cpu_us_per_request", "rss_bytes", "cold_starts", "series",
        ] { #expect(object[name] != nil, "\(name)") }
        for name in ["evictions", "revivals", "prewarmed", "cells_lost", "belady_ratio", "belady_gap_closed", "belady_cost_gap_closed"] {
            #expect(object[name] is NSNumber, "\(name)")
        }
        let empty = try written(Self.nothing)
        for name in ["latency_ms", "fairness", "preemptions", "handoffs", "cpu_us_per_request", "rss_bytes", "cold_starts", "cells"] {
            #expect(empty[name] is NSNull, "\(name) is null, not 0, where it was not measured")
        }
        #expect(try JSONDecoder().decode(LoadReport.self, from: JSONEncoder().encode(Self.nothing)).rss_bytes == nil)
        #expect(Set((object["latency_ms"] as? [String: Any] ?? [:]).keys) == ["p50", "p90", "p99", "p99_9", "max"])
        #expect(Set((object["fairness"] as? [String: Any] ?? [:]).keys) == ["jain", "max_share_error"])
        #expect(Set((object["handoff_ms"] as? [String: Any] ?? [:]).keys) == ["mean", "longest"])
        #expect(Set((object["revive_ms"] as? [String: Any] ?? [:]).keys) == ["p50", "p99"])
        #expect(Set((object["bytes_per_tenant"] as? [String: Any] ?? [:]).keys) == ["hot", "warm", "cold"])
        let decoded = try JSONDecoder().decode(LoadReport.self, from: JSONEncoder().encode(report))
        #expect(decoded.revive_ms == report.revive_ms && decoded.bytes_per_tenant == report.bytes_per_tenant && decoded.revivals == 6)
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
        #expect(FairnessMeasure.jain([0, 0]) == nil)
        // One of four has all: 1 / 4.
        #expect(FairnessMeasure.jain([1, 0, 0, 0]) == 0.25)
        #expect(abs(FairnessMeasure.largestShareError(of: [11, 20], weights: [1, 2])! - (11.0 / 31 - 1.0 / 3) * 3) < 1e-12)
        #expect(FairnessMeasure.largestShareError(of: [10, 20], weights: [1, 2])! < 1e-12)
        #expect(FairnessMeasure.largestShareError(of: [0, 0], weights: [1, 2]) == nil)
        #expect(FairnessMeasure.largestShareError(of: [1], weights: [1]) == nil)
        #expect(FairnessMeasure.jainAmongEquals([1, 5, 1, 5], weights: [1, 2, 1, 2]) == 1)
        #expect(FairnessMeasure.jainAmongEquals([1, 5], weights: [1, 2]) == nil, "they are no equals")
    }

    @Test func fairnessOfAPlanIsAboutTheAnsweredParts() {
        // In second 0 one of two tenants gets nothing, in second 1 both get half, in second 2 one asks alone, in second 3 nobody gets anything.
        let asked = [(0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (1, 1), (1, 1), (2, 0), (3, 0), (3, 1)].map { (second: $0.0, tenant: $0.1) }
        var unanswered = UnansweredRequests()
        for (second, tenant) in [(0, 1), (0, 1), (1, 0), (1, 1), (3, 0), (3, 1)] { unanswered.add(second: second, tenant: tenant) }
        let fairness = unanswered.fairness(of: asked)
        #expect(fairness.jain == [0: 0.5, 1: 1])
        // Tenant 0 has 3 of 4 answers for 5 of 10 requests.
        #expect(abs(fairness.shareError! - 0.5) < 1e-12)
        #expect(UnansweredRequests().fairness(of: asked).shareError == 0)
    }

    @Test func thePageIsWellFormedAndNeedsNothingElse() throws {
        let html = ReportPage(Self.report()).html
        // As XML, but for the two tags that HTML does not close.
        let xml = html.replacing("<!doctype html>", with: "").replacing("<meta charset=\"utf-8\">", with: "")
        let parser = XMLParser(data: Data(xml.utf8))
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "") at line \(parser.lineNumber)")
        #expect(!html.contains("http") && !html.contains("a<b"))
        #expect(html.components(separatedBy: "<svg").count == 5)
        #expect(!html.contains("not measured"))
    }

    @Test func oneSecondIsALine() {
        var report = Self.report()
        report.groups["a<b"] = nil
        report.series.removeLast(2)
        let html = ReportPage(report).html
        #expect(html.contains("Throughput over time") && html.contains("Fairness over time") && html.contains("Resident memory over time"))
    }

    @Test func thePageInventsNothing() {
        var report = Self.report()
        report.groups["hogs"] = GroupResults().report(seconds: 2)
        report.groups["hogs"]?.open = 8
        report.fairness = nil
        for index in report.series.indices { report.series[index].jain = nil }
        let html = ReportPage(report).html
        #expect(html.contains("<td>hogs</td><td>0</td><td>0</td><td>8</td>"))
        #expect(!html.contains("</i>hogs"), "no line of a group without answers")
        #expect(html.contains("all seconds:\nnot measured") && !html.contains("Fairness over time"))
        let nothing = ReportPage(Self.nothing).html
        #expect(nothing.components(separatedBy: "not measured").count == 9, "\(nothing)")
    }

    @Test func mediansAreComparedWithTheFirst() {
        let text = ReportTable(
            names: ["cloister", "peer"], reports: ["cloister": [Self.report(p99: 4)], "peer": [Self.report(p99: 8), Self.report(p99: 12)]]
        ).text
        let rows = text.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
        #expect(rows[2][0] == "peer" && rows[2][1] == "2" && rows[2].contains("10") && rows[2].contains("2.50"))
    }

    @Test func whatWasNotMeasuredIsNotCompared() {
        let text = ReportTable(names: ["cloister", "peer"], reports: ["cloister": [Self.report()], "peer": [Self.nothing]]).text
        let row = text.split(separator: "\n")[2].split(separator: " ", omittingEmptySubsequences: true)
        #expect(row == ["peer", "1", "0", "0", "–", "–", "–", "–", "–", "–", "0", "–", "–", "–", "–", "–"])
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
