import Foundation

/// The process that runs a case (see Tests/EngineFixture), and the base snapshot it needs, built once a run.
enum EngineFixture {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let snapshot = Result {
        let file = FileManager.default.temporaryDirectory.appending(path: "engine-fixture-\(UUID().uuidString).blob")
        _ = try run(["snapshot", file.path])
        return file
    }

    /// What a case saw, line by line. A case that does not run to its end is an error.
    static func lines(of name: String) throws -> [String] { try run(["run", snapshot.get().path, name]) }

    /// The fixture lies beside the test executable.
    private static let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "engine-fixture")

    static func run(_ arguments: [String]) throws -> [String] {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        let output = Pipe()
        let diagnostics = FileManager.default.temporaryDirectory.appending(path: "engine-fixture-\(UUID().uuidString).log")
        guard FileManager.default.createFile(atPath: diagnostics.path, contents: nil) else {
            throw Failure(description: "\(diagnostics.path) could not be made")
        }
        defer { try? FileManager.default.removeItem(at: diagnostics) }
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: diagnostics)
        try process.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let text = String(decoding: bytes, as: UTF8.self)
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            let why = (try? String(contentsOf: diagnostics, encoding: .utf8)) ?? ""
            throw Failure(
                description:
                    "engine-fixture \(arguments.joined(separator: " ")) ended with \(process.terminationStatus): \(why)\nit had said: \(text)"
            )
        }
        return text.split(separator: "\n").map(String.init)
    }
}

/// Whether lines are as expected; of a line that ends in an ellipsis only the beginning counts (the rest is V8's own wording).
func isAsExpected(_ lines: [String], _ expected: [String]) -> Bool {
    lines.count == expected.count
        && zip(lines, expected).allSatisfy { line, wanted in
            wanted.hasSuffix("\u{2026}") ? line.hasPrefix(wanted.dropLast()) : line == wanted
        }
}
