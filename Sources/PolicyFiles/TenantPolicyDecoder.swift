import Foundation
import Policy
import Yams

/// Decodes one tenant's policy file.
enum TenantPolicyDecoder {
    static let hostsLimit = 64
    static let bindingsLimit = 256
    static let bindingBytesLimit = 64 << 10
    static let outboundLimit = 256

    /// A policy and where its parts stand, for errors that only show beside other files.
    struct Decoded {
        var policy: TenantPolicy
        /// The values that were found: another look might find others, or none.
        var secrets: [String: String]
        var tenantNode: Node
        var hostNodes: [String: Node]
        var mainNode: Node
    }

    static func decode(_ file: YAMLFile) -> Decoded? {
        guard var root = file.mapping() else { return nil }
        let tenant = name(&root, file)
        let hosts = hosts(&root, file, of: tenant?.value)
        let main = main(&root, file)
        let cordon = root.choice("cordon", Cordon.self)
        let weight = root.integer("weight", in: 1...10_000)
        let limits = limits(&root, file)
        let vars = vars(&root, file)
        let secrets = secrets(&root, file, besides: vars)
        let outbound = outbound(&root, file)
        let jit = root.bool("jit")
        let eval = root.bool("eval")
        let snapshot = root.choice("snapshot", SnapshotMode.self)
        root.finish()
        guard let tenant, let main, file.errors.isEmpty else { return nil }
        let policy = TenantPolicy(
            tenant: tenant.value, hosts: hosts.isEmpty ? [TenantPolicy.ownHost(of: tenant.value)] : hosts.map(\.host), main: main.path,
            cordon: cordon ?? .standard, weight: weight ?? 100, limits: limits, vars: vars,
            secrets: secrets.mapValues { $0.source }, outboundAllow: outbound, jit: jit ?? true, eval: eval ?? false,
            snapshot: snapshot ?? .auto)
        return Decoded(
            policy: policy, secrets: secrets.mapValues { $0.value }, tenantNode: tenant.node,
            hostNodes: Dictionary(hosts.map { ($0.host, $0.node) }, uniquingKeysWith: { a, _ in a }), mainNode: main.node)
    }

    private static func name(_ root: inout YAMLMapping, _ file: YAMLFile) -> (value: String, node: Node)? {
        let before = file.errors.count
        guard let (name, node) = root.string("tenant") else {
            if file.errors.count == before { file.fail(root.node, "'tenant' is missing: the tenant's name") }
            return nil
        }
        let isValid = (1...63).contains(name.utf8.count) && name.utf8.allSatisfy(isNameByte)
        guard isValid else {
            file.fail(node, "'\(name)' is not a tenant's name: 1 to 63 of a-z, 0-9 and -")
            return nil
        }
        return (name, node)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
    }

    private static func hosts(_ root: inout YAMLMapping, _ file: YAMLFile, of tenant: String?) -> [(host: String, node: Node)] {
        var hosts: [(host: String, node: Node)] = []
        for node in root.list("hosts", limit: hostsLimit) ?? [] {
            guard let text = root.scalar(node, "a host") else { continue }
            let host = text.lowercased()
            guard isHost(host) else {
                file.fail(node, "'\(text)' is not a host name (no port, no path; '*.' may come first)")
                continue
            }
            guard !hosts.contains(where: { $0.host == host }) else {
                file.fail(node, "the host '\(host)' stands here twice")
                continue
            }
            if isOwnHost(host), let tenant, host != TenantPolicy.ownHost(of: tenant) {
                file.fail(node, "'\(host)' is not this tenant's: NAME.localhost is the tenant NAME's")
                continue
            }
            hosts.append((host, node))
        }
        return hosts
    }

    /// Whether it could be a tenant's own host, or all of them (`*.localhost`).
    private static func isOwnHost(_ host: String) -> Bool {
        let labels = host.split(separator: ".")
        return labels.count == 2 && labels[1] == "localhost"
    }

    private static func isHost(_ host: String) -> Bool {
        let name = host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        return name.utf8.count <= 253
            && labels.allSatisfy {
                (1...63).contains($0.utf8.count) && $0.utf8.allSatisfy { isNameByte($0) || $0 == UInt8(ascii: "_") }
                    && !$0.hasPrefix("-") && !$0.hasSuffix("-")
            }
    }

    private static func main(_ root: inout YAMLMapping, _ file: YAMLFile) -> (path: String, node: Node)? {
        let before = file.errors.count
        guard let (text, node) = root.string("main") else {
            if file.errors.count == before { file.fail(root.node, "'main' is missing: the path of the main module") }
            return nil
        }
        let path = absolute(text, besides: file.path)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            file.fail(node, "the main module does not exist: \(path)")
            return nil
        }
        guard !isFolder.boolValue else {
            file.fail(node, "the main module is a folder: \(path)")
            return nil
        }
        guard BundleReader.kind(of: path) == .javascript else {
            file.fail(node, "the main module must be a .js or .mjs file: \(path)")
            return nil
        }
        return (path, node)
    }

    /// Paths in a policy are relative to its file.
    static func absolute(_ path: String, besides file: String) -> String {
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        return URL(fileURLWithPath: path, relativeTo: folder).standardizedFileURL.path
    }

    private static func limits(_ root: inout YAMLMapping, _ file: YAMLFile) -> TenantLimits {
        var limits = TenantLimits()
        guard var mapping = root.mapping("limits") else { return limits }
        for (name, range, field) in Self.limitKeys {
            if let value = mapping.integer(name, in: range) { limits[keyPath: field] = value }
        }
        mapping.finish()
        return limits
    }

    /// Every limit: its key, range and field.
    static let limitKeys: [(String, ClosedRange<Int>, WritableKeyPath<TenantLimits, Int> & Sendable)] = [
        ("cpu_ms", 1...300_000, \.cpuMilliseconds),
        ("wall_ms", 1...3_600_000, \.wallMilliseconds),
        ("startup_cpu_ms", 1...60_000, \.startupCPUMilliseconds),
        ("cpu_quota_ms_per_s", 1...1_000_000, \.cpuQuotaMillisecondsPerSecond),
        ("memory_mb", 8...4_096, \.memoryMegabytes),
        ("concurrency", 1...10_000, \.concurrency),
        ("queue", 0...100_000, \.queue),
        ("subrequests", 0...10_000, \.subrequests),
        ("request_body_mb", 0...10_000, \.requestBodyMegabytes),
    ]

    private static func isBindingName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        return name.utf8.count <= 128
            && name.utf8.allSatisfy {
                isNameByte($0) && $0 != UInt8(ascii: "-") || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "$")
            }
    }

    private static func entries(_ key: String, _ root: inout YAMLMapping, _ file: YAMLFile) -> [(name: String, key: Node, value: Node)] {
        guard var mapping = root.mapping(key) else { return [] }
        let entries = mapping.takeAll()
        if entries.count > bindingsLimit {
            file.fail(mapping.node, "'\(key)' has \(entries.count) entries; at most \(bindingsLimit) are allowed")
        }
        return entries.filter { entry in
            if isBindingName(entry.name) { return true }
            file.fail(entry.key, "'\(entry.name)' is not a JavaScript name of at most 128 letters, digits, _ and $")
            return false
        }
    }

    private static func vars(_ root: inout YAMLMapping, _ file: YAMLFile) -> [String: String] {
        var vars: [String: String] = [:]
        for entry in entries("vars", &root, file) {
            guard let value = root.scalar(entry.value, "'\(entry.name)'") else { continue }
            guard value.utf8.count <= bindingBytesLimit, !value.utf8.contains(0) else {
                file.fail(entry.value, "'\(entry.name)' must have at most \(bindingBytesLimit) bytes and no NUL")
                continue
            }
            vars[entry.name] = value
        }
        return vars
    }

    private static func secrets(
        _ root: inout YAMLMapping, _ file: YAMLFile, besides vars: [String: String]
    ) -> [String: (source: SecretSource, value: String)] {
        var secrets: [String: (source: SecretSource, value: String)] = [:]
        for entry in entries("secrets", &root, file) {
            if vars[entry.name] != nil { file.fail(entry.key, "'\(entry.name)' is both a variable and a secret") }
            guard case .mapping(let mapping) = entry.value else {
                file.fail(entry.value, "a secret is { file: PATH } or { env: NAME }, so that it does not stand in the policy")
                continue
            }
            var source = YAMLMapping(mapping, node: entry.value, file: file)
            let path = source.string("file")
            let variable = source.string("env")
            source.finish()
            switch (path, variable) {
            case (let path?, nil):
                let absolute = absolute(path.value, besides: file.path)
                guard let value = SecretReader.read(.file(absolute)) else {
                    file.fail(
                        path.node, "the secret's file cannot be read, or has NUL or more than \(bindingBytesLimit) bytes: \(absolute)")
                    continue
                }
                secrets[entry.name] = (.file(absolute), value)
            case (nil, let variable?):
                guard let value = SecretReader.read(.environment(variable.value)) else {
                    file.fail(variable.node, "the environment has no variable \(variable.value)")
                    continue
                }
                secrets[entry.name] = (.environment(variable.value), value)
            default: file.fail(entry.value, "a secret needs either 'file' or 'env'")
            }
        }
        return secrets
    }

    private static func outbound(_ root: inout YAMLMapping, _ file: YAMLFile) -> [String] {
        guard var mapping = root.mapping("outbound") else { return [] }
        var origins: [String] = []
        for node in mapping.list("allow", limit: outboundLimit) ?? [] {
            guard let text = mapping.scalar(node, "an origin") else { continue }
            guard isOrigin(text) else {
                file.fail(node, "'\(text)' is not an origin: http:// or https://, a host, perhaps a port, and no path")
                continue
            }
            origins.append(text)
        }
        mapping.finish()
        return origins
    }

    private static func isOrigin(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else { return false }
        let authority = text.dropFirst(scheme.count).split(separator: ":", omittingEmptySubsequences: false)
        guard authority.count <= 2, isHost(String(authority[0]).lowercased()) else { return false }
        return authority.count == 1 || UInt16(authority[1]).map { $0 > 0 } == true
    }
}

/// Reads secrets' values.
public enum SecretReader {
    /// - Returns: the value, or nil when it cannot be had.
    public static func read(_ source: SecretSource) -> String? {
        switch source {
        case .environment(let name): return ProcessInfo.processInfo.environment[name]
        case .file(let path):
            guard let data = try? FileContents.read(path, limit: TenantPolicyDecoder.bindingBytesLimit),
                var text = String(data: data, encoding: .utf8), !text.utf8.contains(0)
            else { return nil }
            if text.hasSuffix("\n") { text.removeLast() }
            return text
        }
    }
}
