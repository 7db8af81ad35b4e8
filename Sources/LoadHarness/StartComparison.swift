import Foundation
import Synchronization

/// How long the first answer of a tenant takes, by what it starts from: Cloister's snapshot, kept code and source beside peers' workers,
/// for a small bundle and for a large one. Who starts takes turns; nothing else runs meanwhile.
public struct StartComparison: Sendable {
    /// What one kind of start took.
    public struct Row: Codable, Sendable {
        /// A peer's name, or Cloister with what it starts from.
        public var system: String
        /// In the order of the runs, from the request to its last byte.
        public var small_ms: [Double] = []
        /// Of the large bundle, likewise.
        public var large_ms: [Double] = []
    }

    private enum Bundle: String, CaseIterable { case small, large }

    /// After an eviction and between starts, so that none pays for what another left to do.
    private static let pause = Duration.milliseconds(150)
    /// A tenant that has no snapshot starts from what was compiled before or, the first time, from its source.
    private static let withoutSnapshot = "snapshot: off"
    /// Small bundles, too, are brought back from their snapshots here.
    private static let configuration = "cells_per_cordon: 1\nrevival: snapshot\n"
    private static let policy = Scenario.startPolicy

    private let daemon: String
    private let peers: [PeerSystem]
    private let rounds: Int
    private let largeSource: String

    /// - Parameters:
    ///   - daemon: `cloisterd`.
    ///   - rounds: starts of each kind.
    ///   - largeSource: the module that is the large bundle; without one a router of a megabyte.
    public init(daemon: String, peers: [PeerSystem], rounds: Int, largeSource: String? = nil) {
        self.daemon = daemon
        self.peers = peers
        self.rounds = rounds
        self.largeSource = largeSource ?? Scenario.routerSource
    }

    /// - Throws: when the daemon or a peer does not start, or a request is not answered.
    public func run(progress: @escaping @Sendable (String) -> Void) async throws -> [Row] {
        // All have bundles of their own, for code is kept by its text.
        let own = Bundle.allCases.flatMap { bundle in
            (0..<rounds).flatMap { round in
                [
                    tenant("snapshot", bundle, round, policy: Self.policy),
                    tenant("off", bundle, round, policy: "\(Self.policy)\n\(Self.withoutSnapshot)"),
                ]
            }
        }
        let cloister = try SpawnedDaemon(executable: daemon, tenants: own, workers: 1, configuration: Self.configuration, arguments: [])
        defer { cloister.end() }
        let observation = try Observation(
            adminPort: cloister.adminPort, state: cloister.folder.appendingPathComponent("state").path, pid: cloister.pid)
        let caller = Caller(port: cloister.port, tenants: own.map(\.name))
        for tenant in own where tenant.name.hasPrefix("snapshot") { _ = try await caller.call(tenant.name) }
        try await observation.waitForSnapshots()
        observation.evict()
        guard let before = observation.memoryCounters else { throw Failure(description: "the daemon's metrics cannot be read") }

        let started = try peers.map { (system: $0, process: try $0.start(with: peerTenants)) }
        defer { for peer in started { peer.process.end() } }
        let callers = started.map { Caller(port: $0.process.port, tenants: peerTenants.map(\.name)) }
        let kinds = ["cloister, snapshot", "cloister, kept code", "cloister, source"]
        var rows = (kinds + started.map(\.system.name)).map { Row(system: $0) }
        func add(_ milliseconds: Double, of bundle: Bundle, to index: Int) {
            if bundle == .small { rows[index].small_ms.append(milliseconds) } else { rows[index].large_ms.append(milliseconds) }
        }
        for round in 0..<rounds {
            for bundle in Bundle.allCases {
                let off = name("off", bundle, round)
                let kept = name("snapshot", bundle, round)
                try await Task.sleep(for: Self.pause)
                add(try await caller.call(off), of: bundle, to: 2)
                observation.evict(tenant: off)
                try await Task.sleep(for: Self.pause)
                add(try await caller.call(off), of: bundle, to: 1)
                // Once unmeasured, or the first one would pay for what comes with the tenant and not with its start.
                _ = try await caller.call(kept)
                observation.evict(tenant: kept)
                try await Task.sleep(for: Self.pause)
                add(try await caller.call(kept), of: bundle, to: 0)
                for (index, caller) in callers.enumerated() {
                    try await Task.sleep(for: Self.pause)
                    add(try await caller.call(name("peer", bundle, round)), of: bundle, to: kinds.count + index)
                }
            }
            progress("round \(round + 1) of \(rounds)")
        }
        for caller in [caller] + callers { try await caller.stop() }
        // Cells report once a second.
        try await Task.sleep(for: .milliseconds(1_500))
        guard let since = observation.memoryCounters?.since(before) else {
            throw Failure(description: "the daemon's metrics cannot be read")
        }
        // Each tenant with a snapshot was called twice, the first time as one that was evicted, too; the others as well.
        let expected = Double(rounds * Bundle.allCases.count * 2)
        guard since.fromSnapshot == expected, since.coldStarts == expected else {
            throw Failure(
                description: "\(since.fromSnapshot) starts from snapshots, \(since.coldStarts) others, not \(expected) of each")
        }
        return rows
    }

    private var peerTenants: [Workload.Tenant] {
        Bundle.allCases.flatMap { bundle in (0..<rounds).map { tenant("peer", bundle, $0, policy: "") } }
    }

    private func name(_ kind: String, _ bundle: Bundle, _ round: Int) -> String { "\(kind)-\(bundle.rawValue)-\(round)" }

    private func tenant(_ kind: String, _ bundle: Bundle, _ round: Int, policy: String) -> Workload.Tenant {
        let name = name(kind, bundle, round)
        let source = bundle == .small ? Scenario.smallSource(round) : largeSource
        return Workload.Tenant(name, "// \(name)\n\(source)", policy: policy)
    }

    /// Medians and extremes, and how many times as long as the first row each takes.
    public static func table(_ rows: [Row]) -> String {
        func cells(_ values: [Double], base: [Double]) -> [String] {
            guard let least = values.min(), let most = values.max(), !base.isEmpty else { return ["–", "–", "–"] }
            let median = ReportTable.median(values)
            let ratio = median / ReportTable.median(base)
            return [ReportTable.number(median), "\(ReportTable.number(least)) to \(ReportTable.number(most))", ReportTable.number(ratio)]
        }
        let header = ["first answer", "small ms", "range", "ratio", "large ms", "range", "ratio"]
        return ReportTable.aligned(
            [header] + rows.map { [$0.system] + cells($0.small_ms, base: rows[0].small_ms) + cells($0.large_ms, base: rows[0].large_ms) })
    }

    /// What was measured is not what was meant to be.
    public struct Failure: Error, CustomStringConvertible {
        /// What was counted instead, or the tenant that was not answered and why.
        public var description: String
    }

    /// One request after the other.
    private final class Caller: Sendable {
        private let client: LoadClient
        private let tenants: [String]
        private let last: Last

        private final class Last: Sendable {
            let result = Mutex<(nanoseconds: UInt64, error: String?)?>(nil)
        }

        init(port: Int, tenants: [String]) {
            self.tenants = tenants
            let last = Last()
            self.last = last
            client = LoadClient(host: "127.0.0.1", port: port, tenants: tenants, seed: 1) { _, nanoseconds, error in
                last.result.withLock { $0 = (nanoseconds, error) }
            }
        }

        func stop() async throws { try await client.stop() }

        /// - Returns: milliseconds from the request to the end of its answer.
        func call(_ tenant: String) async throws -> Double {
            let number = tenants.firstIndex(of: tenant)!
            last.result.withLock { $0 = nil }
            try await client.run(
                .init(seconds: 0.001, arrivals: [.init(nanoseconds: 0, tenant: number, group: 0, serviceNanoseconds: 0)]))
            let result = last.result.withLock { $0 }
            guard let result, result.error == nil else { throw Failure(description: "\(tenant): \(result?.error ?? "no answer")") }
            return Double(result.nanoseconds) / 1e6
        }
    }
}
