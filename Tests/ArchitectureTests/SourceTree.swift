import Foundation
import Testing

/// The repository as the tests of its shape see it.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) }

    /// Names of the folders directly in `path`.
    static func folders(in path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(
            at: root.appendingPathComponent(path), includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles
        ).filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }.map(\.lastPathComponent).sorted()
    }

    /// Paths, from the root, of all files below `path` with one of the extensions.
    static func files(below path: String, _ extensions: Set<String>) -> [String] {
        let base = root.appendingPathComponent(path).path
        let names = FileManager.default.enumerator(atPath: base)?.compactMap { $0 as? String } ?? []
        return names.filter { extensions.contains(($0 as NSString).pathExtension) }.map { "\(path)/\($0)" }.sorted()
    }

    static func modules() throws -> [String] { try folders(in: "Sources") }
}

/// The names of the modules that a Swift source imports, submodules by their module.
func importedModules(_ source: String) -> Set<String> {
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
    let modifiers: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    var modules: Set<String> = []
    for line in source.split(whereSeparator: \.isNewline) {
        var words = line.split(separator: " ")[...]
        while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) { words = words.dropFirst() }
        guard words.first == "import" else { continue }
        words = words.dropFirst()
        if let kind = words.first, kinds.contains(kind) { words = words.dropFirst() }
        if let name = words.first?.split(separator: ".").first, name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) {
            modules.insert(String(name))
        }
    }
    return modules
}

/// The table of docs/architecture.md: a module and what it may import.
struct ImportTable {
    /// What every module may import.
    static let open: Set<String> = ["Glibc", "Synchronization"]

    private(set) var rows: [String: Set<String>] = [:]

    init(_ markdown: String) {
        var isInside = false
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count == 3, cells[2] == "may import" {
                isInside = true
            } else if isInside, cells.count == 3, let name = Self.names(cells[0]).first {
                rows[name] = Set(Self.names(cells[2]))
            } else if !line.hasPrefix("|") {
                isInside = false
            }
        }
    }

    /// What stands between backticks.
    private static func names(_ text: String) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    /// All that `module` links, directly or not, by the table.
    func closure(of module: String) -> Set<String> {
        var seen: Set<String> = []
        var next = [module]
        while let name = next.popLast() {
            for dependency in rows[name] ?? [] where seen.insert(dependency).inserted { next.append(dependency) }
        }
        return seen
    }
}
