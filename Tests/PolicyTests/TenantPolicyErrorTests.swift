import Foundation
import Policy
import Testing

@testable import PolicyFiles

@Suite struct TenantPolicyErrorTests {
    private let fixture: PolicyFixture

    init() throws { fixture = try PolicyFixture() }

    /// What stands from the third line on, and the error it must give.
    @Test(arguments: [
        ("wieght: 5", "3:1: unknown key 'wieght'; did you mean 'weight'?"),
        ("limits:\n  cpu_m: 5", "4:3: unknown key 'cpu_m'; did you mean 'cpu_ms'?"),
        ("something_else_entirely: 5", "3:1: unknown key 'something_else_entirely'"),
        ("outbound: { allowed: [] }", "3:13: unknown key 'allowed'; did you mean 'allow'?"),
        ("secrets:\n  A: { file: app/main.js, evn: X }", "4:27: unknown key 'evn'; did you mean 'env'?"),
        ("? [a]\n: 1", "3:3: a key must be a word"),
        ("weight: fast", "3:9: 'weight' must be a whole number"),
        ("weight: 1.5", "3:9: 'weight' must be a whole number"),
        ("weight: \"5\"", "3:9: 'weight' must be a whole number"),
        ("weight: [5]", "3:9: 'weight' must be a whole number"),
        ("weight: 99999999999999999999", "3:9: 'weight' must be a whole number"),
        ("weight:", "3:8: 'weight' has no value"),
        ("jit: yes", "3:6: 'jit' must be true or false"),
        ("eval: 1", "3:7: 'eval' must be true or false"),
        ("cordon: loose", "3:9: 'cordon' must be one of trusted, standard, hostile, private"),
        ("cordon: [trusted]", "3:9: 'cordon' must be text"),
        ("snapshot: on", "3:11: 'snapshot' must be one of auto, off"),
        ("limits: 5", "3:9: 'limits' must be keys and values"),
        ("limits: [cpu_ms]", "3:9: 'limits' must be keys and values"),
        ("hosts: a", "3:8: 'hosts' must be a list"),
        ("hosts: [{ a: b }]", "3:9: a host must be text"),
        ("hosts: [a.b, c, A.B]", "3:17: the host 'a.b' stands here twice"),
        ("hosts: [b.localhost]", "3:9: 'b.localhost' is not this tenant's: NAME.localhost is the tenant NAME's"),
        ("hosts: [\"*.localhost\"]", "3:9: '*.localhost' is not this tenant's: NAME.localhost is the tenant NAME's"),
        ("hosts: [a.localhost, localhost, b.a.localhost, -]", "3:48: '-' is not a host name (no port, no path; '*.' may come first)"),
        ("vars: 5", "3:7: 'vars' must be keys and values"),
        ("vars: { A: [1] }", "3:12: 'A' must be text"),
        ("vars: { 1A: x }", "3:9: '1A' is not a JavaScript name of at most 128 letters, digits, _ and $"),
        ("vars: { A-B: x }", "3:9: 'A-B' is not a JavaScript name of at most 128 letters, digits, _ and $"),
        ("vars: { \"\": x }", "3:9: '' is not a JavaScript name of at most 128 letters, digits, _ and $"),
        ("secrets: { A: geheim }", "3:15: a secret is { file: PATH } or { env: NAME }, so that it does not stand in the policy"),
        ("secrets: { A: {} }", "3:15: a secret needs either 'file' or 'env'"),
        ("secrets: { A: { file: app/main.js, env: PATH } }", "3:15: a secret needs either 'file' or 'env'"),
        ("secrets: { A: { env: CLOISTER_NO_SUCH } }", "3:22: the environment has no variable CLOISTER_NO_SUCH"),
        ("outbound: { allow: https://a }", "3:20: 'allow' must be a list"),
        ("outbound: { allow: [[a]] }", "3:21: an origin must be text"),
        ("outbound: [https://a]", "3:11: 'outbound' must be keys and values"),
    ])
    func whatIsWrongIsToldWithItsPlace(text: String, error: String) throws { #expect(try fixture.errors(text) == [error]) }

    @Test func whatIsMissingIsTold() throws {
        #expect(try fixture.decode("main: app/main.js").errors == ["1:1: 'tenant' is missing: the tenant's name"])
        #expect(try fixture.decode("tenant: a").errors == ["1:1: 'main' is missing: the path of the main module"])
        #expect(
            try fixture.decode("{}").errors == [
                "1:1: 'tenant' is missing: the tenant's name", "1:1: 'main' is missing: the path of the main module",
            ])
        #expect(
            try fixture.decode("tenant:\nmain:").errors.map { $0.drop { $0 != "'" } } == ["'tenant' has no value", "'main' has no value"])
    }

    @Test func aMainModuleThatIsNotThereOrAFolderIsTold() throws {
        #expect(
            try fixture.decode("tenant: a\nmain: app/none.js").errors == [
                "2:7: the main module does not exist: \(fixture.path)/app/none.js"
            ])
        #expect(try fixture.decode("tenant: a\nmain: app").errors == ["2:7: the main module is a folder: \(fixture.path)/app"])
    }

    @Test(arguments: ["worker.ts", "worker.json", "worker", "worker.js.txt"]) func aMainModuleIsJavaScript(name: String) throws {
        try fixture.folder.write("app/\(name)", "export default {}")
        #expect(
            try fixture.decode("tenant: a\nmain: app/\(name)").errors == [
                "2:7: the main module must be a .js or .mjs file: \(fixture.path)/app/\(name)"
            ])
        try fixture.folder.write("app/worker.MJS", "export default {}")
        #expect(try fixture.decode("tenant: a\nmain: app/worker.MJS").errors == [])
    }

    @Test func aSecretsFileThatCannotBeUsedIsTold() throws {
        let message = "3:23: the secret's file cannot be read, or has NUL or more than 65536 bytes: \(fixture.path)/key"
        #expect(try fixture.errors("secrets: { A: { file: key } }") == [message])
        try fixture.folder.write("key", "a\0b")
        #expect(try fixture.errors("secrets: { A: { file: key } }") == [message])
        try fixture.folder.write("key", Data([0xff, 0xfe]))
        #expect(try fixture.errors("secrets: { A: { file: key } }") == [message])
        try fixture.folder.write("key", String(repeating: "a", count: 65_537))
        #expect(try fixture.errors("secrets: { A: { file: key } }") == [message])
        try fixture.folder.write("key", String(repeating: "a", count: 65_536))
        #expect(try fixture.errors("secrets: { A: { file: key } }") == [])
    }

    @Test func aNameThatIsBothAVariableAndASecretIsTold() throws {
        #expect(
            try fixture.errors("vars: { B: 1, A: 2 }\nsecrets: { A: { env: PATH }, B: { env: PATH } }") == [
                "4:12: 'A' is both a variable and a secret", "4:30: 'B' is both a variable and a secret",
            ])
    }

    @Test func listsAndBindingsHaveTheirLimits() throws {
        func list(_ count: Int) -> String { (0..<count).map { "h\($0)" }.joined(separator: ", ") }
        #expect(try fixture.errors("hosts: [\(list(64))]") == [])
        #expect(try fixture.errors("hosts: [\(list(65))]") == ["3:8: 'hosts' has 65 entries; at most 64 are allowed"])
        func origins(_ count: Int) -> String { (0..<count).map { "\"http://h\($0)\"" }.joined(separator: ", ") }
        #expect(try fixture.errors("outbound: { allow: [\(origins(256))] }") == [])
        #expect(
            try fixture.errors("outbound: { allow: [\(origins(257))] }") == ["3:20: 'allow' has 257 entries; at most 256 are allowed"])
        func vars(_ count: Int) -> String { (0..<count).map { "v\($0): x" }.joined(separator: ", ") }
        #expect(try fixture.errors("vars: { \(vars(256)) }") == [])
        #expect(try fixture.errors("vars: { \(vars(257)) }") == ["3:7: 'vars' has 257 entries; at most 256 are allowed"])
        let name = String(repeating: "n", count: 128)
        #expect(try fixture.errors("vars: { \(name): x }") == [])
        #expect(
            try fixture.errors("vars: { \(name)n: x }") == [
                "3:9: '\(name)n' is not a JavaScript name of at most 128 letters, digits, _ and $"
            ])
        let value = String(repeating: "v", count: 65_536)
        #expect(try fixture.errors("vars: { A: \(value) }") == [])
        #expect(try fixture.errors("vars: { A: \(value)v }") == ["3:12: 'A' must have at most 65536 bytes and no NUL"])
        #expect(try fixture.errors("vars: { A: \"a\\0b\" }") == ["3:12: 'A' must have at most 65536 bytes and no NUL"])
    }

    @Test func allErrorsOfAFileAreTold() throws {
        let errors = try fixture.decode(
            """
            tenant: A
            main: none.js
            hosts: [good, "-"]
            weight: 0
            limits: { cpu_ms: x, memory_mb: 1 }
            jit: maybe
            nonsense_key: 1
            """
        ).errors
        #expect(
            Set(errors) == [
                "1:9: 'A' is not a tenant's name: 1 to 63 of a-z, 0-9 and -",
                "2:7: the main module does not exist: \(fixture.path)/none.js",
                "3:15: '-' is not a host name (no port, no path; '*.' may come first)",
                "4:9: 'weight' is 0; it must be 1 to 10000",
                "5:19: 'cpu_ms' must be a whole number",
                "5:33: 'memory_mb' is 1; it must be 8 to 4096",
                "6:6: 'jit' must be true or false",
                "7:1: unknown key 'nonsense_key'",
            ])
        #expect(errors.count == 8)
    }
}
