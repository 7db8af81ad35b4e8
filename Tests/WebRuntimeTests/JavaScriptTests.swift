import Foundation
import Testing

/// The JavaScript tests: each file under `javascript/` runs in V8 in a process of its own (see Tests/RuntimeFixture).
@Suite struct JavaScriptTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "javascript")

    static let files: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix("-test.js") }.sorted()
    }()

    @Test func thereAreTestFiles() {
        #expect(!Self.files.isEmpty, "no file in \(Self.folder.path) ends in -test.js")
    }

    @Test(arguments: files) func everyCasePasses(file: String) throws {
        let snapshot = try Fixture.snapshot.get()
        let result = try Fixture.run([
            "run", snapshot.path, Self.folder.appending(path: "harness.js").path, Self.folder.appending(path: file).path,
        ])
        var passed = 0
        var announced: Int?
        for line in result.output.split(separator: "\n") {
            if line.hasPrefix("ok ") {
                passed += 1
            } else if line.hasPrefix("fail ") {
                Issue.record("\(file): \(line.dropFirst(5).replacing("\u{2028}", with: "\n"))")
            } else if line.hasPrefix("done ") {
                announced = Int(line.dropFirst(5))
            }
        }
        #expect(result.status == 0, "\(file) did not run to its end: \(result.diagnostics)")
        #expect(announced != nil && passed > 0, "\(file) has no cases")
    }
}

/// The executable that runs JavaScript tests, and the base snapshot it needs, built once a run.
enum Fixture {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let snapshot = Result {
        let file = FileManager.default.temporaryDirectory.appending(path: "runtime-fixture-\(UUID().uuidString).blob")
        let result = try run(["snapshot", file.path])
        guard result.status == 0 else { throw Failure(description: "the base snapshot could not be built: \(result.diagnostics)") }
        return file
    }

    /// The fixture lies beside the test executable.
    private static let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "runtime-fixture")

    static func run(_ arguments: [String]) throws -> (status: Int32, output: String, diagnostics: String) {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        let output = Pipe()
        let diagnostics = FileManager.default.temporaryDirectory.appending(path: "runtime-fixture-\(UUID().uuidString).log")
        guard FileManager.default.createFile(atPath: diagnostics.path, contents: nil) else {
            throw Failure(description: "\(diagnostics.path) could not be made")
        }
        defer { try? FileManager.default.removeItem(at: diagnostics) }
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: diagnostics)
        try process.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return (status, String(decoding: bytes, as: UTF8.self), try String(contentsOf: diagnostics, encoding: .utf8))
    }
}
