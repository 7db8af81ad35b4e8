import Foundation
import Glibc

/// A tenant of a test: one module and what its policy says besides.
package struct TestTenant {
    package var name: String
    package var source: String
    /// Further lines of the policy.
    package var policy = ""
    /// Further files of the bundle.
    package var files: [String: String] = [:]

    package init(_ name: String, _ source: String, policy: String = "", files: [String: String] = [:]) {
        self.name = name
        self.source = source
        self.policy = policy
        self.files = files
    }

    /// Answers with its name.
    package static func plain(_ name: String, policy: String = "") -> TestTenant {
        TestTenant(name, "export default { fetch() { return new Response('\(name)'); } };", policy: policy)
    }
}

/// The real daemon with the sandbox on, listening on free ports of loopback, with policies in a folder of its own.
package final class TestDaemon: @unchecked Sendable {
    package let folder: URL
    package private(set) var process = Process()
    package private(set) var port = 0
    package private(set) var adminPort = 0
    private let wrapper: [String]
    private let workers: Int
    private let cell: String?
    private let adminAddress: String
    private let arguments: [String]
    private let log: URL

    /// Where the executables under test lie: beside the test's own, or where CLOISTER_BIN says.
    package static var binaries: URL {
        if let path = ProcessInfo.processInfo.environment["CLOISTER_BIN"] { return URL(fileURLWithPath: path) }
        return URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    }

    /// - Parameters:
    ///   - wrapper: a command that the daemon is started through (`exec`, so that the process is the daemon).
    ///   - cell: the cell's executable, where it is not the one beside the daemon.
    ///   - adminAddress: `admin` asks over TCP only.
    ///   - arguments: further ones for the daemon.
    package init(
        _ tenants: [TestTenant], configuration: String = "", workers: Int = 1, wrapper: [String] = [], cell: String? = nil,
        adminAddress: String = "127.0.0.1:0", arguments: [String] = []
    ) throws {
        self.arguments = arguments
        self.wrapper = wrapper
        self.workers = workers
        self.cell = cell
        self.adminAddress = adminAddress
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-test-\(UUID().uuidString)")
        log = folder.appendingPathComponent("log")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("policies"), withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        for tenant in tenants { try write(tenant) }
        let file = folder.appendingPathComponent("cloister.yaml")
        try (configuration.isEmpty ? "drain_s: 5\n" : configuration).write(to: file, atomically: true, encoding: .utf8)
        try start()
    }

    private func start() throws {
        let command =
            wrapper + [
                Self.binaries.appendingPathComponent("cloisterd").path, "run", "--config",
                folder.appendingPathComponent("cloister.yaml").path, "--policies", folder.appendingPathComponent("policies").path,
                "--listen", "127.0.0.1:0", "--admin", adminAddress, "--state", folder.appendingPathComponent("state").path, "--workers",
                "\(workers)", "--json-logs",
            ] + (cell.map { ["--cell", $0] } ?? []) + arguments
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardError = try FileHandle(forWritingTo: log)
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        port = try address("listening", "gateway")
        adminPort = try address("admin listening", "admin")
    }

    deinit { end() }

    /// Starts the daemon anew on the same folders, after its process has ended; its log begins anew, and it has other ports.
    package func restart() throws {
        process.waitUntilExit()
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        process = Process()
        try start()
    }

    /// Ends the daemon if it still runs, and removes the folder.
    package func end() {
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    package func write(_ tenant: TestTenant) throws {
        let bundle = folder.appendingPathComponent("bundles/\(tenant.name)")
        try FileManager.default.createDirectory(at: bundle, withIntermediateDirectories: true)
        for (name, content) in tenant.files.merging(["worker.js": tenant.source], uniquingKeysWith: { $1 }) {
            try content.write(to: bundle.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try writePolicy(tenant.name, "tenant: \(tenant.name)\nmain: ../bundles/\(tenant.name)/worker.js\n\(tenant.policy)\n")
    }

    package func writePolicy(_ name: String, _ text: String) throws {
        try text.write(to: folder.appendingPathComponent("policies/\(name).yaml"), atomically: true, encoding: .utf8)
    }

    package func removePolicy(_ name: String) throws {
        try FileManager.default.removeItem(at: folder.appendingPathComponent("policies/\(name).yaml"))
    }

    // MARK: Asking

    package var logLines: [[String: String]] {
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?.mapValues { "\($0)" }
        }
    }

    /// Prints the warnings and errors of the log's last 200 lines, for a test that failed because of what happened to the daemon.
    package func printProblems() {
        for line in logLines.suffix(200) where ["error", "warning"].contains(line["level"]) { print(line) }
    }

    /// Waits for a log line that `isRight` accepts.
    package func waitForLog(seconds: Double = 20, _ isRight: ([String: String]) -> Bool) throws -> [String: String] {
        try eventually(seconds: seconds, "a log line") { self.logLines.first(where: isRight) }
    }

    private func address(_ message: String, _ field: String) throws -> Int {
        let line: [String: String]
        do {
            line = try eventually(seconds: 60, "the start") {
                let found = self.logLines.first { $0["message"] == message }
                guard found != nil || process.isRunning else { throw ClientError("it ended") }
                return found
            }
        } catch {
            throw ClientError("cloisterd did not start: \((try? String(contentsOf: log, encoding: .utf8)) ?? "no log")")
        }
        return Int(line[field]!.split(separator: ":").last!) ?? 0
    }

    package func connect() throws -> Connection { try Connection(port: port) }

    /// One request on a connection of its own.
    package func get(
        _ tenant: String, _ path: String = "/", method: String = "GET", headers: [String: String] = [:], body: [UInt8]? = nil
    ) throws -> Response {
        let connection = try connect()
        try connection.request("\(tenant).localhost", path, method: method, headers: headers, body: body)
        return try connection.readResponse(toHead: method == "HEAD")
    }

    package func admin(_ path: String, method: String = "GET") throws -> Response {
        let connection = try Connection(port: adminPort)
        try connection.request(
            "127.0.0.1", path, method: method, headers: ["authorization": "Bearer \(try adminToken)"], body: method == "POST" ? [] : nil)
        return try connection.readResponse()
    }

    /// What the admin API wants to see.
    package var adminToken: String {
        get throws {
            // Seen with the daemon's eyes: its state may lie on a disk of its own.
            let root = "/proc/\(process.processIdentifier)/root"
            let path = folder.appendingPathComponent("state/admin.token").path
            let text = try (try? String(contentsOfFile: root + path, encoding: .utf8)) ?? String(contentsOfFile: path, encoding: .utf8)
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    package func list(_ path: String) throws -> [[String: Any]] {
        try JSONSerialization.jsonObject(with: Data(try admin(path).body)) as? [[String: Any]] ?? []
    }

    /// - Returns: the processes of the cells in this state: `starting`, `ready` or `leaving`.
    package func cells(in state: String = "ready") throws -> [Int32] {
        try list("/v1/cells").filter { $0["state"] as? String == state }.compactMap { ($0["pid"] as? Int).map { Int32($0) } }
    }

    package func metric(_ line: String) throws -> Double {
        let text = try admin("/metrics").text
        return text.split(separator: "\n").first { $0.hasPrefix(line + " ") }.flatMap { Double($0.dropFirst(line.count + 1)) } ?? 0
    }

    /// Of the daemon itself.
    package var pid: Int32 { process.processIdentifier }

    /// What is in a folder of its state.
    package func stateFiles(_ folder: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: self.folder.appendingPathComponent("state/\(folder)").path))
    }

    package func signal(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// Reloads by SIGHUP and waits until the policies are in force.
    package func reload() throws {
        let before = logLines.filter { $0["message"] == "policies loaded" }.count
        signal(SIGHUP)
        _ = try eventually(seconds: 20, "the reload") {
            self.logLines.filter { $0["message"] == "policies loaded" }.count > before ? true : nil
        }
    }
}

/// Asks again until there is an answer; a test's waits end.
package func eventually<T>(seconds: Double = 20, _ what: String, _ ask: () throws -> T?) throws -> T {
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
        if let answer = try ask() { return answer }
        Thread.sleep(forTimeInterval: 0.02)
    }
    throw ClientError("waited \(seconds) s for \(what)")
}
