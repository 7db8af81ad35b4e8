import Foundation
import Glibc
import Logging
import NIOCore
import Policy
import Supervisor
import Synchronization
import Telemetry
import Testing

@testable import Admin

@Suite struct AdminTests {
    @Test func probesMetricsAndReportsAreServed() async throws {
        let metrics = MetricsRegistry()
        metrics.counter("cloister_x_total", help: "x").single.increment()
        try await serve(FakeControl(), metrics: metrics) { port in
            #expect(try ask(port, "GET /healthz").status == 200)
            let ready = try ask(port, "GET /readyz")
            #expect(ready.status == 200)
            #expect(ready.body == "{\"ready\":true,\"reasons\":[\"no sandbox\"]}\n")
            let text = try ask(port, "GET /metrics")
            #expect(text.head.lowercased().contains("content-type: text/plain; version=0.0.4"))
            #expect(text.body.contains("cloister_x_total 1\n"))
            #expect(try ask(port, "GET /v1/tenants").body.contains("\"in_flight\":3"))
            #expect(try ask(port, "GET /v1/tenants/a").body.hasPrefix("{\"cell\":"))
            #expect(try ask(port, "GET /v1/cells").body == "[]\n")
        }
    }

    @Test func headIsAnsweredAsGetWithoutTheBody() async throws {
        try await serve(FakeControl()) { port in
            for path in ["/healthz", "/readyz", "/metrics", "/v1/tenants"] {
                let answer = try ask(port, "HEAD \(path)")
                #expect(answer.status == 200 && answer.body.isEmpty, "\(path)")
            }
            #expect(try ask(port, "HEAD /v1/tenants", shows: .nothing).status == 401)
            #expect(try ask(port, "HEAD /nothing").status == 404)
        }
        try await serve(FakeControl(isReady: false)) { port in
            let answer = try ask(port, "HEAD /readyz")
            #expect(answer.status == 503)
        }
    }

    @Test func notReadyIs503WithReasons() async throws {
        try await serve(FakeControl(isReady: false)) { port in
            let answer = try ask(port, "GET /readyz")
            #expect(answer.status == 503)
            #expect(answer.body.contains("\"reasons\":[\"no sandbox\"]"))
        }
    }

    @Test func whatIsNotThereIsAnErrorInJSON() async throws {
        try await serve(FakeControl()) { port in
            for path in ["/v1/tenants/none", "/nothing"] {
                let answer = try ask(port, "GET \(path)")
                #expect(answer.status == 404)
                #expect(answer.body.hasPrefix("{\"error\":\""))
            }
        }
    }

    @Test func whoChangesSomethingShowsTheToken() async throws {
        let control = FakeControl()
        try await serve(control) { port in
            for path in ["/v1/reload", "/v1/cells/replace", "/v1/drain"] {
                for shown in Shown.allCases where shown != .right {
                    let refused = try ask(port, "POST \(path)", shows: shown)
                    #expect(refused.status == 401, "\(path) \(shown)")
                    #expect(refused.head.lowercased().contains("www-authenticate: bearer"))
                }
                #expect(control.calls.withLock { $0 }.isEmpty)
            }
            #expect(try ask(port, "POST /v1/reload").status == 200)
            #expect(try ask(port, "POST /v1/cells/replace").body == "{\"replaced\":[\"standard#0\"]}\n")
            #expect(try ask(port, "POST /v1/drain").status == 202)
            #expect(control.calls.withLock { $0 } == ["reload", "replace", "drain"])
        }
    }

    @Test func whoeverHasCellsReplacedIsToldOfThoseThatWereNot() async throws {
        let control = FakeControl()
        control.replacement.withLock { $0 = CellReplacement(replaced: ["standard#0"], kept: ["standard#1", "private:a#0"]) }
        try await serve(control) { port in
            let answer = try ask(port, "POST /v1/cells/replace")
            #expect(answer.status == 503)
            #expect(answer.body.contains("\"not_replaced\"") && answer.body.contains("standard#1 private:a#0"), "\(answer.body)")
        }
    }

    @Test func aFileInTheSocketsPlaceStays() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-\(UUID().uuidString)").path
        #expect(FileManager.default.createFile(atPath: path, contents: Data("settings".utf8)))
        defer { try? FileManager.default.removeItem(atPath: path) }
        await #expect(throws: (any Error).self) { try await serve(FakeControl(), address: .unix(path: path)) { _ in } }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "settings")
    }

    @Test func evictionsAreAskedForByNameAndDepth() async throws {
        let control = FakeControl()
        try await serve(control) { port in
            let all = try ask(port, "POST /v1/evict")
            #expect(all.body == "{\"evicted\":\"all\"}\n")
            #expect(try ask(port, "POST /v1/evict?tenant=a&cold=false").status == 200)
            #expect(try ask(port, "POST /v1/evict?cold=true&tenant=a").body == "{\"evicted\":\"a\"}\n")
            #expect(try ask(port, "POST /v1/evict?cold=true").status == 200)
            #expect(try ask(port, "POST /v1/evict?cold=yes").status == 400)
            #expect(try ask(port, "POST /v1/evict?tenant=nobody").status == 404)
            #expect(control.calls.withLock { $0 } == ["evict all", "evict a", "evict a cold", "evict all cold", "evict nobody"])
        }
    }

    @Test func onlyProbesAndMetricsAreOpen() async throws {
        let metrics = MetricsRegistry()
        try await serve(FakeControl(), metrics: metrics) { port in
            for path in ["/healthz", "/readyz", "/metrics"] {
                for shown in Shown.allCases { #expect(try ask(port, "GET \(path)", shows: shown).status == 200) }
            }
            for path in [
                "/v1/tenants", "/v1/tenants/a", "/v1/cells", "/v1/isolates", "/v1/budget", "/v1/nothing", "/nothing", "/", "/healthz/",
                "//healthz", "/metrics/../v1/tenants", "/%76%31/tenants",
            ] {
                #expect(try ask(port, "GET \(path)", shows: .nothing).status == 401, "\(path)")
            }
            let refused = try ask(port, "GET /v1/tenants", shows: .nothing)
            #expect(refused.body.contains("\"error\":\"token_missing\"") && refused.body.contains("admin.token"))
            #expect(try ask(port, "GET /v1/tenants", shows: .wrong).body.contains("\"error\":\"token_wrong\""))
            #expect(metrics.text().contains("cloister_admin_refusals_total{reason=\"token_wrong\"} 1\n"))
        }
    }

    @Test func aNameThatWasResolvedToLoopbackIsRefused() async throws {
        try await serve(FakeControl()) { port in
            for host in ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil", "[::2]", ""] {
                let refused = try ask(port, "GET /v1/tenants", host: host)
                #expect(refused.status != 200, "\(host)")
            }
            for host in ["localhost", "LOCALHOST:1", "127.0.0.1:\(port)", "[::1]:9090", "127.9.9.9"] {
                let answer = try ask(port, "GET /v1/tenants", host: host)
                #expect(answer.status == 200, "\(host)")
            }
        }
    }

    @Test(arguments: [
        "0.0.0.0:9090", "192.168.0.1:9090", "example.com:80", "127.0.0.1", "127.0.0.1:99999", "127.0.0:1", ":1", "unix:", "", "[::]:1",
        "127.0.0.256:1",
    ])
    func aNetworksAddressIsRefused(_ text: String) {
        #expect(throws: AdminAddressError.self) { _ = try AdminAddress(parsing: text) }
    }

    @Test func loopbackAndSocketFilesAreTaken() throws {
        for (text, expected) in [
            ("127.0.0.1:9090", AdminAddress.tcp(host: "127.0.0.1", port: 9_090)), ("[::1]:1", .tcp(host: "::1", port: 1)),
            ("localhost:0", .tcp(host: "localhost", port: 0)), ("unix:/run/c.sock", .unix(path: "/run/c.sock")),
        ] {
            let address = try AdminAddress(parsing: text)
            #expect(address == expected && address.description == text)
        }
    }

    @Test func aSocketFileIsPrivateAndAStaleOneIsReplaced() async throws {
        try await inFolder { folder in
            let path = folder + "/a"
            // What a daemon that was killed leaves behind.
            close(try listenOn(path))
            try await serve(FakeControl(), address: .unix(path: path)) { _ in
                var status = stat()
                #expect(lstat(path, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o600)
            }
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test func aSocketFileThatSomebodyListensOnStays() async throws {
        try await inFolder { folder in
            let path = folder + "/a"
            let listener = try listenOn(path)
            defer { close(listener) }
            await #expect(throws: (any Error).self) { try await serve(FakeControl(), address: .unix(path: path)) { _ in } }
            #expect(access(path, F_OK) == 0)
        }
    }

    /// The tests run as the server's user.
    @Test func onASocketFileTheServersUserNeedsNoToken() async throws {
        try await inFolder { folder in
            let path = folder + "/a"
            try await serve(FakeControl(), address: .unix(path: path)) { (_: Int) async throws in
                #expect(try ask(path, "GET /v1/tenants", shows: .nothing).status == 200)
                #expect(try ask(path, "POST /v1/drain", shows: .nothing).status == 202)
                // One that is shown has to be right all the same.
                #expect(try ask(path, "GET /v1/tenants", shows: .wrong).status == 401)
                #expect(try ask(path, "GET /v1/tenants", shows: .right).status == 200)
            }
        }
        #expect(AdminGuard.isTrusted(0) && AdminGuard.isTrusted(geteuid()))
        #expect(!AdminGuard.isTrusted(geteuid() + 1) && !AdminGuard.isTrusted(65_534))
    }

    @Test func theTokenIsMadeOnceAndKeptPrivate() async throws {
        try await inFolder { folder in
            let token = try AdminToken(folder: folder)
            var status = stat()
            #expect(lstat(token.path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let text = try String(contentsOfFile: token.path, encoding: .utf8).trimmingCharacters(in: .newlines)
            #expect(text.count == 64)
            #expect(try AdminToken(folder: folder).isShown(by: "Bearer \(text)"))
            #expect(token.isShown(by: "bearer \(text)"))
            for wrong in [
                "", "Bearer", "Bearer ", "Basic \(text)", text, "Bearer  \(text)", "Bearer \(text) ", "Bearer \(text.dropLast())",
                "Bearer \(text.dropLast())g", "Bearer \(text.uppercased())" == "Bearer \(text)" ? "" : "Bearer \(text.uppercased())",
            ] {
                #expect(!token.isShown(by: wrong), "\(wrong)")
            }
            // Another folder has another one.
            try await inFolder { other in
                let other = try AdminToken(folder: other)
                #expect(!other.isShown(by: "Bearer \(text)"))
            }
        }
    }

    @Test(arguments: [0o644, 0o640, 0o604]) func aTokenThatOthersCanReadIsRefused(_ mode: mode_t) async throws {
        try await inFolder { folder in
            _ = try AdminToken(folder: folder)
            chmod(folder + "/admin.token", mode)
            #expect(throws: AdminTokenError.self) { try AdminToken(folder: folder) }
        }
    }

    @Test(arguments: ["", "short\n", String(repeating: "x", count: 64), String(repeating: "a", count: 70)])
    func aFileWithoutATokenIsRefused(_ content: String) async throws {
        try await inFolder { folder in
            try content.write(toFile: folder + "/admin.token", atomically: false, encoding: .utf8)
            chmod(folder + "/admin.token", 0o600)
            #expect(throws: AdminTokenError.self) { try AdminToken(folder: folder) }
        }
    }

    @Test func aLinkIsNoToken() async throws {
        try await inFolder { folder in
            let token = try AdminToken(folder: folder)
            rename(token.path, folder + "/elsewhere")
            symlink(folder + "/elsewhere", token.path)
            #expect(throws: AdminTokenError.self) { try AdminToken(folder: folder) }
        }
    }

    // MARK: Folders and sockets

    private func inFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cloister-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.path)
    }

    private struct SystemFailure: Error { var code = errno }

    private func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard result == 0 else { throw SystemFailure() }
    }

    private func listenOn(_ path: String) throws -> Int32 {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try withUnixAddress(path) { bind(listener, $0, $1) }
        guard listen(listener, 8) == 0 else { throw SystemFailure() }
        return listener
    }

    // MARK: Serving and asking

    private func serve(
        _ control: FakeControl, metrics: MetricsRegistry = MetricsRegistry(), address: AdminAddress = .tcp(host: "127.0.0.1", port: 0),
        _ body: @Sendable (Int) async throws -> Void
    ) async throws {
        let (running, continuation) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let folder = FileManager.default.temporaryDirectory.appending(path: "cloister-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let token = try AdminToken(folder: folder.path)
        let server = AdminServer(
            address: address, token: token, control: control, metrics: metrics, logger: logger,
            onRunning: { continuation.yield($0?.port ?? 0) })
        // `ask` blocks; on the shared pool of threads it would hold up the server that it asks.
        try await withTaskExecutorPreference(ThreadPerJob()) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { continuation.finish() }
                    do { try await server.run() } catch is CancellationError {}
                }
                var ports = running.makeAsyncIterator()
                guard let port = await ports.next() else { return try await group.waitForAll() }
                let text = try String(contentsOfFile: token.path, encoding: .utf8).trimmingCharacters(in: .newlines)
                try await Self.$token.withValue(text) { try await body(port) }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    private struct Answer {
        var status: Int
        var head: String
        var body: String
    }

    /// The token of the server under test.
    @TaskLocal private static var token = ""

    /// What a request shows to be let in.
    private enum Shown: CaseIterable {
        case right, wrong, nothing

        var field: String {
            switch self {
            case .right: "Authorization: Bearer \(token)\r\n"
            case .wrong: "Authorization: Bearer \(String(repeating: "0", count: 64))\r\n"
            case .nothing: ""
            }
        }
    }

    private func ask(_ port: Int, _ line: String, shows: Shown = .right, host: String = "localhost") throws -> Answer {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw SystemFailure() }
        return try ask(descriptor, line, shows, host)
    }

    private func ask(_ path: String, _ line: String, shows: Shown) throws -> Answer {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        try withUnixAddress(path) { connect(descriptor, $0, $1) }
        return try ask(descriptor, line, shows, "localhost")
    }

    private func ask(_ descriptor: Int32, _ line: String, _ shows: Shown, _ host: String) throws -> Answer {
        // Ends a test that has failed; no test waits for it.
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let request = Array("\(line) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\(shows.field)\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { throw SystemFailure() }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { throw SystemFailure() }
            if count == 0 { break }
            all += buffer[..<count]
        }
        let text = String(decoding: all, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        return Answer(
            status: Int(text.dropFirst(9).prefix(3)) ?? 0, head: String(parts.first ?? ""), body: parts.count > 1 ? String(parts[1]) : "")
    }
}

/// Runs each job on a thread of its own.
private final class ThreadPerJob: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        Thread { job.runSynchronously(on: executor) }.start()
    }
}

private final class FakeControl: SupervisorControl {
    let calls = Mutex<[String]>([])
    private let isReady: Bool

    init(isReady: Bool = true) { self.isReady = isReady }

    func readiness() async -> Readiness { Readiness(ready: isReady, reasons: ["no sandbox"]) }

    func tenants() async -> [TenantReport] {
        [
            TenantReport(
                tenant: "a", hosts: ["a.localhost"], cordon: "standard", state: "active", errors: [], cell: "standard#0",
                quarantined: false,
                inFlight: 3,
                queued: 0, requests: ["ok": 1], cpuSeconds: 0.5)
        ]
    }

    func tenant(_ name: String) async -> TenantReport? { await tenants().first { $0.tenant == name } }

    func cells() async -> [CellReport] { [] }

    func reload() async -> ReloadReport {
        calls.withLock { $0.append("reload") }
        return ReloadReport(added: [], changed: [], removed: [], errors: [])
    }

    let replacement = Mutex(CellReplacement(replaced: ["standard#0"]))

    func replaceCells() async throws -> CellReplacement {
        calls.withLock { $0.append("replace") }
        return replacement.withLock { $0 }
    }

    func isolates() async -> [IsolateListing] {
        [
            IsolateListing(
                tenant: "a", cell: "standard#0", state: "warm", heapBytes: 0, arrayBufferBytes: 0, nativeBytes: 0, bundleBytes: 100,
                codeBytes: 0, snapshotBytes: 30_000, idleSeconds: 2, reviveMilliseconds: 1.5, inFlight: 0)
        ]
    }

    func evict(_ tenant: String?, cold: Bool) async -> Bool {
        calls.withLock { $0.append("evict \(tenant ?? "all")\(cold ? " cold" : "")") }
        return tenant != "nobody"
    }

    func memory() async -> MemoryReport {
        MemoryReport(
            budgetBytes: 1 << 30, usedBytes: 1 << 20, machineBytes: 4 << 30, availableBytes: 2 << 30, pressure: 0.25,
            snapshotStoreBytes: 4096)
    }

    func setMemoryBudget(bytes: UInt64) async { calls.withLock { $0.append("budget \(bytes >> 20)") } }

    func beginDraining() async { calls.withLock { $0.append("drain") } }
}
