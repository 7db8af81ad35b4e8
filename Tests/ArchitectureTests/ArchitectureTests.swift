import Foundation
import Testing

/// The shape that docs/architecture.md promises.
@Suite struct ArchitectureTests {
    private let table: ImportTable

    init() throws { table = ImportTable(try SourceTree.text("docs/architecture.md")) }

    @Test func theTableNamesEveryModuleAndNoOther() throws {
        #expect(table.rows.keys.sorted() == (try SourceTree.modules()))
    }

    @Test func modulesImportWhatTheTableAllowsAndNothingElse() throws {
        for module in try SourceTree.modules() {
            let allowed = table.rows[module, default: []].union(ImportTable.open)
            for file in SourceTree.files(below: "Sources/\(module)", ["swift"]) {
                let further = importedModules(try SourceTree.text(file)).subtracting(allowed)
                #expect(further.isEmpty, "\(file) imports \(further.sorted()), which docs/architecture.md does not allow \(module)")
            }
        }
    }

    @Test func importsAreFoundInAllTheirForms() {
        let source = """
            import A
            @testable import B
            public import struct C.Part
            @preconcurrency internal import D.Sub
            // import E
            let text = "import F"
            \(" ")   import { g } from './g.js';
            """
        #expect(importedModules(source) == ["A", "B", "C", "D"])
    }

    @Test func onlyTheEngineImportsV8() {
        #expect(table.rows.filter { $0.value.contains("CV8") }.map(\.key) == ["Engine"])
    }

    @Test func aCellLinksNoFoundationAndNoNetworking() {
        let linked = table.closure(of: "cloister-cell")
        #expect(linked.contains("CV8") && linked.contains("Sandbox"))
        for module in linked {
            let isHeavy =
                module.hasPrefix("Foundation") || module.hasPrefix("NIO") || module.hasPrefix("_")
                || ["Yams", "Logging", "Hummingbird", "ArgumentParser", "Dispatch"].contains(module)
            #expect(!isHeavy, "a cell would link \(module)")
        }
    }

    @Test func theTableHasNoCycle() {
        for module in table.rows.keys { #expect(!table.closure(of: module).contains(module), "\(module) imports itself in the end") }
    }

    @Test func onlyTheEngineShimIsCxx() {
        let files = SourceTree.files(below: "Sources", ["cc", "cpp", "cxx", "mm", "m", "hpp", "hh"])
        #expect(!files.isEmpty && files.allSatisfy { $0.hasPrefix("Sources/CV8/") })
    }

    @Test func cModulesIncludeTheirOwnHeadersOnly() throws {
        for file in SourceTree.files(below: "Sources", ["c", "cc", "h"]) {
            let module = file.split(separator: "/")[1]
            let headers = Set(SourceTree.files(below: "Sources/\(module)", ["h"]).map { ($0 as NSString).lastPathComponent })
            for line in try SourceTree.text(file).split(separator: "\n") where line.hasPrefix("#include \"") {
                let name = String(line.dropFirst("#include \"".count).prefix { $0 != "\"" })
                #expect(headers.contains(name), "\(file) includes \(name), which is not \(module)'s")
            }
        }
    }

    @Test func aSourceFileHoldsOneIdea() throws {
        let linesLimit = 600
        let files = ["Sources", "Tests", "Integration"].flatMap {
            SourceTree.files(below: $0, ["swift", "c", "cc", "h", "js"])
        }
        #expect(files.count > 100)
        for file in files {
            let lines = try SourceTree.text(file).split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines <= linesLimit, "\(file) has \(lines) lines")
        }
    }

    @Test func theRuntimesJavaScriptIsASCIIAndBuiltIn() throws {
        // Two-byte sources would cost every isolate a copy of its own.
        let list = try SourceTree.text("Sources/CWebRuntime/sources.c")
        let files = SourceTree.files(below: "Sources/CWebRuntime/javascript", ["js"])
        #expect(!files.isEmpty)
        for file in files {
            let data = try Data(contentsOf: SourceTree.root.appendingPathComponent(file))
            #expect(data.allSatisfy { $0 < 0x80 }, "\(file) is not ASCII")
            #expect(list.contains("javascript/\((file as NSString).lastPathComponent)\""), "sources.c leaves \(file) out")
        }
    }
}
