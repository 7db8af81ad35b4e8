import Foundation

/// A report as one HTML page that needs nothing else: the figures, latency by percentile, throughput and fairness over time.
public struct ReportPage {
    private static let width = 720.0
    private static let height = 260.0
    private static let margin = (left: 64.0, right: 16.0, top: 12.0, bottom: 40.0)
    private static let colours = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f"]

    private let report: LoadReport

    /// Of one run.
    public init(_ report: LoadReport) { self.report = report }

    /// The whole page, to be written as UTF-8.
    public var html: String {
        let groups = report.groups.sorted { $0.key < $1.key }
        var page = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>\(Self.escape(report.scenario)): load report</title><style>
            body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; background: #fff; max-width: 780px; margin: 2em auto; padding: 0 1em }
            h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } table { border-collapse: collapse; width: 100% }
            th, td { text-align: right; padding: .25em .6em; border-bottom: 1px solid #e5e7eb; font-variant-numeric: tabular-nums }
            th:first-child, td:first-child { text-align: left } svg { width: 100%; height: auto; background: #f9fafb; border: 1px solid #e5e7eb }
            svg text { font: 11px system-ui, sans-serif; fill: #4b5563 } .grid { stroke: #e5e7eb } .key { display: inline-block; margin-right: 1.2em }
            .key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em }
            </style></head><body>
            <h1>\(Self.escape(report.scenario)) on \(Self.escape(report.system))</h1>
            <p>\(report.tenants) tenants, \(report.workers) workers a cell, \(report.cells.map { "\($0) cells" } ?? "cells not counted"), \(Self.number(report.duration_s)) s,
            \(report.offered_rps > 0 ? "\(Self.number(report.offered_rps)) requests/s offered" : "as many requests as were answered"), seed \(report.seed).</p>
            <table><tr><th>group</th><th>answered</th><th>errors</th><th>open</th><th>requests/s</th><th>p50 ms</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th>slowdown p99.9</th></tr>

            """
        for (name, group) in groups {
            let latency = group.completed > 0 ? group.latency_ms : nil
            let slowdown = group.completed > 0 ? group.slowdown : nil
            let counts = [group.completed, group.errors.values.reduce(0, +), group.open].map { "\($0)" }
            let times = [latency?.p50, latency?.p90, latency?.p99, latency?.p99_9, latency?.max, slowdown?.p99_9]
            let cells = [Self.escape(name)] + counts + [Self.number(group.throughput_rps)] + times.map(ReportTable.text)
            page += "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>\n"
        }
        page += "</table>\n"
        if !report.errors.isEmpty {
            let errors = report.errors.sorted { $0.key < $1.key }.map { "\(Self.escape($0.key)): \($0.value)" }
            page += "<p>Errors: \(errors.joined(separator: ", ")).</p>\n"
        }
        page += """
            <p>Open: requests of clients that send one after the other, neither answered nor refused at the end. CPU a request:
            \(Self.measured(report.cpu_us_per_request, " µs")); preemptions: \(Self.measured(report.preemptions)); hand-offs:
            \(Self.measured(report.handoffs)); cold starts: \(Self.measured(report.cold_starts)); lost cells:
            \(Self.measured(report.cells_lost)); resident memory:
            \(Self.measured(report.rss_bytes.map { Double($0) / 1_048_576 }, " MiB")); Jain's index, the lowest of all seconds:
            \(Self.measured(report.fairness?.jain)); largest share error: \(Self.measured(report.fairness?.max_share_error.map { $0 * 100 }, " %")).</p>

            """
        page += memoryParagraph
        let answered = groups.filter { $0.value.completed > 0 }
        page += latencyPlot(answered)
        let names = answered.map(\.key)
        page += plot(
            title: "Throughput over time", unit: "requests/s",
            lines: names.map { name in (name, report.series.map { (Double($0.second), Double($0.completed[name] ?? 0)) }) })
        if report.series.contains(where: { $0.jain != nil }) {
            page += plot(
                title: "Fairness over time", unit: "Jain's index",
                lines: [("Jain's index", report.series.compactMap { second in second.jain.map { (Double(second.second), $0) } })])
        }
        if report.series.contains(where: { $0.isolates != nil }) {
            page += plot(
                title: "Isolates over time", unit: "isolates",
                lines: [("isolates", report.series.compactMap { second in second.isolates.map { (Double(second.second), Double($0)) } })])
        }
        if report.series.contains(where: { $0.rss_bytes != nil }) {
            page += plot(
                title: "Resident memory over time", unit: "MiB",
                lines: [
                    (
                        "memory",
                        report.series.compactMap { second in second.rss_bytes.map { (Double(second.second), Double($0) / 1_048_576) } }
                    )
                ])
        }
        return page + "</body></html>\n"
    }

    /// What a run says of evictions and revivals, where it says anything.
    private var memoryParagraph: String {
        guard report.evictions != nil else { return "" }
        let bytes = report.bytes_per_tenant
        func kibibytes(_ bytes: Double?) -> String { Self.measured(bytes.map { $0 / 1_024 }, " KiB") }
        return """
            <p>Evictions: \(Self.measured(report.evictions)); revivals: \(Self.measured(report.revivals)), before a call that was expected:
            \(Self.measured(report.prewarmed)); revival p50: \(Self.measured(report.revive_ms?.p50, " ms")), p99:
            \(Self.measured(report.revive_ms?.p99, " ms")); isolates made over what Belady's rule needs: \(Self.measured(report.belady_ratio)); of the gap
            between plain LRU and that rule closed: \(Self.measured(report.belady_gap_closed)), by what they take to make:
            \(Self.measured(report.belady_cost_gap_closed)); a hot tenant: \(kibibytes(bytes?.hot)), a warm one:
            \(kibibytes(bytes?.warm)), a cold one: \(kibibytes(bytes?.cold)).</p>

            """
    }

    /// Percentiles get farther apart to the right, as in HDR plots: each step is another nine; milliseconds on a logarithmic axis.
    private func latencyPlot(_ groups: [(key: String, value: LoadReport.Group)]) -> String {
        let steps: [(String, KeyPath<LoadReport.Latency, Double>)] = [
            ("50 %", \.p50), ("90 %", \.p90), ("99 %", \.p99), ("99.9 %", \.p99_9), ("max", \.max),
        ]
        let lines = groups.compactMap { group in
            group.value.latency_ms.map { latency in
                (group.key, steps.indices.map { (Double($0), log10(max(latency[keyPath: steps[$0].1], 0.01))) })
            }
        }
        return plot(
            title: "Latency by percentile", unit: "ms", lines: lines, xLabels: steps.map(\.0), yLabel: { Self.number(pow(10, $0)) },
            logarithmic: true)
    }

    private func plot(
        title: String, unit: String, lines: [(String, [(Double, Double)])], xLabels: [String]? = nil,
        yLabel: (Double) -> String = ReportPage.number, logarithmic: Bool = false
    ) -> String {
        // A line of one second is as long as that.
        let lines = lines.map { line -> (String, [(Double, Double)]) in
            guard line.1.count == 1, let only = line.1.first else { return line }
            return (line.0, [only, (only.0 + 1, only.1)])
        }
        let points = lines.flatMap(\.1)
        guard points.count > 1 else { return "" }
        let maxX = max(points.map(\.0).max()!, 1)
        let low = logarithmic ? floor(points.map(\.1).min()!) : 0
        let high = logarithmic ? max(ceil(points.map(\.1).max()!), low + 1) : max(points.map(\.1).max()! * 1.05, 1e-9)
        let margin = Self.margin
        func x(_ value: Double) -> String { Self.place(margin.left + value / maxX * (Self.width - margin.left - margin.right)) }
        let span = Self.height - margin.top - margin.bottom
        func y(_ value: Double) -> String {
            let part = (value - low) / (high - low)
            return Self.place(Self.height - margin.bottom - part * span)
        }
        var svg = "<h2>\(title)</h2>\n<p>"
        for (index, line) in lines.enumerated() {
            svg +=
                "<span class=\"key\"><i style=\"background:\(Self.colours[index % Self.colours.count])\"></i>\(Self.escape(line.0))</span>"
        }
        svg +=
            "</p>\n<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" aria-label=\"\(title), \(unit)\"><title>\(title), \(unit)</title>\n"
        let step = logarithmic ? 1 : (high - low) / 4
        let ticks = Array(stride(from: low, through: high + step / 100, by: step))
        for tick in ticks {
            svg += "<line class=\"grid\" x1=\"\(x(0))\" x2=\"\(x(maxX))\" y1=\"\(y(tick))\" y2=\"\(y(tick))\"/>"
            svg +=
                "<text x=\"\(Int(margin.left) - 6)\" y=\"\(y(tick))\" text-anchor=\"end\" dominant-baseline=\"middle\">\(yLabel(tick))</text>\n"
        }
        var labels: [(Double, String)] = []
        if let xLabels {
            for (index, label) in xLabels.enumerated() { labels.append((Double(index), label)) }
        } else {
            for index in 0...5 {
                let value = maxX * Double(index) / 5
                labels.append((value, "\(Self.number(value)) s"))
            }
        }
        for (value, label) in labels {
            svg += "<text x=\"\(x(value))\" y=\"\(Int(Self.height - margin.bottom) + 18)\" text-anchor=\"middle\">\(label)</text>\n"
        }
        svg +=
            "<text x=\"14\" y=\"\(Int(Self.height / 2))\" text-anchor=\"middle\" transform=\"rotate(-90 14 \(Int(Self.height / 2)))\">\(unit)</text>\n"
        for (index, line) in lines.enumerated() {
            let path = line.1.map { "\(x($0.0)),\(y($0.1))" }.joined(separator: " ")
            svg +=
                "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"\(Self.colours[index % Self.colours.count])\" points=\"\(path)\"/>\n"
        }
        return svg + "</svg>\n"
    }

    private static func place(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func measured(_ value: Double?, _ unit: String = "") -> String { value.map { number($0) + unit } ?? "not measured" }
    private static func measured(_ value: UInt64?) -> String { value.map { "\($0)" } ?? "not measured" }

    /// Three digits that matter.
    static func number(_ value: Double) -> String {
        if value >= 1_000 || value == value.rounded() && abs(value) < 1e15 { return String(format: "%.0f", value) }
        return String(format: value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : value >= 1 ? "%.2f" : "%.3f", value)
    }

    private static func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
