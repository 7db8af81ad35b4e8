import Foundation
import Policy

/// Reads `cloister.yaml`.
public enum DaemonConfigurationFile {
    /// - Throws: every error of the file.
    public static func read(_ path: String) throws(PolicyErrors) -> DaemonConfiguration {
        let file = YAMLFile(path: path)
        var configuration = DaemonConfiguration()
        if var root = file.mapping() {
            if let (value, node) = root.string("listen") {
                if isAddress(value) { configuration.listen = value } else { file.fail(node, "'listen' must be HOST:PORT") }
            }
            if let (value, node) = root.string("listen_tls") {
                if isAddress(value) { configuration.listenTLS = value } else { file.fail(node, "'listen_tls' must be HOST:PORT") }
            }
            if var tls = root.mapping("tls") {
                if let (value, _) = tls.string("certificate") {
                    configuration.certificateFile = TenantPolicyDecoder.absolute(value, besides: path)
                }
                if let (value, _) = tls.string("key") { configuration.keyFile = TenantPolicyDecoder.absolute(value, besides: path) }
                if (configuration.certificateFile == nil) != (configuration.keyFile == nil) {
                    file.fail(tls.node, "'tls' needs both 'certificate' and 'key'")
                }
                tls.finish()
            }
            if let (value, node) = root.string("admin") {
                if isAddress(value) || value.hasPrefix("unix:/") {
                    do throws(AdminAddressError) { configuration.admin = try AdminAddress(parsing: value) } catch {
                        file.fail(node, "'admin': \(error.problem)")
                    }
                } else {
                    file.fail(node, "'admin' must be HOST:PORT or unix:/PATH")
                }
            }
            if let (value, _) = root.string("policies") { configuration.policies = TenantPolicyDecoder.absolute(value, besides: path) }
            if let (value, _) = root.string("state") { configuration.state = TenantPolicyDecoder.absolute(value, besides: path) }
            configuration.workers = root.integer("workers", in: 1...256)
            for (name, range, field) in keys {
                if let value = root.integer(name, in: range) { configuration[keyPath: field] = value }
            }
            configuration.memoryMegabytes = root.integer("memory_mb", in: 64...(1 << 24))
            if let (value, node) = root.string("eviction") {
                if let eviction = DaemonConfiguration.Eviction(rawValue: value) {
                    configuration.eviction = eviction
                } else {
                    file.fail(node, "'eviction' must be greedy_dual or lru")
                }
            }
            if let (value, node) = root.string("revival") {
                if let revival = DaemonConfiguration.Revival(rawValue: value) {
                    configuration.revival = revival
                } else {
                    file.fail(node, "'revival' must be quickest or snapshot")
                }
            }
            if let value = root.bool("preempt") { configuration.preempt = value }
            if var http = root.mapping("http") {
                for (name, range, field) in httpKeys {
                    if let value = http.integer(name, in: range) { configuration.http[keyPath: field] = value }
                }
                if let value = http.bool("trust_forwarded") { configuration.http.trustsForwardedHeaders = value }
                http.finish()
            }
            root.finish()
        }
        guard file.errors.isEmpty else { throw PolicyErrors(file.errors) }
        return configuration
    }

    static let keys: [(String, ClosedRange<Int>, WritableKeyPath<DaemonConfiguration, Int> & Sendable)] = [
        ("slice_us", 100...1_000_000, \.sliceMicroseconds),
        ("isolates_per_cell", 1...6_000, \.isolatesPerCell),
        ("cells_per_cordon", 1...256, \.cellsPerCordon),
        ("cell_concurrency", 1...1_000_000, \.cellConcurrency),
        ("idle_s", 1...86_400, \.idleSeconds),
        ("cell_age_h", 0...8_760, \.cellAgeHours),
        ("machine_concurrency", 1...1_000_000, \.machineConcurrency),
        ("machine_queue", 0...1_000_000, \.machineQueue),
        ("snapshot_store_mb", 16...(1 << 20), \.snapshotStoreMegabytes),
        ("cell_start_s", 1...600, \.cellStartSeconds),
        ("cell_silence_s", 1...600, \.cellSilenceSeconds),
        ("quarantine_after", 0...100, \.quarantineAfter),
        ("quarantine_window_s", 1...86_400, \.quarantineWindowSeconds),
        ("quarantine_quiet_s", 1...31_536_000, \.quarantineQuietSeconds),
        ("quarantine_cells", 0...256, \.quarantineCells),
        ("suspend_after", 0...1_000, \.suspendAfter),
        ("drain_s", 0...3_600, \.drainSeconds),
    ]

    static let httpKeys: [(String, ClosedRange<Int>, WritableKeyPath<DaemonConfiguration.HTTPLimits, Int> & Sendable)] = [
        ("connections", 1...1_000_000, \.connections),
        ("connections_per_address", 1...1_000_000, \.connectionsPerAddress),
        ("requests_per_s_per_address", 0...1_000_000, \.requestsPerSecondPerAddress),
        ("handshakes", 1...1_000_000, \.handshakes),
        ("buffered_mb", 1...65_536, \.bufferedMegabytes),
        ("target_bytes", 64...64 << 10, \.targetBytes),
        ("body_mb", 1...65_536, \.bodyMegabytes),
        ("chunk_extension_bytes", 0...64 << 10, \.chunkExtensionBytes),
        ("discarded_body_bytes", 0...16 << 20, \.discardedBodyBytes),
        ("handshake_timeout_ms", 100...600_000, \.handshakeTimeoutMilliseconds),
        ("body_bytes_per_s", 1...1_000_000_000, \.bodyBytesPerSecond),
        ("half_closed_ms", 0...600_000, \.halfClosedMilliseconds),
        ("linger_ms", 0...600_000, \.lingerMilliseconds),
        ("head_bytes", 1_024...128 << 10, \.headBytes),
        ("headers", 8...2_000, \.headers),
        ("head_timeout_ms", 100...600_000, \.headTimeoutMilliseconds),
        ("body_timeout_ms", 100...600_000, \.bodyTimeoutMilliseconds),
        ("idle_timeout_ms", 100...3_600_000, \.idleTimeoutMilliseconds),
        ("write_timeout_ms", 100...3_600_000, \.writeTimeoutMilliseconds),
    ]

    /// `HOST:PORT`, the host perhaps an IPv6 address in brackets.
    public static func isAddress(_ text: String) -> Bool { split(text) != nil }

    /// Host and port of `HOST:PORT`.
    public static func split(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let port = UInt16(digits) else {
            return nil
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.contains(where: { $0 == "[" || $0 == "]" || $0 == "/" || $0.isWhitespace }) else { return nil }
        return (host, Int(port))
    }
}
