import Foundation

/// A JavaScript runtime with a router of its own in front of tenants: what people use instead.
public struct PeerSystem: LoadedSystem {
    /// What keeps its tenants apart.
    public enum Mode: String, CaseIterable, Sendable {
        /// One process, a worker thread a tenant.
        case workers
        /// One process a tenant.
        case processes
    }

    private let runtime: String
    private let executable: String
    private let mode: Mode
    private let programs: String
    private let memoryMegabytes: Int?
    /// As reports and tables have it: `node-workers`.
    public var name: String { "\(runtime)-\(mode.rawValue)" }

    /// How long it may take until it says that it is ready.
    private static let startSeconds = 30.0

    /// - Parameters:
    ///   - runtime: `deno`, `node` or `bun`.
    ///   - programs: the folder with `workers.js` and `processes.js`.
    ///   - memoryMegabytes: as `CloisterSystem` has it.
    public init(runtime: String, executable: String, mode: Mode, programs: String, memoryMegabytes: Int? = nil) {
        self.runtime = runtime
        self.executable = executable
        self.mode = mode
        self.programs = programs
        self.memoryMegabytes = memoryMegabytes
    }

    /// Looks for a runtime's executable in a folder and then in PATH.
    public static func find(_ runtime: String, in folder: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return ([folder] + path.split(separator: ":").map(String.init)).map { "\($0)/\(runtime)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// The router is ended with all that it has started, also after an error. Throws when it does not listen, or as `MemoryCap` and `ScenarioRun` do.
    public func run(_ scenario: Scenario, _ parameters: ScenarioParameters, progress: @escaping @Sendable (String) -> Void) async throws
        -> LoadReport
    {
        let cap = try memoryMegabytes.map { try MemoryCap(megabytes: $0) }
        defer { cap?.remove() }
        let peer = try start(with: scenario.workload(parameters).tenants, group: cap?.group)
        defer { peer.end() }
        return try await ScenarioRun(
            scenario: scenario, parameters: parameters,
            target: .init(system: name, host: "127.0.0.1", port: peer.port, adminPort: nil, pid: peer.pid), progress: progress
        ).run()
    }

    /// Starts the router; a tenant's worker or process comes with its first request.
    /// - Parameter group: as `ChildProcess` has it.
    func start(with tenants: [Workload.Tenant], group: String? = nil) throws -> SpawnedPeer {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-peer-\(UUID().uuidString)")
        Leftovers.shared.add(folder.path)
        do {
            for tenant in tenants where !ChildProcess.isEnding { try tenant.write(to: folder) }
            let port = try Self.freePort()
            let process = try ChildProcess(
                executable,
                (runtime == "deno" ? ["run", "--allow-all", "--no-config"] : [])
                    + ["\(programs)/\(mode.rawValue).js", "--port", "\(port)", "--tenants", folder.appendingPathComponent("bundles").path],
                group: group)
            let peer = SpawnedPeer(process: process, folder: folder, port: port)
            try Self.waitUntilListening(port, process)
            return peer
        } catch {
            Leftovers.shared.remove(folder.path)
            throw error
        }
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard status == 0 else { throw SpawnedDaemon.Failure(description: "no port is free") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    private static func waitUntilListening(_ port: Int, _ process: ChildProcess) throws {
        let end = Date().addingTimeInterval(startSeconds)
        while Date() < end, process.isRunning {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = loopback(port)
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            if status == 0 { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw SpawnedDaemon.Failure(description: "it does not listen")
    }
}

/// A peer that runs; ends with this object, and its folder with it.
final class SpawnedPeer: @unchecked Sendable {
    private let process: ChildProcess
    private let folder: URL
    let port: Int
    var pid: Int32 { process.pid }

    init(process: ChildProcess, folder: URL, port: Int) {
        self.process = process
        self.folder = folder
        self.port = port
    }

    deinit { end() }

    func end() {
        process.end()
        Leftovers.shared.remove(folder.path)
    }
}

/// A control group with a limit of memory, for what is started in it: the same for every system that is compared. Version 1 or 2, where writable.
public struct MemoryCap: Sendable {
    /// There is no such group.
    public struct Failure: Error, CustomStringConvertible {
        /// What is missing.
        public var description: String
    }

    /// Its folder.
    let group: String

    /// Makes one with that limit in MiB. Throws a `Failure` where that cannot be done.
    public init(megabytes: Int) throws {
        // Nobody gets one that was used: what a daemon hands on below it keeps processes out of it.
        let name = "cloister-load-\(getpid())-\(UUID().uuidString)"
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let path = "\(root)/\(name)"
            guard FileManager.default.fileExists(atPath: "\(root)/cgroup.procs") else { continue }
            Leftovers.shared.add(path)
            if mkdir(path, 0o755) == 0,
                (try? "\(megabytes << 20)".write(toFile: "\(path)/\(limit)", atomically: false, encoding: .utf8)) != nil
            {
                group = path
                return
            }
            Leftovers.shared.remove(path)
        }
        throw Failure(description: "no cgroup with a memory limit is writable")
    }

    /// Removes it, with those below it, once nothing runs in it.
    public func remove() { Leftovers.shared.remove(group) }
}

/// Medians of several runs side by side.
public struct ReportTable {
    private let names: [String]
    private let reports: [String: [LoadReport]]

    /// - Parameter names: in the order of the rows; the others are compared with the first.
    public init(names: [String], reports: [String: [LoadReport]]) {
        self.names = names
        self.reports = reports
    }

    /// About three digits, as on the page.
    public static func number(_ value: Double) -> String { ReportPage.number(value) }
    /// A number, or a dash for what was not measured.
    public static func text(_ value: Double?) -> String { value.map(number) ?? "–" }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
    }

    /// A line for each system, with the medians and how many times the first one's they are.
    public var text: String {
        let columns: [(String, (LoadReport) -> Double?)] = [
            ("requests/s", { $0.throughput_rps }), ("p50 ms", \.latency_ms?.p50), ("p99 ms", \.latency_ms?.p99),
            ("p99.9 ms", \.latency_ms?.p99_9), ("errors", { Double($0.errors.values.reduce(0, +)) }),
            ("CPU us/request", \.cpu_us_per_request), ("RSS MiB", { $0.rss_bytes.map { Double($0) / 1_048_576 } }),
        ]
        var rows = [["system", "runs"] + columns.flatMap { [$0.0, "ratio"] }]
        func median(_ name: String, _ value: (LoadReport) -> Double?) -> Double? {
            let values = reports[name, default: []].compactMap(value)
            return values.isEmpty ? nil : Self.median(values)
        }
        for name in names {
            var row = [name, "\(reports[name, default: []].count)"]
            for (_, column) in columns {
                let value = median(name, column)
                let base = median(names[0], column).flatMap { $0 == 0 ? nil : $0 }
                row += [Self.text(value), Self.text(value.flatMap { value in base.map { value / $0 } })]
            }
            rows.append(row)
        }
        return Self.aligned(rows)
    }

    /// Lines whose columns stand below each other, the first to the left, the others to the right.
    static func aligned(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            zip(row, widths).enumerated().map { index, cell in
                index == 0
                    ? cell.0.padding(toLength: cell.1, withPad: " ", startingAt: 0)
                    : String(repeating: " ", count: cell.1 - cell.0.count) + cell.0
            }.joined(separator: "  ")
        }.joined(separator: "\n") + "\n"
    }
}
