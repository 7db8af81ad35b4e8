/// Prints columns, each as wide as its widest cell.
func printTable(_ titles: [String], _ rows: [[String]]) {
    let rows = [titles] + rows.map { $0.map(printable) }
    let widths = titles.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
        var line = ""
        for (column, cell) in row.enumerated() {
            line += column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
        }
        print(line)
    }
}

/// `text` without what a terminal would obey: policies and tenants may hold anything.
func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        if isObeyed(scalar) { result += "\\u{\(String(scalar.value, radix: 16))}" } else { result.unicodeScalars.append(scalar) }
    }
    return result
}

/// The same JSON with such characters, which are within its strings, as escapes. White space between its tokens stays.
func printableJSON(_ json: String) -> String {
    var result = ""
    for scalar in json.unicodeScalars {
        if isObeyed(scalar), scalar != "\n", scalar != "\r", scalar != "\t" {
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Control characters and those that turn the direction of text.
private func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
}

/// One digit behind the point.
func fixed(_ number: Double) -> String {
    guard number.isFinite, abs(number) < 1e15 else { return "\(number)" }
    let tenths = Int64((number * 10).rounded())
    return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
}
