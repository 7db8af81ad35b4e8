import Foundation

/// A daemon that the harness starts itself, with tenants made for the scenario, in a folder that goes with it.
public final class SpawnedDaemon: @unchecked Sendable {
    /// The daemon did not come up, or is gone.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public struct Tenant: Sendable {
        public var name: String
        public var source: String
        /// Further lines of its policy.
        public var policy: String
        public init(_ name: String, _ source: String, policy: String = "") {
            self.name = name
            self.source = source
            self.policy = policy
        }
    }

    private let folder: URL
    private let process = Process()
    public private(set) var port = 0
    private var adminPort = 0

    /// - Parameters:
    ///   - executable: `cloisterd`.
    ///   - arguments: further ones for `cloisterd run`.
    public init(executable: String, tenants: [Tenant], workers: Int, arguments: [String]) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-load-\(UUID().uuidString)")
        let policies = folder.appendingPathComponent("policies")
        try FileManager.default.createDirectory(at: policies, withIntermediateDirectories: true)
        for tenant in tenants {
            let bundle = folder.appendingPathComponent("bundles/\(tenant.name)")
            try FileManager.default.createDirectory(at: bundle, withIntermediateDirectories: true)
            try Data(tenant.source.utf8).write(to: bundle.appendingPathComponent("worker.js"))
            try Data("tenant: \(tenant.name)\nmain: ../bundles/\(tenant.name)/worker.js\n\(tenant.policy)\n".utf8)
                .write(to: policies.appendingPathComponent("\(tenant.name).yaml"))
        }
        let log = folder.appendingPathComponent("log")
        try Data().write(to: log)
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments =
            [
                "run", "--policies", policies.path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state",
                folder.appendingPathComponent("state").path, "--workers", "\(workers)", "--json-logs",
            ] + arguments
        process.standardError = try FileHandle(forWritingTo: log)
        try process.run()
        try waitUntilReady(log)
    }

    deinit { end() }

    public func end() {
        if process.isRunning {
            process.terminate()
            let end = Date().addingTimeInterval(5)
            while process.isRunning, Date() < end { Thread.sleep(forTimeInterval: 0.05) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    private func waitUntilReady(_ log: URL) throws {
        let end = Date().addingTimeInterval(60)
        while Date() < end, process.isRunning {
            let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
            for line in text.split(separator: "\n") {
                guard let fields = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { continue }
                let message = fields["message"] as? String
                if message == "listening" { port = Self.port(fields["gateway"]) }
                if message == "admin listening" { adminPort = Self.port(fields["admin"]) }
            }
            if port != 0, adminPort != 0, text.contains("cell ready") { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Failure(description: "cloisterd did not start: \((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
    }

    private static func port(_ address: Any?) -> Int { (address as? String)?.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    // MARK: What it uses

    /// The daemon and its cells.
    public var processes: [Int32] { [process.processIdentifier] + cells.compactMap { ($0["pid"] as? Int).map { Int32($0) } } }

    public var cells: [[String: Any]] {
        guard let data = AdminQuery.get("/v1/cells", port: adminPort) else { return [] }
        return (try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]) ?? []
    }

    public func sum(_ field: String) -> UInt64 { cells.reduce(0) { $0 + UInt64($1[field] as? Int ?? 0) } }

    /// CPU time of the daemon and its cells, user and system, in seconds.
    public var cpuSeconds: Double {
        processes.reduce(0) { sum, pid in
            let fields =
                (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.split(separator: ")").last?.split(separator: " ") ?? []
            // utime and stime are the 14th and 15th field; the list begins with the 3rd.
            return sum + (fields.count > 12 ? (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0) : 0)
                / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// Memory of the cells (PSS) or of all processes (RSS), in bytes, from the kernel.
    public var cellPSSBytes: UInt64 { processes.dropFirst().reduce(0) { $0 + Self.field("Pss:", of: $1) } }
    public var rssBytes: UInt64 { processes.reduce(0) { $0 + Self.field("Rss:", of: $1) } }

    private static func field(_ name: String, of pid: Int32) -> UInt64 {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return (line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
    }
}
