import Foundation
import TestSupport
import Testing

@testable import PolicyFiles

@Suite struct YAMLFileTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func errors(ofFile path: String) -> [String] {
        let file = YAMLFile(path: path)
        #expect(file.mapping() == nil)
        return file.errors.map { String($0.description.dropFirst(path.count + 1)) }
    }

    private func errors(_ data: Data) throws -> [String] { errors(ofFile: try folder.write("f.yaml", data)) }

    private func errors(_ text: String) throws -> [String] { try errors(Data(text.utf8)) }

    @Test func whatIsNoFileIsTold() throws {
        #expect(errors(ofFile: folder.path + "/none.yaml") == ["1:1: the file cannot be read: No such file or directory"])
        #expect(errors(ofFile: folder.path) == ["1:1: the file cannot be read: this is a folder"])
        let link = folder.path + "/link.yaml"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.path)
        #expect(errors(ofFile: link) == ["1:1: the file cannot be read: this is a folder"])
        let pipe = folder.path + "/pipe.yaml"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(errors(ofFile: pipe) == ["1:1: the file cannot be read: this is a pipe, a socket or a device, not a file"])
        #expect(errors(ofFile: "/dev/zero") == ["1:1: the file cannot be read: this is a pipe, a socket or a device, not a file"])
    }

    @Test func whatIsNoTextIsTold() throws {
        #expect(try errors(Data([0x61, 0x3a, 0x20, 0xff])) == ["1:1: the file is not UTF-8"])
        #expect(try errors(Data("a: b\0".utf8)) == ["1:1: the file contains NUL"])
    }

    @Test(arguments: ["", "\n", "# nothing\n"])
    func anEmptyFileIsTold(text: String) throws { #expect(try errors(Data(text.utf8)) == ["1:1: the file is empty"]) }

    @Test func aFileOverTheLimitIsNotRead() throws {
        var data = Data("a: b\n#".utf8)
        data.append(Data(repeating: UInt8(ascii: "x"), count: YAMLFile.bytesLimit - data.count))
        #expect(YAMLFile(path: try folder.write("f.yaml", data)).mapping() != nil)
        data.append(UInt8(ascii: "x"))
        #expect(try errors(data) == ["1:1: the file cannot be read: the file has more than 1048576 bytes"])
        let link = folder.path + "/link.yaml"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.path + "/f.yaml")
        #expect(errors(ofFile: link) == ["1:1: the file cannot be read: the file has more than 1048576 bytes"])
    }

    @Test(arguments: ["a", "[a, b]", "5", "\"a: b\""])
    func whatIsNoMappingIsTold(text: String) throws { #expect(try errors(Data(text.utf8)) == ["1:1: expected keys and values"]) }

    @Test(arguments: [
        ("a: b: c", "1:5: not YAML: mapping values are not allowed in this context"),
        ("a: [1, 2", "2:1: not YAML: did not find expected ',' or ']'"),
        ("a: {b: 1\n", "2:1: not YAML: did not find expected ',' or '}'"),
        ("a: 1\n b: 2", "2:3: not YAML: mapping values are not allowed in this context"),
        ("a: \"1\nb: 2", "2:5: not YAML: found unexpected end of stream"),
        ("a: \"\\q\"", "1:5: not YAML: found unknown escape character"),
        ("a: 1\n- b", "2:1: not YAML: did not find expected key"),
        ("a: @b", "1:4: not YAML: found character that cannot start any token"),
        ("a: 1\n\tb: 2", "2:1: not YAML: found a tab character that violates indentation"),
        ("limits:\n\tcpu_ms: 2", "2:1: not YAML: found character that cannot start any token"),
        ("a: !<b", "1:7: not YAML: did not find the expected '>'"),
        ("%YAML 9.9\n---\na: 1", "1:1: not YAML: found incompatible YAML document"),
        ("a: 1\n...\nb: [", "3:1: not YAML: did not find expected <document start>"),
        ("é: 1\nab: é\u{1}", "2:6: not YAML: control characters are not allowed (U+1)"),
    ])
    func aSyntaxErrorIsToldWithItsPlace(text: String, error: String) throws {
        let told = try errors(text)
        #expect(told == [error])
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3", "3:1: duplicate key: a"), ("b:\n  a: 1\n  \"a\": 3", "3:3: duplicate key: a"),
        ("\"true\": 1\ntrue: 2", "2:1: duplicate key: true"), ("x: { 'a': 1, a: 2 }", "1:14: duplicate key: a"),
        ("é: ü\r\nx: [1, {}, { é: 1,\r\n  y: 2, é: 3 }]", "3:9: duplicate key: é"),
        // Of more than two, or of two pairs, the first.
        ("a: 1\na: 2\na: 3", "1:1: duplicate key: a"), ("b: 1\nb: 2\na: 3\na: 4", "3:1: duplicate key: a, b"),
    ])
    func aDuplicateKeyIsToldWithItsPlace(text: String, error: String) throws {
        let told = try errors(text)
        #expect(told == [error])
    }

    @Test func keysThatDifferByTheirTagsOnlyAreDuplicates() throws {
        let file = YAMLFile(path: try folder.write("f.yaml", "a: 1\n!x a: 2"))
        _ = file.mapping()
        #expect(file.errors.map(\.description) == ["\(file.path):2:1: duplicate key: a"])
    }

    @Test(arguments: [
        ("a: &x 1\nb: *x", "1:4", "x"), ("a: 1\nb: [1, &y-1 2]", "2:8", "y-1"), ("&k a: 1", "1:1", "k"), ("--- &root\na: 1", "1:5", "root"),
        ("a: {\"b\":&x 1}", "1:9", "x"), ("a: &x\n  b: 1\nc: {<<: *x}", "1:4", "x"), ("a:\n- - &x\n    - 1", "2:5", "x"),
        ("a: 1\r\n# it is\r\nb: &x 1\r\nc: *x", "3:4", "x"), ("a: 1 # \"\nb: 'it''s \"'\nc: \"\\\" \"\nd: [x \"y, &z 1, *z]", "4:11", "z"),
    ])
    func anAnchorIsRefused(text: String, place: String, name: String) throws {
        let told = try errors(text)
        #expect(told == ["\(place): anchors and aliases are not allowed (&\(name))"])
    }

    @Test func anAliasOfNothingIsTold() throws { #expect(try errors("a: 1\nb: *x") == ["2:4: not YAML: found undefined alias"]) }

    /// Each of 40 anchors stands for two of the one before; comparing the key would take 2^40 steps.
    @Test func anAliasThatStandsForMoreThanThereIsMemoryIsRefused() throws {
        let lines = (1...40).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]" }.joined(separator: "\n")
        let told = try errors("a0: &a0 [x, x]\n\(lines)\n? *a40\n: 1\n")
        #expect(told.count == 1 && told[0].contains("anchors and aliases are not allowed (&a0)"), "\(told)")
    }

    @Test func whatOnlyLooksLikeAnAnchorIsTaken() throws {
        let text = """
            a: rock &roll *all
            b: '&x *x'
            c: "\\" &x
              *x"
            d: |
              &x
              *x
            e: "0 0 * * *"   # &x *x
            f: [fish&chips, a*b, "*.example.com"]
            """
        let file = YAMLFile(path: try folder.write("f.yaml", text))
        var mapping = try #require(file.mapping())
        #expect(mapping.string("a")?.value == "rock &roll *all" && mapping.string("c")?.value == "\" &x *x")
        #expect(mapping.string("d")?.value == "&x\n*x\n" && mapping.string("e")?.value == "0 0 * * *")
        #expect(mapping.list("f", limit: 3)?.count == 3 && file.errors.isEmpty)
    }

    @Test(arguments: [("a: 1\n---\nb: 2", "3:1"), ("a: 1\n---\n", "3:1"), ("---\na: 1\n...\n---\n[x]", "5:1")])
    func aSecondDocumentIsRefused(text: String, place: String) throws {
        let told = try errors(text)
        #expect(told == ["\(place): a second document: a file holds one"])
    }

    @Test(arguments: ["---\na: 1\n", "a: 1\n...\n", "%YAML 1.1\n---\na: 1", "\u{FEFF}a: 1", "a: 1\r\n", "a:   1   \t\n"])
    func oneDocumentIsTaken(text: String) throws {
        let file = YAMLFile(path: try folder.write("f.yaml", text))
        var mapping = try #require(file.mapping())
        #expect(mapping.integer("a", in: 1...1) == 1)
    }

    enum Nesting: CaseIterable {
        case openLists, openMappings, lists, keys, closedLists, mappings

        var text: String {
            switch self {
            case .openLists: String(repeating: "[", count: 500_000)
            case .openMappings: "a: " + String(repeating: "{a: ", count: 200_000)
            case .lists: String(repeating: "- ", count: 500_000)
            case .keys: String(repeating: "? ", count: 500_000)
            case .closedLists: "a: " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900)
            case .mappings: (0..<900).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
            }
        }
    }

    /// On the smallest stack that glibc gives a thread (2 MiB, where the limit is unlimited).
    @Test(arguments: Nesting.allCases)
    func deepNestingIsAnErrorOrHarmless(nesting: Nesting) async throws {
        let text = nesting.text
        let path = try folder.write("f.yaml", text)
        let errors = await onSmallStack {
            let file = YAMLFile(path: path)
            let isMapping = file.mapping() != nil
            return isMapping == file.errors.isEmpty ? file.errors : [PolicyError(file: path, "neither errors nor keys")]
        }
        for error in errors { #expect(error.message.hasPrefix("not YAML: Maximum nesting level reached")) }
        #expect(text.utf8.count < 500_000 || errors.count == 1)
    }

    private func onSmallStack(_ body: @escaping @Sendable () -> [PolicyError]) async -> [PolicyError] {
        await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: body()) }
            thread.stackSize = 2 << 20
            thread.start()
        }
    }
}
