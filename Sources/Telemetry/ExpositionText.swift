/// Writes the exposition format line by line.
struct ExpositionText {
    private(set) var string = ""

    mutating func begin(_ name: String, _ kind: MetricKind, _ help: String) {
        string += "# HELP \(name) "
        escape(help, quotes: false)
        string += "\n# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func series(_ name: String, _ labels: [String], _ values: [String], _ value: Double) {
        string += name
        append(labels, values, bound: nil)
        string += " \(Self.number(value))\n"
    }

    /// The count is the sum of the buckets as read here, so that the three always agree.
    mutating func histogram(_ name: String, _ labels: [String], _ values: [String], _ histogram: Histogram) {
        var cumulated: UInt64 = 0
        for (index, count) in histogram.bucketCounts.enumerated() {
            cumulated += count
            let bound = index < histogram.upperBounds.count ? histogram.upperBounds[index] : .infinity
            string += "\(name)_bucket"
            append(labels, values, bound: Self.number(bound))
            string += " \(cumulated)\n"
        }
        string += "\(name)_sum"
        append(labels, values, bound: nil)
        string += " \(Self.number(histogram.sum))\n\(name)_count"
        append(labels, values, bound: nil)
        string += " \(cumulated)\n"
    }

    private mutating func append(_ labels: [String], _ values: [String], bound: String?) {
        if labels.isEmpty && bound == nil { return }
        string += "{"
        for (index, (label, value)) in zip(labels, values).enumerated() {
            string += index == 0 ? "\(label)=\"" : ",\(label)=\""
            escape(value, quotes: true)
            string += "\""
        }
        if let bound { string += labels.isEmpty ? "le=\"\(bound)\"" : ",le=\"\(bound)\"" }
        string += "}"
    }

    private mutating func escape(_ text: String, quotes: Bool) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": string += "\\\\"
            case "\n": string += "\\n"
            case "\"" where quotes: string += "\\\""
            default: string.unicodeScalars.append(scalar)
            }
        }
    }

    static func number(_ value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if value == -.infinity { return "-Inf" }
        if value.isNaN { return "NaN" }
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 { return String(Int64(value)) }
        return value.description
    }
}
