import Foundation
import Testing

/// What only the tests' cells may have is in no other executable.
@Suite struct ReleaseContentTests {
    /// What is found of Tests/CTestCell in an executable: the words by which tenants reach native code, and the variable that leaves measures out.
    private static let marks = ["cloister-native:", "TEST_CELL_WITHOUT"]

    private static let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    private func marks(in executable: URL) throws -> [String] {
        let content = try Data(contentsOf: executable, options: .mappedIfSafe)
        return Self.marks.filter { content.range(of: Data($0.utf8)) != nil }
    }

    @Test func theyAreFoundWhereTheyAre() throws {
        #expect(try marks(in: Self.folder.appending(path: "test-cell")) == Self.marks)
    }

    @Test(arguments: ["cloister-cell", "cloisterd", "cloister"]) func noProductHasThem(name: String) throws {
        let found = try marks(in: Self.folder.appending(path: name))
        #expect(found.isEmpty, "\(name) has \(found)")
        // A release that was built beside, too.
        let release = Self.folder.deletingLastPathComponent().appending(path: "release/\(name)")
        if FileManager.default.fileExists(atPath: release.path) {
            let found = try marks(in: release)
            #expect(found.isEmpty, "\(release.path) has \(found)")
        }
    }

    /// Neither a product nor anything that a product is made of depends on them, whatever the build is for.
    @Test func noProductDependsOnThem() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let manifest = try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
        let lines = manifest.split(separator: "\n").filter { $0.contains("CTestCell") }
        #expect(
            lines.count == 2 && lines.contains { $0.contains("name: \"test-cell\"") }
                && lines.contains { $0.contains(".target(name: \"CTestCell\"") })
        #expect(manifest.split(separator: "\n").count { $0.contains("test-cell") } == 1)
        for file in FileManager.default.enumerator(atPath: root.appending(path: "Sources").path)!.compactMap({ $0 as? String })
        where file.hasSuffix(".swift") {
            let text = try String(contentsOf: root.appending(path: "Sources/\(file)"), encoding: .utf8)
            #expect(!text.contains("CTestCell"), "\(file)")
        }
    }
}
