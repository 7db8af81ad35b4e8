import Foundation
import Yams

/// A YAML file read as one mapping, with its errors collected as it is decoded.
final class YAMLFile {
    /// A larger file is refused unread.
    static let bytesLimit = 1 << 20

    let path: String
    private(set) var errors: [PolicyError] = []

    init(path: String) { self.path = path }

    func fail(_ node: Node?, _ message: String) {
        errors.append(PolicyError(file: path, line: node?.mark?.line ?? 1, column: node?.mark?.column ?? 1, message))
    }

    /// Reads and parses; nil after an error.
    func mapping() -> YAMLMapping? {
        guard let text = read() else { return nil }
        do {
            let parser = try Self.parser(text)
            // An alias of an alias of an alias makes a key that takes for ever to compare, so what may have one is first looked through with
            // none in it: the places of anchors stay what they are.
            if text.utf8.contains(UInt8(ascii: "&")), text.utf8.contains(UInt8(ascii: "*")) {
                let parser = try Self.parser(text.replacing("*", with: "+"))
                while let document = try parser.nextRoot() { guard refuseAnchors(document) else { return nil } }
            }
            guard let root = try parser.nextRoot() else {
                fail(nil, "the file is empty")
                return nil
            }
            guard refuseAnchors(root) else { return nil }
            if let second = try parser.nextRoot() {
                fail(second, "a second document: a file holds one")
                return nil
            }
            guard case .mapping(let mapping) = root else {
                fail(root, "expected keys and values")
                return nil
            }
            return YAMLMapping(mapping, node: root, file: self)
        } catch {
            errors.append(located(error, text))
            return nil
        }
    }

    /// Without rules that make `yes` or `1_000` something else than text: keys that are spelled alike are alike.
    private static func parser(_ text: String) throws -> Parser { try Parser(yaml: text, resolver: .basic, encoding: .utf8) }

    private func read() -> String? {
        let data: Data
        do throws(FileContents.Failure) { data = try FileContents.read(path, limit: Self.bytesLimit) } catch {
            fail(nil, "the file cannot be read: \(error)")
            return nil
        }
        guard let text = String(data: data, encoding: .utf8) else {
            fail(nil, "the file is not UTF-8")
            return nil
        }
        guard !text.utf8.contains(0) else {
            fail(nil, "the file contains NUL")
            return nil
        }
        return text
    }

    /// Anchors and aliases let a short file stand for a huge one, and no key here needs them. A node's anchor lives as long as its parser.
    /// - Returns: whether there is none.
    private func refuseAnchors(_ node: Node) -> Bool {
        if let anchor = node.anchor {
            fail(node, "anchors and aliases are not allowed (&\(anchor.rawValue))")
            return false
        }
        switch node {
        case .mapping(let mapping): return mapping.allSatisfy { refuseAnchors($0.key) && refuseAnchors($0.value) }
        case .sequence(let sequence): return sequence.allSatisfy { refuseAnchors($0) }
        case .scalar, .alias: return true
        }
    }

    private func located(_ error: any Error, _ text: String) -> PolicyError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return PolicyError(file: path, line: mark.line, column: mark.column, "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let place = Self.second(of: context.mark, in: text) ?? (context.mark.line, context.mark.column)
            return PolicyError(file: path, line: place.line, column: place.column, "duplicate key: \(keys.joined(separator: ", "))")
        case .reader(let problem, let offset, let value, let text):
            let place = Self.place(of: offset ?? 0, in: text)
            return PolicyError(
                file: path, line: place.line, column: place.column,
                "not YAML: \(problem) (U+\(String(value, radix: 16, uppercase: true)))")
        default: return PolicyError(file: path, "not YAML: \(error)")
        }
    }

    /// Of two keys that are alike the parser tells the first, and the second is wrong. With a tag before it the first is another key, so that the
    /// rest can be read; without aliases, as in `mapping`.
    private static func second(of first: Mark, in text: String) -> (line: Int, column: Int)? {
        let text = text.replacing("*", with: "+")
        var line = text.startIndex
        for _ in 0..<max(0, first.line - 1) {
            guard let end = text[line...].firstIndex(where: \.isNewline) else { return nil }
            line = text.index(after: end)
        }
        let scalars = text.unicodeScalars
        guard let place = scalars.index(line, offsetBy: first.column - 1, limitedBy: scalars.endIndex) else { return nil }
        let tag = "!first "
        guard let root = try? parser(text[..<place] + tag + text[place...]).nextRoot(), let second = key(like: first, in: root) else {
            return nil
        }
        return (second.line, second.line == first.line ? second.column - tag.count : second.column)
    }

    /// The place of the next key that is spelled as the one at `first`.
    private static func key(like first: Mark, in node: Node) -> Mark? {
        if case .sequence(let sequence) = node { return sequence.lazy.compactMap { key(like: first, in: $0) }.first }
        guard case .mapping(let mapping) = node else { return nil }
        let keys = mapping.map(\.key)
        guard let index = keys.firstIndex(where: { $0.mark?.line == first.line && $0.mark?.column == first.column }) else {
            return mapping.lazy.compactMap { key(like: first, in: $0.value) }.first
        }
        return keys[(index + 1)...].first { $0.scalar?.string == keys[index].scalar?.string }?.mark
    }

    /// Line and column, in code points as the parser counts them, of a character.
    private static func place(of offset: Int, in text: String) -> (line: Int, column: Int) {
        let lines = text.prefix(offset).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return (lines.count, lines[lines.count - 1].unicodeScalars.count + 1)
    }
}

/// A mapping being decoded: keys are taken one by one, and what is left over is an error.
struct YAMLMapping {
    private let file: YAMLFile
    let node: Node
    private var rest: [(key: Node, name: String, value: Node)] = []
    private var known: [String] = []

    init(_ mapping: Node.Mapping, node: Node, file: YAMLFile) {
        self.file = file
        self.node = node
        var names: Set<String> = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                file.fail(key, "a key must be a word")
                continue
            }
            // To the parser keys with different tags differ.
            guard names.insert(scalar.string).inserted else {
                file.fail(key, "duplicate key: \(scalar.string)")
                continue
            }
            rest.append((key, scalar.string, value))
        }
    }

    mutating func take(_ name: String) -> Node? {
        known.append(name)
        guard let index = rest.firstIndex(where: { $0.name == name }) else { return nil }
        let value = rest.remove(at: index).value
        // `key:` without a value says nothing.
        if case .scalar(let scalar) = value, scalar.string.isEmpty, scalar.style == .plain || scalar.style == .any {
            file.fail(value, "'\(name)' has no value")
            return nil
        }
        return value
    }

    /// Says which keys nobody took.
    func finish() {
        for entry in rest {
            let hint = closest(to: entry.name).map { "; did you mean '\($0)'?" } ?? ""
            file.fail(entry.key, "unknown key '\(entry.name)'\(hint)")
        }
    }

    private func closest(to name: String) -> String? {
        let candidates = known.map { ($0, distance(Array(name), Array($0))) }
        guard let best = candidates.min(by: { $0.1 < $1.1 }), best.1 <= max(2, name.count / 3) else { return nil }
        return best.0
    }

    /// Levenshtein's distance.
    private func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }

    // MARK: Values

    mutating func string(_ name: String) -> (value: String, node: Node)? {
        guard let node = take(name) else { return nil }
        return scalar(node, "'\(name)'").map { ($0, node) }
    }

    func scalar(_ node: Node, _ what: String) -> String? {
        guard case .scalar(let scalar) = node else {
            file.fail(node, "\(what) must be text")
            return nil
        }
        return scalar.string
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let node = take(name) else { return nil }
        guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any, let value = Int(scalar.string)
        else {
            file.fail(node, "'\(name)' must be a whole number")
            return nil
        }
        guard range.contains(value) else {
            file.fail(node, "'\(name)' is \(value); it must be \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    mutating func bool(_ name: String) -> Bool? {
        guard let node = take(name) else { return nil }
        guard case .scalar(let scalar) = node, let value = ["true": true, "false": false][scalar.string] else {
            file.fail(node, "'\(name)' must be true or false")
            return nil
        }
        return value
    }

    mutating func choice<T: RawRepresentable & CaseIterable>(_ name: String, _: T.Type) -> T? where T.RawValue == String {
        guard let (text, node) = string(name) else { return nil }
        if let value = T(rawValue: text) { return value }
        file.fail(node, "'\(name)' must be one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
        return nil
    }

    mutating func mapping(_ name: String) -> YAMLMapping? {
        guard let node = take(name) else { return nil }
        guard case .mapping(let mapping) = node else {
            file.fail(node, "'\(name)' must be keys and values")
            return nil
        }
        return YAMLMapping(mapping, node: node, file: file)
    }

    mutating func list(_ name: String, limit: Int) -> [Node]? {
        guard let node = take(name) else { return nil }
        guard case .sequence(let sequence) = node else {
            file.fail(node, "'\(name)' must be a list")
            return nil
        }
        guard sequence.count <= limit else {
            file.fail(node, "'\(name)' has \(sequence.count) entries; at most \(limit) are allowed")
            return nil
        }
        return Array(sequence)
    }

    /// All entries, for mappings whose keys are free.
    mutating func takeAll() -> [(name: String, key: Node, value: Node)] {
        defer { rest = [] }
        return rest.map { ($0.name, $0.key, $0.value) }
    }
}
