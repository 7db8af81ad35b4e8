import Foundation

/// A daemon that the harness starts itself, with tenants made for the scenario, in a folder that goes with it.
public final class SpawnedDaemon: @unchecked Sendable {
    /// The daemon did not come up, or is gone.
    public struct Failure: Error, CustomStringConvertible {
        /// What was wrong, with the daemon's log where it has begun one.
        public var description: String
    }

    let folder: URL
    private let process: ChildProcess
    /// The front's, on loopback.
    public private(set) var port = 0
    /// The admin API's, on loopback.
    public private(set) var adminPort = 0

    /// - Parameters:
    ///   - executable: `cloisterd`.
    ///   - configuration: of its own, as YAML.
    ///   - arguments: further ones for `cloisterd run`.
    ///   - group: as `ChildProcess` has it.
    public init(
        executable: String, tenants: [Workload.Tenant], workers: Int, configuration: String = "", arguments: [String], group: String? = nil
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-load-\(UUID().uuidString)")
        self.folder = folder
        let log = folder.appendingPathComponent("log")
        Leftovers.shared.add(folder.path)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for tenant in tenants where !ChildProcess.isEnding { try tenant.write(to: folder) }
            if !configuration.isEmpty { try Data(configuration.utf8).write(to: folder.appendingPathComponent("cloister.yaml")) }
            try Data().write(to: log)
            process = try ChildProcess(
                executable,
                [
                    "run", "--policies", folder.appendingPathComponent("policies").path, "--listen", "127.0.0.1:0", "--admin",
                    "127.0.0.1:0", "--state", folder.appendingPathComponent("state").path, "--workers", "\(workers)", "--json-logs",
                ] + (configuration.isEmpty ? [] : ["--config", folder.appendingPathComponent("cloister.yaml").path]) + arguments,
                errors: log.path, group: group)
        } catch {
            // Nothing ends that has not begun.
            Leftovers.shared.remove(folder.path)
            throw error
        }
        do { try waitUntilReady(log) } catch {
            end()
            throw error
        }
    }

    deinit { end() }

    /// Ends the daemon and removes its folder; nothing happens when that was done before.
    public func end() {
        process.end()
        Leftovers.shared.remove(folder.path)
    }

    private func waitUntilReady(_ log: URL) throws {
        // Reading the bundles of 50,000 tenants takes its time.
        let end = Date().addingTimeInterval(300)
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

    /// The daemon's; its cells are children of that process.
    public var pid: Int32 { process.pid }
}

extension Workload.Tenant {
    /// Writes bundle and policy into `policies/` and `bundles/` below a folder.
    public func write(to folder: URL) throws {
        let policies = folder.appendingPathComponent("policies")
        let bundle = folder.appendingPathComponent("bundles/\(name)")
        for folder in [policies, bundle] { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
        try BundleSizes.fill(source, to: bundleBytes).write(to: bundle.appendingPathComponent("worker.js"))
        try Data("tenant: \(name)\nmain: ../bundles/\(name)/worker.js\n\(policy)\n".utf8)
            .write(to: policies.appendingPathComponent("\(name).yaml"))
    }

    func remove(from folder: URL) throws { try FileManager.default.removeItem(at: folder.appendingPathComponent("policies/\(name).yaml")) }
}
