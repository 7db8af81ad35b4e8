import Foundation
import Policy
import Testing

@testable import PolicyFiles

@Suite struct PolicyDirectoryTests {
    private let folder: ScratchFolder

    init() throws {
        folder = try ScratchFolder()
        try folder.write("app/main.js", "export default {}")
    }

    private func write(_ name: String, _ text: String) throws { try folder.write("policies/\(name)", text) }

    private func good(_ tenant: String, _ more: String = "") -> String { "tenant: \(tenant)\nmain: ../app/main.js\n\(more)" }

    private func load() -> PolicyDirectory.Contents { PolicyDirectory.load(folder.path + "/policies") }

    /// `FILE:LINE:COLUMN: message`, the folder left out.
    private func told(_ contents: PolicyDirectory.Contents) -> [String] {
        contents.errors.map { $0.description.replacingOccurrences(of: folder.path + "/", with: "") }
    }

    private func path(_ name: String) -> String { "\(folder.path)/policies/\(name)" }

    @Test func whatIsNeededOfATenantIsRead() throws {
        try folder.write("key", "geheim\n")
        try write("a.yaml", good("a", "vars: { B: 1, A: 2 }\nsecrets: { D: { file: ../key }, C: { env: PATH } }"))
        let contents = load()
        #expect(contents.errors.isEmpty && contents.tenantOfFile.isEmpty)
        let tenant = try #require(contents.tenants.first)
        #expect(tenant.file == path("a.yaml") && tenant.policy.tenant == "a" && tenant.policy.hosts == ["a.localhost"])
        #expect(tenant.modules == [BundleModule(name: "main.js", kind: .javascript, data: Array("export default {}".utf8))])
        #expect(tenant.vars.map(\.name) == ["A", "B"] && tenant.vars.map(\.value) == ["2", "1"])
        #expect(tenant.secrets.map(\.name) == ["C", "D"] && tenant.secrets[1].value == "geheim" && tenant.secrets[0].value.contains("/"))
    }

    @Test func onlyPolicyFilesAreRead() throws {
        try write("b.yml", good("b"))
        try write("a.yaml", good("a"))
        for name in ["c.json", ".d.yaml", "e.yaml.bak", "f", "below/g.yaml"] { try write(name, "nonsense") }
        let contents = load()
        #expect(contents.tenants.map(\.policy.tenant) == ["a", "b"] && contents.errors.isEmpty)
    }

    @Test func anEmptyFolderHasNoTenants() throws {
        try FileManager.default.createDirectory(atPath: path(""), withIntermediateDirectories: true)
        #expect(load().tenants.isEmpty && load().errors.isEmpty && load().isComplete)
    }

    @Test func aFolderThatIsNotThereIsTold() {
        #expect(told(load()) == ["policies:1:1: the folder of policies cannot be read"])
        #expect(!load().isComplete)
    }

    @Test func aFileWithErrorsTakesNoOtherDown() throws {
        try write("a.yaml", good("a"))
        try write("b.yaml", good("b", "weight: 0\nnonsense: 1"))
        try write("c.yaml", "tenant: c\nmain: [")
        try write("d.yaml", "\u{0}")
        try write("e.yaml", good("e", "limits:\n  cpu_ms: fast"))
        try write("f.yaml", good("f"))
        try FileManager.default.createDirectory(atPath: path("g.yaml"), withIntermediateDirectories: false)
        #expect(mkfifo(path("h.yaml"), 0o600) == 0)
        let contents = load()
        #expect(contents.tenants.map(\.policy.tenant) == ["a", "f"])
        #expect(
            told(contents) == [
                "policies/b.yaml:3:9: 'weight' is 0; it must be 1 to 10000", "policies/b.yaml:4:1: unknown key 'nonsense'",
                "policies/c.yaml:3:1: not YAML: did not find expected node content", "policies/d.yaml:1:1: the file contains NUL",
                "policies/e.yaml:4:11: 'cpu_ms' must be a whole number", "policies/g.yaml:1:1: the file cannot be read: this is a folder",
                "policies/h.yaml:1:1: the file cannot be read: this is a pipe, a socket or a device, not a file",
            ])
    }

    @Test(arguments: [
        ("tenant: x\nnonsense: 1", "x"), ("# first\r\ntenant: 'x' # its name\r\nmain: [", "x"), ("main: [\ntenant:\t\"x\"", "x"),
        ("tenant:", "file"), ("tenant:# x", "file"), ("tenant: # x", "file"), ("tenant: ''", "file"), ("", "file"),
        ("vars:\n  tenant: x", "file"), ("{ tenant: x }", "file"),
    ])
    func itIsKnownWhoseFileHasErrors(text: String, tenant: String) throws {
        try write("file.yaml", text)
        let contents = load()
        #expect(contents.tenants.isEmpty && !contents.errors.isEmpty && contents.tenantOfFile == [path("file.yaml"): tenant])
    }

    @Test func aFileThatIsNoTextIsKnownByItsName() throws {
        try folder.write("policies/x.yaml", Data([0xff, 0xfe, 0x0a]) + Data("tenant: y\n".utf8))
        #expect(load().tenantOfFile == [path("x.yaml"): "y"])
        try folder.write("policies/x.yaml", Data(repeating: 0x20, count: YAMLFile.bytesLimit) + Data("\ntenant: y\n".utf8))
        #expect(load().tenantOfFile == [path("x.yaml"): "x"])
    }

    @Test func aFileThatSaysNothingAnyMoreIsKnownAsBefore() throws {
        try FileManager.default.createDirectory(atPath: path(""), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: path("10-x.yaml"), withDestinationPath: path("nowhere"))
        try write("20-y.yaml", "main: [")
        try write("30-z.yaml", "tenant: other\nmain: [")
        let known = [path("10-x.yaml"): "x", path("20-y.yaml"): "y", path("30-z.yaml"): "z"]
        let contents = PolicyDirectory.load(folder.path + "/policies", known: known)
        #expect(contents.tenantOfFile == [path("10-x.yaml"): "x", path("20-y.yaml"): "y", path("30-z.yaml"): "other"])
    }

    @Test func theFirstOfTwoKeepsTheNameAndTheSecondIsTold() throws {
        try write("b.yaml", good("same", "hosts: [b]"))
        try write("a.yaml", "# first by its file's name\n" + good("same", "hosts: [a]"))
        try write("c.yaml", good("c"))
        let contents = load()
        #expect(contents.tenants.map(\.policy.hosts) == [["a"], ["c.localhost"]])
        #expect(
            contents.errors.map(\.description) == [
                "\(path("b.yaml")):1:9: the tenant 'same' is already defined in \(path("a.yaml"))"
            ])
        // Not "same": that one's policy is well.
        #expect(contents.tenantOfFile == [path("b.yaml"): "b"])
    }

    @Test func theFirstOfTwoKeepsTheHostAndTheSecondIsTold() throws {
        try write("a.yaml", good("a", "hosts: [x.example, \"*.y.example\"]"))
        try write("b.yaml", good("b", "hosts: [b, X.example,\n  \"*.Y.example\"]"))
        try write("c.yaml", good("c", "hosts: [y.example, z.y.example]"))
        let contents = load()
        #expect(contents.tenants.map(\.policy.tenant) == ["a", "c"])
        #expect(
            contents.errors.map(\.description) == [
                "\(path("b.yaml")):3:12: the host 'x.example' already belongs to \(path("a.yaml"))",
                "\(path("b.yaml")):4:3: the host '*.y.example' already belongs to \(path("a.yaml"))",
            ])
        #expect(contents.tenantOfFile == [path("b.yaml"): "b"])
    }

    @Test func theHostOfATenantsNameIsItsOwn() throws {
        try write("a.yaml", good("a", "hosts: [a.example, c.localhost]"))
        try write("b.yaml", good("b", "hosts: [b.example, a.localhost]"))
        try write("c.yaml", good("c", "hosts: [c.example]"))
        try write("d.yaml", good("d", "hosts: [d.localhost, other.localhost]"))
        let contents = load()
        #expect(contents.tenants.map(\.policy.tenant) == ["a", "d"])
        #expect(
            contents.errors.map(\.description) == [
                "\(path("b.yaml")):3:20: the host 'a.localhost' already belongs to \(path("a.yaml"))",
                "\(path("c.yaml")):1:9: the host 'c.localhost' already belongs to \(path("a.yaml"))",
            ])
    }

    @Test func whatAFileWithErrorsClaimsIsFree() throws {
        try write("a.yaml", good("a", "hosts: [x]\nweight: 0"))
        try write("b.yaml", good("b", "hosts: [x]"))
        #expect(load().tenants.map(\.policy.tenant) == ["b"])
    }

    @Test func aBundleThatCannotBeReadIsToldAtMain() throws {
        try folder.write("bad/main.js", Data([0xff]))
        try write("a.yaml", "tenant: a\nmain: ../bad/main.js")
        let contents = load()
        #expect(contents.tenants.isEmpty && contents.tenantOfFile == [path("a.yaml"): "a"])
        #expect(told(contents) == ["policies/a.yaml:2:7: the bundle cannot be read: bad/main.js is not UTF-8"])
    }
}
