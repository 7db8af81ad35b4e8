import Foundation
import Policy
import Testing

@testable import PolicyFiles

/// `policies/tenant.schema.json` says what the decoder does.
@Suite struct SchemaTests {
    private let fixture: PolicyFixture
    private let root: [String: Any]
    private let limits: [String: Any]

    init() throws {
        fixture = try PolicyFixture()
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../policies/tenant.schema.json")
        let schema = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        root = try #require(schema["properties"] as? [String: Any])
        limits = try #require((root["limits"] as? [String: Any])?["properties"] as? [String: Any])
    }

    @Test func itHasEveryKeyAndNoOther() throws {
        #expect(Set(limits.keys) == Set(TenantPolicyDecoder.limitKeys.map(\.0)))
        #expect(root.count == Mirror(reflecting: TenantPolicy(tenant: "a", hosts: [], main: "")).children.count)
        for key in root.keys where !["tenant", "main"].contains(key) {
            #expect(try !fixture.errors("\(key): ~\n").contains { $0.contains("unknown key") }, "\(key)")
        }
        #expect(try fixture.errors("nonsense: 1\n").contains { $0.contains("unknown key") })
    }

    @Test func numbersHaveTheDecodersRangesAndDefaults() throws {
        func check(_ name: String, _ value: Any, _ text: (Int) -> String, _ field: (TenantPolicy) -> Int) throws {
            let rule = try #require(value as? [String: Any])
            let low = try #require(rule["minimum"] as? Int)
            let high = try #require(rule["maximum"] as? Int)
            for number in [low, high] { #expect(try fixture.errors(text(number)).isEmpty, "\(name): \(number)") }
            for number in [low - 1, high + 1] { #expect(try !fixture.errors(text(number)).isEmpty, "\(name): \(number)") }
            let plain = try #require(try fixture.decode("tenant: a\nmain: app/main.js\n").policy)
            #expect(field(plain) == rule["default"] as? Int, "\(name)")
        }
        try check("weight", root["weight"]!, { "weight: \($0)\n" }, \.weight)
        for (name, _, field) in TenantPolicyDecoder.limitKeys {
            try check(name, limits[name]!, { "limits: { \(name): \($0) }\n" }, { $0.limits[keyPath: field] })
        }
    }

    @Test func choicesAreTheDecoders() throws {
        for key in ["cordon", "snapshot"] {
            let values = try #require((root[key] as? [String: Any])?["enum"] as? [String])
            for value in values { #expect(try fixture.errors("\(key): \(value)\n").isEmpty) }
            #expect(try !fixture.errors("\(key): other\n").isEmpty)
        }
        #expect(Set((root["cordon"] as? [String: Any])?["enum"] as? [String] ?? []) == Set(Cordon.allCases.map(\.rawValue)))
    }

    @Test func countsAreTheDecoders() {
        func count(_ path: [String], _ key: String) -> Int? {
            (path.reduce(root as Any?) { ($0 as? [String: Any])?[$1] } as? [String: Any])?[key] as? Int
        }
        #expect(count(["hosts"], "maxItems") == TenantPolicyDecoder.hostsLimit)
        #expect(count(["outbound", "properties", "allow"], "maxItems") == TenantPolicyDecoder.outboundLimit)
    }
}
