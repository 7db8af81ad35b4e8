import Foundation
import Policy
import TestSupport
import Testing

@testable import PolicyFiles

@Suite struct DaemonConfigurationFileTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(_ text: String) throws -> DaemonConfiguration {
        try DaemonConfigurationFile.read(try folder.write("cloister.yaml", text))
    }

    /// The errors as `LINE:COLUMN: message`.
    private func errors(_ text: String) throws -> [String] {
        let path = try folder.write("cloister.yaml", text)
        do throws(PolicyErrors) { _ = try DaemonConfigurationFile.read(path) } catch {
            #expect(error.description == error.errors.map(\.description).joined(separator: "\n"))
            return error.errors.map { error in
                #expect(error.file == path && error.description.hasPrefix("\(path):"))
                return String(error.description.dropFirst(path.count + 1))
            }
        }
        return []
    }

    @Test func whatIsNotNamedHasItsDefault() throws { #expect(try read("{}") == DaemonConfiguration()) }

    @Test func everyKeyIsRead() throws {
        let read = try read(
            """
            listen: "[::1]:80"
            listen_tls: "0.0.0.0:443"
            tls: { certificate: c.pem, key: /k.pem }
            admin: unix:/run/cloister/admin.sock
            policies: p
            state: /var/lib/x
            workers: 3
            slice_us: 101
            isolates_per_cell: 102
            cells_per_cordon: 121
            cell_concurrency: 122
            idle_s: 103
            cell_age_h: 125
            machine_concurrency: 104
            machine_queue: 105
            memory_mb: 123
            eviction: lru
            revival: snapshot
            snapshot_store_mb: 124
            cell_start_s: 89
            cell_silence_s: 90
            quarantine_after: 91
            quarantine_window_s: 92
            quarantine_quiet_s: 93
            quarantine_cells: 94
            suspend_after: 95
            drain_s: 106
            preempt: false
            http:
              connections: 107
              head_bytes: 2000
              headers: 109
              head_timeout_ms: 110
              body_timeout_ms: 111
              idle_timeout_ms: 112
              write_timeout_ms: 113
              connections_per_address: 201
              requests_per_s_per_address: 202
              handshakes: 203
              buffered_mb: 204
              target_bytes: 205
              body_mb: 206
              chunk_extension_bytes: 207
              discarded_body_bytes: 208
              handshake_timeout_ms: 209
              body_bytes_per_s: 210
              half_closed_ms: 211
              linger_ms: 212
              trust_forwarded: true
            """)
        var wanted = DaemonConfiguration()
        wanted.listen = "[::1]:80"
        wanted.listenTLS = "0.0.0.0:443"
        wanted.certificateFile = folder.path + "/c.pem"
        wanted.keyFile = "/k.pem"
        wanted.admin = .unix(path: "/run/cloister/admin.sock")
        wanted.policies = folder.path + "/p"
        wanted.state = "/var/lib/x"
        wanted.workers = 3
        wanted.sliceMicroseconds = 101
        wanted.isolatesPerCell = 102
        wanted.cellsPerCordon = 121
        wanted.cellConcurrency = 122
        wanted.idleSeconds = 103
        wanted.cellAgeHours = 125
        wanted.machineConcurrency = 104
        wanted.machineQueue = 105
        wanted.memoryMegabytes = 123
        wanted.eviction = .lru
        wanted.revival = .snapshot
        wanted.snapshotStoreMegabytes = 124
        wanted.cellStartSeconds = 89
        wanted.cellSilenceSeconds = 90
        wanted.quarantineAfter = 91
        wanted.quarantineWindowSeconds = 92
        wanted.quarantineQuietSeconds = 93
        wanted.quarantineCells = 94
        wanted.suspendAfter = 95
        wanted.drainSeconds = 106
        wanted.preempt = false
        wanted.http.connections = 107
        wanted.http.headBytes = 2_000
        wanted.http.headers = 109
        wanted.http.headTimeoutMilliseconds = 110
        wanted.http.bodyTimeoutMilliseconds = 111
        wanted.http.idleTimeoutMilliseconds = 112
        wanted.http.writeTimeoutMilliseconds = 113
        wanted.http.connectionsPerAddress = 201
        wanted.http.requestsPerSecondPerAddress = 202
        wanted.http.handshakes = 203
        wanted.http.bufferedMegabytes = 204
        wanted.http.targetBytes = 205
        wanted.http.bodyMegabytes = 206
        wanted.http.chunkExtensionBytes = 207
        wanted.http.discardedBodyBytes = 208
        wanted.http.handshakeTimeoutMilliseconds = 209
        wanted.http.bodyBytesPerSecond = 210
        wanted.http.halfClosedMilliseconds = 211
        wanted.http.lingerMilliseconds = 212
        wanted.http.trustsForwardedHeaders = true
        #expect(read == wanted)
    }

    @Test func everyNumberIsTakenAtBothEndsAndRefusedBeyondThem() throws {
        func error(_ name: String, _ value: Int, _ range: ClosedRange<Int>, at place: String) -> [String] {
            ["\(place): '\(name)' is \(value); it must be \(range.lowerBound) to \(range.upperBound)"]
        }
        for (name, range, field) in DaemonConfigurationFile.keys {
            for value in [range.lowerBound, range.upperBound] { #expect(try read("\(name): \(value)")[keyPath: field] == value, "\(name)") }
            for value in [range.lowerBound - 1, range.upperBound + 1] {
                #expect(try errors("\(name): \(value)") == error(name, value, range, at: "1:\(name.count + 3)"))
            }
        }
        for (name, range, field) in DaemonConfigurationFile.httpKeys {
            for value in [range.lowerBound, range.upperBound] {
                #expect(try read("http:\n  \(name): \(value)").http[keyPath: field] == value, "\(name)")
            }
            for value in [range.lowerBound - 1, range.upperBound + 1] {
                #expect(try errors("http:\n  \(name): \(value)") == error(name, value, range, at: "2:\(name.count + 5)"))
            }
        }
    }

    @Test func everyFieldHasItsKey() {
        // listen, listen_tls, tls (two fields), admin, policies, state, workers, memory_mb, eviction, revival, preempt and http stand in no table.
        #expect(Mirror(reflecting: DaemonConfiguration()).children.count == DaemonConfigurationFile.keys.count + 13)
        // Nor does trust_forwarded.
        #expect(Mirror(reflecting: DaemonConfiguration().http).children.count == DaemonConfigurationFile.httpKeys.count + 1)
    }

    @Test(arguments: [
        ("lisen: a:1", "1:1: unknown key 'lisen'; did you mean 'listen'?"),
        ("http: { header: 9 }", "1:9: unknown key 'header'; did you mean 'headers'?"),
        ("http: 5", "1:7: 'http' must be keys and values"),
        ("workers: 0", "1:10: 'workers' is 0; it must be 1 to 256"),
        ("workers: 257", "1:10: 'workers' is 257; it must be 1 to 256"),
        ("workers: all", "1:10: 'workers' must be a whole number"),
        ("memory_mb: 63", "1:12: 'memory_mb' is 63; it must be 64 to 16777216"),
        ("eviction: fifo", "1:11: 'eviction' must be greedy_dual or lru"),
        ("revival: source", "1:10: 'revival' must be quickest or snapshot"),
        ("preempt: no", "1:10: 'preempt' must be true or false"),
        ("policies: [a]", "1:11: 'policies' must be text"),
        ("listen: 8080", "1:9: 'listen' must be HOST:PORT"),
        ("listen: unix:/a", "1:9: 'listen' must be HOST:PORT"),
        ("listen_tls: 443", "1:13: 'listen_tls' must be HOST:PORT"),
        ("tls: { certificate: a }", "1:6: 'tls' needs both 'certificate' and 'key'"),
        ("tls: { certificate: a, key: b, kee: c }", "1:32: unknown key 'kee'; did you mean 'key'?"),
        ("admin: unix:a", "1:8: 'admin' must be HOST:PORT or unix:/PATH"),
        ("admin: localhost", "1:8: 'admin' must be HOST:PORT or unix:/PATH"),
        ("drain_s: 1\nadmin: 0.0.0.0:9999", "2:8: 'admin': only loopback (127.0.0.1, ::1, localhost) or unix:PATH is allowed"),
        ("admin: \"[::]:9999\"", "1:8: 'admin': only loopback (127.0.0.1, ::1, localhost) or unix:PATH is allowed"),
        ("admin: unix:/\(String(repeating: "a", count: 107))", "1:8: 'admin': a path of 1 to 107 bytes must follow unix:"),
        ("a: [", "2:1: not YAML: did not find expected node content"),
        ("- a", "1:1: expected keys and values"),
    ])
    func whatIsWrongIsToldWithItsPlace(text: String, error: String) throws {
        let told = try errors(text)
        #expect(told == [error])
    }

    @Test func allErrorsAreTold() throws {
        let told = try errors("listen: x\nhttp:\n  headers: 1\n  nonsense: 2\ndrain_s: -1")
        #expect(
            Set(told) == [
                "1:9: 'listen' must be HOST:PORT", "3:12: 'headers' is 1; it must be 8 to 2000", "4:3: unknown key 'nonsense'",
                "5:10: 'drain_s' is -1; it must be 0 to 3600",
            ])
        #expect(told.count == 4)
    }

    @Test func aFileThatIsNotThereIsTold() {
        let path = folder.path + "/none.yaml"
        #expect { try DaemonConfigurationFile.read(path) } throws: {
            "\($0)" == "\(path):1:1: the file cannot be read: No such file or directory"
        }
    }

    @Test func theStateHasAPlaceOfItsUsers() {
        func place(_ environment: [String: String]) -> String { DaemonConfiguration.defaultState(isRoot: false, environment: environment) }
        #expect(DaemonConfiguration.defaultState(isRoot: true, environment: ["HOME": "/h"]) == "/var/lib/cloister")
        #expect(place(["HOME": "/h", "XDG_STATE_HOME": "/s"]) == "/s/cloister")
        for environment in [["HOME": "/h"], ["HOME": "/h", "XDG_STATE_HOME": ""]] {
            #expect(place(environment) == "/h/.local/state/cloister")
        }
    }

    @Test func pathsAreRelativeToTheFile() throws {
        let read = try read("policies: ../x/./y\nstate: s")
        #expect(read.policies == (folder.path as NSString).deletingLastPathComponent + "/x/y" && read.state == folder.path + "/s")
    }

    @Test(arguments: [
        ("a:1", "a", 1), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:65535", "::1", 65_535), ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
    ])
    func anAddressIsSplit(text: String, host: String, port: Int) {
        let parts = DaemonConfigurationFile.split(text)
        #expect(parts?.host == host && parts?.port == port)
    }

    @Test(arguments: [
        "", ":", "a", "a:", ":80", "[]:80", "a:65536", "a:-1", "a:+1", "a: 1", "::1:80", "[::1", "[::1:80", "[::1]80", "a b:1", "a/b:1",
    ])
    func whatIsNoAddressIsRefused(text: String) { #expect(!DaemonConfigurationFile.isAddress(text)) }
}
