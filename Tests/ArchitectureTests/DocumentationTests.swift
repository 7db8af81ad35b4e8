import Foundation
import Testing

/// What the documents promise is there.
@Suite struct DocumentationTests {
    private var documents: [String] { ["README.md"] + SourceTree.files(below: "docs", ["md"]) }

    @Test func linksBetweenDocumentsLeadSomewhere() throws {
        for document in documents {
            let folder = (document as NSString).deletingLastPathComponent
            let text = try SourceTree.text(document)
            for match in text.matches(of: /\]\(([^)\s#]+)[^)]*\)/) where !match.1.contains("://") {
                let path = URL(fileURLWithPath: "/\(folder)").appendingPathComponent(String(match.1)).standardizedFileURL.path
                #expect(SourceTree.exists(String(path.dropFirst())), "\(document) links to \(match.1)")
            }
        }
    }

    @Test func everyExampleHasItsPolicyAndEveryPolicyItsBundle() throws {
        let examples = try SourceTree.folders(in: "Integration/Tenants")
        #expect(examples.count >= 10)
        let policies = SourceTree.files(below: "policies", ["yaml"]).map {
            (($0 as NSString).lastPathComponent as NSString).deletingPathExtension
        }
        #expect(Set(policies) == Set(examples))
        for policy in policies {
            let main = try #require(try SourceTree.text("policies/\(policy).yaml").firstMatch(of: /(?m)^main: \.\.\/(\S+)$/))
            #expect(SourceTree.exists(String(main.1)), "policies/\(policy).yaml names \(main.1)")
        }
    }

    @Test func theReadmeShowsEveryExample() throws {
        let readme = try SourceTree.text("README.md")
        let shown = try SourceTree.text("scripts/run")
        for example in try SourceTree.folders(in: "Integration/Tenants") {
            #expect(readme.contains("http://\(example).localhost:8080"), "README.md does not show \(example)")
            #expect(shown.contains("http://\(example).localhost:8080"), "scripts/run does not show \(example)")
        }
    }

    @Test func everyErrorIsDocumentedWithItsStatus() throws {
        let document = try SourceTree.text("docs/errors.md")
        let source = try SourceTree.text("Sources/Wire/ErrorCode.swift")
        let codes = Set(source.matches(of: /"([a-z]+(?:_[a-z]+)*)"/).map { String($0.1) })
        #expect(codes.count >= 20)
        for code in codes { #expect(document.contains("`\(code)`"), "docs/errors.md leaves \(code) out") }
    }

    @Test func everyMetricIsDocumented() throws {
        let document = try SourceTree.text("docs/operations.md")
        let sources = ["Supervisor", "Gateway", "Telemetry", "Admin", "cloisterd"].flatMap {
            SourceTree.files(below: "Sources/\($0)", ["swift"])
        }
        var names: Set<String> = []
        for file in sources {
            for match in try SourceTree.text(file).matches(of: /"(cloister_[a-z_]+)"/) { names.insert(String(match.1)) }
        }
        #expect(names.count >= 10)
        for name in names { #expect(document.contains("`\(name)"), "docs/operations.md leaves \(name) out") }
    }

    @Test func everyGlobalOfTheRuntimeIsDocumented() throws {
        let document = try SourceTree.text("docs/web-api.md")
        var names: Set<String> = []
        for file in SourceTree.files(below: "Sources/CWebRuntime/javascript", ["js"]) {
            let source = try SourceTree.text(file)
            for match in source.matches(of: /internal\.expose\('([A-Za-z]+)'/) { names.insert(String(match.1)) }
            for match in source.matches(of: /exposeLazily\('[a-z-]+', \[([^\]]*)\]/) {
                for name in String(match.1).matches(of: /'([A-Za-z]+)'/) { names.insert(String(name.1)) }
            }
        }
        #expect(names.count >= 30)
        for name in names { #expect(document.contains("`\(name)`"), "docs/web-api.md leaves \(name) out") }
    }

    @Test func everyPolicyKeyIsDocumented() throws {
        let document = try SourceTree.text("docs/policies.md")
        let source = try SourceTree.text("Sources/PolicyFiles/TenantPolicyDecoder.swift")
        let keys = Set(source.matches(of: /\("([a-z_]+)", [0-9]/).map { String($0.1) })
            .union(["tenant", "hosts", "main", "cordon", "weight", "limits", "vars", "secrets", "outbound", "jit", "eval", "snapshot"])
        #expect(keys.count >= 20)
        for key in keys { #expect(document.contains("`\(key)`"), "docs/policies.md leaves \(key) out") }
    }

    @Test func everyConfigurationKeyIsDocumented() throws {
        let document = try SourceTree.text("docs/configuration.md")
        let source = try SourceTree.text("Sources/PolicyFiles/DaemonConfigurationFile.swift")
        let keys = Set(source.matches(of: /\("([a-z_]+)"[,)]/).map { String($0.1) }).subtracting(["http"])
        #expect(keys.count >= 15)
        for key in keys { #expect(document.contains("`\(key)`"), "docs/configuration.md leaves \(key) out") }
    }
}
