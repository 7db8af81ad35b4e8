import Bundles
import Foundation
import Policy
import TestSupport
import Testing

@testable import PolicyFiles

@Suite struct PolicyDirectoryTests {
    private let folder: ScratchFolder
    private let bundles = BundleStore()

    init() throws {
        folder = try ScratchFolder()
        try folder.write("app/main.js", "export default {}")
    }

    private func write(_ name: String, _ text: String) throws { try folder.write("policies/\(name)", text) }

    private func good(_ tenant: String, _ more: String = "") -> String { "tenant: \(tenant)\nmain: ../app/main.js\n\(more)" }

    /// - Parameter before: the reading before this one.
    private func load(after before: PolicyDirectory.Contents? = nil) -> PolicyDirectory.Contents {
        PolicyDirectory.load(folder.path + "/policies", keeping: bundles, inForce: before?.holdings ?? [:])
    }

    private func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

    /// Each tenant's hosts.
    private func hosts(_ contents: PolicyDirectory.Contents) -> [String: [String]] {
        Dictionary(uniqueKeysWithValues: contents.tenants.map { ($0.policy.tenant, $0.policy.hosts) })
    }

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
        #expect(try tenant.bundle.read() == [BundleModule(name: "main.js", kind: .javascript, data: Array("export default {}".utf8))])
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
        #expect(told(load()) == ["policies:1:1: the folder of policies cannot be read: No such file or directory"])
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
        ("tenant:", "file.yaml"), ("tenant:# x", "file.yaml"), ("tenant: # x", "file.yaml"), ("tenant: ''", "file.yaml"), ("", "file.yaml"),
        ("vars:\n  tenant: x", "file.yaml"), ("{ tenant: x }", "file.yaml"),
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
        #expect(load().tenantOfFile == [path("x.yaml"): "x.yaml"])
    }

    @Test func aFileWithErrorsLeavesWhatItHadInForce() throws {
        for name in ["x", "y", "z"] { try write("10-\(name).yaml", good(name, "hosts: [\(name).example]")) }
        let before = load()
        try remove("10-x.yaml")
        try FileManager.default.createSymbolicLink(atPath: path("10-x.yaml"), withDestinationPath: path("nowhere"))
        try write("10-y.yaml", "main: [")
        try write("10-z.yaml", "tenant: other\nmain: [")
        let contents = load(after: before)
        #expect(contents.tenants.isEmpty && contents.holdings == before.holdings)
        #expect(contents.tenantOfFile == [path("10-x.yaml"): "x", path("10-y.yaml"): "y", path("10-z.yaml"): "z"])
        // And so after any number of readings, one of no folder among them.
        let unread = PolicyDirectory.load(folder.path + "/nowhere", keeping: bundles, inForce: contents.holdings)
        #expect(!unread.isComplete && unread.holdings == before.holdings)
        #expect(load(after: contents).tenantOfFile == contents.tenantOfFile)
    }

    @Test func aNewFileTakesNoNameThatIsInForce() throws {
        try write("t.yaml", good("t", "hosts: [shop.example]"))
        try write("some.yaml", good("u"))
        let before = load()
        try write("aa.yaml", good("t", "hosts: [aa.example]"))
        try write("bb.yaml", good("u"))
        // Not even the one that is named after it.
        try write("u.yaml", good("u"))
        let contents = load(after: before)
        #expect(hosts(contents) == ["t": ["shop.example"], "u": ["u.localhost"]])
        #expect(
            told(contents) == [
                "policies/aa.yaml:1:9: the tenant 't' belongs to policies/t.yaml",
                "policies/bb.yaml:1:9: the tenant 'u' belongs to policies/some.yaml",
                "policies/u.yaml:1:9: the tenant 'u' belongs to policies/some.yaml",
            ])
        #expect(contents.tenantOfFile == Dictionary(uniqueKeysWithValues: ["aa.yaml", "bb.yaml", "u.yaml"].map { (path($0), $0) }))
    }

    @Test(arguments: ["nonsense: 1", "limits: ["]) func theErrorOfANewFileIsNotItsVictims(_ more: String) throws {
        try write("t.yaml", good("t"))
        let before = load()
        try write("aa.yaml", good("t", more))
        #expect(load(after: before).tenantOfFile == [path("aa.yaml"): "aa.yaml"])
        // The same at a start, where the name is the only good file's.
        #expect(load().tenantOfFile == [path("aa.yaml"): "aa.yaml"] && load().tenants.count == 1)
    }

    @Test func noFileTakesAHostThatIsInForce() throws {
        try write("a.yaml", good("a", "hosts: [a.example]"))
        try write("t.yaml", good("t", "hosts: [shop.example, pay.example]"))
        let before = load()
        try write("aa.yaml", good("aa", "hosts: [aa.example, shop.example]"))
        try write("a.yaml", good("a", "hosts: [a.example, pay.example]"))
        let contents = load(after: before)
        #expect(hosts(contents) == ["a": ["a.example"], "aa": ["aa.example"], "t": ["shop.example", "pay.example"]])
        #expect(
            told(contents) == [
                "policies/a.yaml:3:20: the host 'pay.example' belongs to policies/t.yaml",
                "policies/aa.yaml:3:21: the host 'shop.example' belongs to policies/t.yaml",
            ])
        #expect(contents.tenantOfFile == [path("a.yaml"): "a", path("aa.yaml"): "aa"])
        // What its owner gives up is free at once, what it cannot say any more is not.
        try write("t.yaml", good("t", "hosts: [shop.example]"))
        let freed = load(after: contents)
        #expect(hosts(freed)["a"] == ["a.example", "pay.example"] && freed.errors.count == 1)
        try write("t.yaml", "tenant: t\nmain: [")
        #expect(hosts(load(after: freed))["aa"] == ["aa.example"])
        try remove("t.yaml")
        #expect(hosts(load(after: freed))["aa"] == ["aa.example", "shop.example"])
    }

    @Test func theNameOfAFileWithErrorsIsNobodyElses() throws {
        try write("t.yaml", good("t"))
        let before = load()
        try write("aa.yaml", good("t"))
        for text in ["main: [", good("other"), good("t", "weight: 0")] {
            try write("t.yaml", text)
            let contents = load(after: before)
            #expect(contents.errors.last?.message == "the tenant 't' belongs to \(path("t.yaml"))" || contents.errors.count == 2, "\(text)")
            #expect(!contents.tenants.contains { $0.file == path("aa.yaml") })
        }
        // A file that has gone leaves its name.
        try remove("t.yaml")
        #expect(load(after: before).tenants.map(\.file) == [path("aa.yaml")])
        // At a start only a file's own name tells.
        try write("t.yaml", good("t", "weight: 0"))
        #expect(load().tenants.isEmpty && load().tenantOfFile == [path("aa.yaml"): "aa.yaml", path("t.yaml"): "t"])
    }

    @Test func aTenantThatGetsAnotherNameKeepsItsHosts() throws {
        try write("x.yaml", good("a", "hosts: [x]"))
        let before = load()
        try write("x.yaml", good("b", "hosts: [x, y]"))
        try write("aa.yaml", good("aa", "hosts: [x, aa]"))
        let contents = load(after: before)
        #expect(hosts(contents) == ["aa": ["aa"], "b": ["x", "y"]] && contents.tenantOfFile == [path("aa.yaml"): "aa"])
    }

    @Test func aNameOfTwoFilesIsTheOnesThatIsNamedAfterItOrNobodys() throws {
        try write("a.yaml", good("same"))
        try write("b.yaml", good("same"))
        let disputed = load()
        #expect(disputed.tenants.isEmpty && disputed.holdings.isEmpty)
        #expect(
            told(disputed) == [
                "policies/a.yaml:1:9: the tenant 'same' is claimed by policies/b.yaml too, so that neither gets it",
                "policies/b.yaml:1:9: the tenant 'same' is claimed by policies/a.yaml too, so that neither gets it",
            ])
        #expect(disputed.tenantOfFile == [path("a.yaml"): "same", path("b.yaml"): "same"])
        try write("same.yaml", good("same", "weight: 7"))
        let settled = load()
        #expect(settled.tenants.map(\.policy.weight) == [7] && settled.errors.count == 2)
        #expect(settled.tenantOfFile == [path("a.yaml"): "a.yaml", path("b.yaml"): "b.yaml"])
    }

    @Test func aHostOfTwoNewTenantsIsNobodys() throws {
        try write("a.yaml", good("a", "hosts: [x.example, \"*.y.example\"]"))
        try write("b.yaml", good("b", "hosts: [b, X.example,\n  \"*.Y.example\"]"))
        try write("c.yaml", good("c", "hosts: [y.example, z.y.example]"))
        let contents = load()
        #expect(hosts(contents) == ["a": ["a.localhost"], "b": ["b"], "c": ["y.example", "z.y.example"]])
        #expect(
            told(contents) == [
                "policies/a.yaml:3:9: the host 'x.example' is claimed by policies/b.yaml too, so that neither gets it",
                "policies/a.yaml:3:20: the host '*.y.example' is claimed by policies/b.yaml too, so that neither gets it",
                "policies/b.yaml:3:12: the host 'x.example' is claimed by policies/a.yaml too, so that neither gets it",
                "policies/b.yaml:4:3: the host '*.y.example' is claimed by policies/a.yaml too, so that neither gets it",
            ])
        #expect(contents.tenantOfFile == [path("a.yaml"): "a", path("b.yaml"): "b"])
    }

    @Test func whatAFileWithErrorsClaimsIsFree() throws {
        try write("a.yaml", good("a", "hosts: [x]\nweight: 0"))
        try write("b.yaml", good("b", "hosts: [x]"))
        #expect(load().tenants.map(\.policy.tenant) == ["b"])
    }

    @Test func aBundleThatThereIsNoRoomForIsToldAtMain() throws {
        let bundles = try BundleStore(folder: folder.path + "/bundles", memoryLimitBytes: 10)
        try FileManager.default.removeItem(atPath: folder.path + "/bundles")
        try write("a.yaml", good("a"))
        let contents = PolicyDirectory.load(folder.path + "/policies", keeping: bundles)
        #expect(contents.tenants.isEmpty && contents.hostsWithoutBundle == ["a": ["a.localhost"]])
        #expect(told(contents).first?.hasPrefix("policies/a.yaml:2:7: the bundle cannot be kept: the disk does not take it") == true)
    }

    @Test func aBundleThatCannotBeReadIsToldAtMain() throws {
        try folder.write("bad/main.js", Data([0xff]))
        try write("a.yaml", "tenant: a\nmain: ../bad/main.js\nhosts: [x.example]")
        let contents = load()
        #expect(contents.hostsWithoutBundle == ["a": ["x.example"]])
        #expect(contents.tenants.isEmpty && contents.tenantOfFile == [path("a.yaml"): "a"])
        #expect(told(contents) == ["policies/a.yaml:2:7: the bundle cannot be read: bad/main.js is not UTF-8"])
    }
}
