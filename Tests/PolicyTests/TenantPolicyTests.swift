import Glibc
import Policy
import Testing

@testable import PolicyFiles

@Suite struct TenantPolicyTests {
    private let fixture: PolicyFixture

    init() throws { fixture = try PolicyFixture() }

    @Test func aPolicyThatNamesOnlyWhatItMustHasTheDefaults() throws {
        let (policy, errors) = try fixture.decode("tenant: a\nmain: app/main.js\n")
        #expect(errors.isEmpty)
        let wanted = TenantPolicy(tenant: "a", hosts: ["a.localhost"], main: fixture.path + "/app/main.js")
        #expect(policy == wanted)
        #expect(wanted.cordon == .standard && wanted.weight == 100 && wanted.jit && !wanted.eval && wanted.snapshot == .auto)
        #expect(wanted.vars.isEmpty && wanted.secrets.isEmpty && wanted.outboundAllow.isEmpty)
        let limits = wanted.limits
        #expect(limits.cpuMilliseconds == 50 && limits.wallMilliseconds == 30_000 && limits.startupCPUMilliseconds == 400)
        #expect(limits.cpuQuotaMillisecondsPerSecond == 500 && limits.memoryMegabytes == 128 && limits.concurrency == 64)
        #expect(limits.queue == 256 && limits.subrequests == 50 && limits.requestBodyMegabytes == 100)
    }

    @Test func everyKeyIsRead() throws {
        let secret = try fixture.folder.write("key", "geheim\n")
        let (policy, errors) = try fixture.decode(
            """
            tenant: hello                  # [a-z0-9-]{1,63}
            hosts: [hello.localhost, "*.Example.com"]
            main: app/../app/main.js
            cordon: private               # trusted | standard | hostile | private
            weight: 7                    # CPU share between tenants, 1...10000
            limits:
              cpu_ms: 11                   # CPU per request
              wall_ms: 12
              startup_cpu_ms: 13
              cpu_quota_ms_per_s: 14      # CPU per second, with burst
              memory_mb: 15               # heap + array buffers + Wasm + external strings
              concurrency: 16
              queue: 17
              subrequests: 18
              request_body_mb: 19
            vars: { GREETING: hello, _n$1: 5, empty: "" }
            secrets: { API_KEY: { file: \(secret) }, HOME_: { env: PATH } }
            outbound: { allow: ["https://api.example.com", "http://b:8080"] }
            jit: false
            eval: true
            snapshot: off
            """)
        #expect(errors == [])
        var limits = TenantLimits()
        limits.cpuMilliseconds = 11
        limits.wallMilliseconds = 12
        limits.startupCPUMilliseconds = 13
        limits.cpuQuotaMillisecondsPerSecond = 14
        limits.memoryMegabytes = 15
        limits.concurrency = 16
        limits.queue = 17
        limits.subrequests = 18
        limits.requestBodyMegabytes = 19
        #expect(
            policy
                == TenantPolicy(
                    tenant: "hello", hosts: ["hello.localhost", "*.example.com"], main: fixture.path + "/app/main.js", cordon: .private,
                    weight: 7, limits: limits, vars: ["GREETING": "hello", "_n$1": "5", "empty": ""],
                    secrets: ["API_KEY": .file(secret), "HOME_": .environment("PATH")],
                    outboundAllow: ["https://api.example.com", "http://b:8080"], jit: false, eval: true, snapshot: .off))
    }

    @Test func everyLimitIsTakenAtBothEndsAndRefusedBeyondThem() throws {
        #expect(TenantPolicyDecoder.limitKeys.count == Mirror(reflecting: TenantLimits()).children.count)
        for (name, range, field) in TenantPolicyDecoder.limitKeys {
            for value in [range.lowerBound, range.upperBound] {
                let (policy, errors) = try fixture.decode("tenant: a\nmain: app/main.js\nlimits:\n  \(name): \(value)\n")
                #expect(errors == [])
                var limits = TenantLimits()
                limits[keyPath: field] = value
                #expect(policy?.limits == limits, "\(name)")
            }
            for value in [range.lowerBound - 1, range.upperBound + 1] {
                #expect(
                    try fixture.errors("limits:\n  \(name): \(value)\n") == [
                        "4:\(name.count + 5): '\(name)' is \(value); it must be \(range.lowerBound) to \(range.upperBound)"
                    ])
            }
        }
    }

    @Test func theWeightIsTakenAtBothEndsAndRefusedBeyondThem() throws {
        for value in [1, 10_000] { #expect(try fixture.errors("weight: \(value)") == []) }
        for value in [0, 10_001, -1] {
            #expect(try fixture.errors("weight: \(value)") == ["3:9: 'weight' is \(value); it must be 1 to 10000"])
        }
    }

    @Test func everyChoiceIsTaken() throws {
        for cordon in Cordon.allCases {
            #expect(try fixture.decode("tenant: a\nmain: app/main.js\ncordon: \(cordon.rawValue)").policy?.cordon == cordon)
        }
        for snapshot in SnapshotMode.allCases {
            #expect(try fixture.decode("tenant: a\nmain: app/main.js\nsnapshot: \(snapshot.rawValue)").policy?.snapshot == snapshot)
        }
    }

    @Test(arguments: ["a", "0", "-", "a-b-0", String(repeating: "z", count: 63)])
    func goodNamesAreTaken(name: String) throws {
        #expect(try fixture.decode("tenant: \"\(name)\"\nmain: app/main.js\nhosts: [h]").policy?.tenant == name)
    }

    @Test(arguments: ["A", "a.b", "a_b", "a b", "ä", String(repeating: "z", count: 64), "a/b", ""])
    func badNamesAreRefused(name: String) throws {
        #expect(
            try fixture.decode("tenant: \"\(name)\"\nmain: app/main.js").errors == [
                "1:9: '\(name)' is not a tenant's name: 1 to 63 of a-z, 0-9 and -"
            ])
    }

    @Test(arguments: ["h", "a.b.c", "*.a", "a_b.c", "1.2.3.4", String(repeating: "z", count: 63), "x-y"])
    func goodHostsAreTaken(host: String) throws {
        #expect(try fixture.decode("tenant: a\nmain: app/main.js\nhosts: [\"\(host)\"]").policy?.hosts == [host])
    }

    @Test(arguments: [
        "", "*", "*.", "a.*", "*.*.a", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a:80", "a/b", "http://a", "ä.de", "a b", "a*.b",
        String(repeating: "z", count: 64), "a." + String(repeating: "bcdefgh.", count: 32) + "z",
    ])
    func badHostsAreRefused(host: String) throws {
        #expect(
            try fixture.errors("hosts:\n  - good\n  - \"\(host)\"") == [
                "5:5: '\(host)' is not a host name (no port, no path; '*.' may come first)"
            ])
    }

    @Test(arguments: ["http://a", "https://a.b", "https://a:1", "http://a:65535", "https://*.a.b", "https://A.b"])
    func goodOriginsAreTaken(origin: String) throws {
        let (policy, errors) = try fixture.decode("tenant: a\nmain: app/main.js\noutbound: { allow: [\"\(origin)\"] }")
        #expect(errors == [] && policy?.outboundAllow == [origin])
    }

    @Test(arguments: [
        "", "a", "//a", "ftp://a", "http://", "http://a/", "http://a/b", "http://a:0", "http://a:65536", "http://a:", "http://a:1:2",
        "http://u@a", "http://a?b", "HTTP://a", "http://[::1]", "*", "http://*",
    ])
    func badOriginsAreRefused(origin: String) throws {
        #expect(
            try fixture.errors("outbound: { allow: [\"\(origin)\"] }") == [
                "3:21: '\(origin)' is not an origin: http:// or https://, a host, perhaps a port, and no path"
            ])
    }

    /// What was right when it was looked at may be gone a moment later.
    @Test func aSecretHasTheValueThatWasFoundWithItsPolicy() throws {
        let secret = try fixture.folder.write("key", "geheim\n")
        let policy = try fixture.folder.write("p.yaml", "tenant: a\nmain: app/main.js\nsecrets: { A: { file: key }, B: { env: PATH } }")
        let decoded = try #require(TenantPolicyDecoder.decode(YAMLFile(path: policy)))
        #expect(unlink(secret) == 0)
        #expect(decoded.policy.secrets == ["A": .file(secret), "B": .environment("PATH")])
        #expect(decoded.secrets["A"] == "geheim" && decoded.secrets["B"] == SecretReader.read(.environment("PATH")))
    }

    @Test func onlyAFilesLastNewlineIsNoPartOfASecret() throws {
        for (content, value) in [("a", "a"), ("a\n", "a"), ("a\n\n", "a\n"), ("", ""), (" a ", " a ")] {
            let path = try fixture.folder.write("key", content)
            #expect(SecretReader.read(.file(path)) == value)
        }
        #expect(SecretReader.read(.environment("CLOISTER_NO_SUCH_VARIABLE")) == nil)
        #expect(SecretReader.read(.environment("PATH"))?.isEmpty == false)
    }
}
