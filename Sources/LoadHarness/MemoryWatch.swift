import Foundation
import Scheduling

/// What a daemon's metrics say of evictions, revivals and lost cells.
struct MemoryCounters {
    var evictions: Double { evictionsByCell.values.reduce(0, +) }
    var revivals = 0.0
    /// Of these, those that were not made from the source after all.
    var fromSnapshot = 0.0
    var coldStarts = 0.0
    /// Cells that ended without being told to.
    var cellsLost = 0.0
    /// Of the revivals, those that nobody waited for.
    var prewarmed: Double { prewarmedByCell.values.reduce(0, +) }
    /// By what stands in the braces, for a cell begins at nothing and takes its counts with it.
    private var evictionsByCell: [Substring: Double] = [:]
    private var prewarmedByCell: [Substring: Double] = [:]
    /// Snapshots that are being built or wait for that, some for good.
    var snapshotsToCome = 0.0
    /// Revivals by the upper bound of their time in seconds, cumulated.
    var revivalBuckets: [(bound: Double, count: Double)] = []

    init() {}

    /// - Parameter text: Prometheus' text format.
    init(parsing text: String) {
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else { continue }
            let name = line[..<space]
            if name.hasPrefix("cloister_evictions_total{") {
                evictionsByCell[name] = value
            } else if name.hasPrefix("cloister_prewarmed_total{") {
                prewarmedByCell[name] = value
            } else if name == "cloister_revival_duration_seconds_count" {
                revivals = value
            } else if name == "cloister_revivals_total{from=\"snapshot\"}" {
                fromSnapshot = value
            } else if name == "cloister_cold_start_duration_seconds_count" {
                coldStarts = value
            } else if name == "cloister_cells_lost_total" {
                cellsLost = value
            } else if name == "cloister_snapshot_builds_waiting" {
                snapshotsToCome = value
            } else if name.hasPrefix("cloister_revival_duration_seconds_bucket{"), let start = name.range(of: "le=\"") {
                let bound = name[start.upperBound...].prefix { $0 != "\"" }
                revivalBuckets.append((bound == "+Inf" ? .infinity : Double(bound) ?? .infinity, value))
            }
        }
    }

    /// What came after `earlier`; nothing where the counts are lower, since whoever counted has begun anew.
    func since(_ earlier: MemoryCounters) -> MemoryCounters {
        var difference = self
        func less(_ now: Double, _ before: Double) -> Double { max(now - before, 0) }
        difference.evictionsByCell.merge(earlier.evictionsByCell.filter { evictionsByCell[$0.key] != nil }, uniquingKeysWith: less)
        difference.prewarmedByCell.merge(earlier.prewarmedByCell.filter { prewarmedByCell[$0.key] != nil }, uniquingKeysWith: less)
        difference.revivals = less(revivals, earlier.revivals)
        difference.fromSnapshot = less(fromSnapshot, earlier.fromSnapshot)
        difference.coldStarts = less(coldStarts, earlier.coldStarts)
        difference.cellsLost = less(cellsLost, earlier.cellsLost)
        let before = Dictionary(earlier.revivalBuckets.map { ($0.bound, $0.count) }, uniquingKeysWith: { first, _ in first })
        difference.revivalBuckets = revivalBuckets.map { ($0.bound, less($0.count, before[$0.bound] ?? 0)) }
        return difference
    }

    /// Milliseconds that this part of the revivals took at most, by a straight line within a bucket; nil without any.
    func revivalMilliseconds(at part: Double) -> Double? {
        guard let total = revivalBuckets.last?.count, total > 0 else { return nil }
        var lower = (bound: 0.0, count: 0.0)
        for bucket in revivalBuckets {
            if bucket.count >= part * total {
                guard bucket.bound.isFinite, bucket.count > lower.count else { return lower.bound * 1000 }
                return (lower.bound + (bucket.bound - lower.bound) * (part * total - lower.count) / (bucket.count - lower.count)) * 1000
            }
            lower = bucket
        }
        return lower.bound * 1000
    }
}

extension Observation {
    /// Nil without an admin API, or where it did not answer.
    var memoryCounters: MemoryCounters? {
        guard let adminPort, let data = AdminQuery.get("/metrics", port: adminPort, token: adminToken) else { return nil }
        return MemoryCounters(parsing: String(decoding: data, as: UTF8.self))
    }

    /// Snapshots are built one after the other, in the background; a minute is enough for some hundred tenants. Of more, the daemon has most start from
    /// their source for as long as they start rarely.
    func waitForSnapshots() async throws {
        for _ in 0..<120 where memoryCounters?.snapshotsToCome ?? 0 > 0 { try await Task.sleep(for: .milliseconds(500)) }
    }

    /// Ends all idle isolates, or a tenant's.
    func evict(tenant: String? = nil) {
        let path = "/v1/evict" + (tenant.map { "?tenant=\($0)" } ?? "")
        if let adminPort { _ = AdminQuery.exchange("POST", path, port: adminPort, token: adminToken) }
    }

    /// Isolates that were made for each tenant while a request waited; nil as `memoryCounters`.
    var startsByTenant: [String: Int]? {
        list("/v1/tenants").map { tenants in
            Dictionary(
                tenants.compactMap { tenant in (tenant["tenant"] as? String).map { ($0, tenant["starts"] as? Int ?? 0) } },
                uniquingKeysWith: { first, _ in first })
        }
    }

    /// What the isolates that are there hold and take to make again.
    /// - Parameter bundleBytes: of each tenant.
    func isolateModel(_ bundleBytes: [String: Int]) -> IsolateModel? {
        list("/v1/isolates").flatMap { IsolateModel(listed: $0, bundleBytes) }
    }

    /// A tenant's mean, by state. Hot: what the kernel says of the cells, less what they keep for others; without that what they account for.
    var bytesPerTenant: LoadReport.BytesPerTenant {
        var sums: [String: (bytes: Double, count: Double)] = [:]
        for isolate in list("/v1/isolates") ?? [] {
            func bytes(_ field: String) -> Double { Double(isolate[field] as? Int ?? 0) }
            let kept = bytes("bundle_bytes") + bytes("code_bytes") + bytes("snapshot_bytes")
            var state = isolate["state"] as? String ?? ""
            if state == "trimmed" { state = "hot" }
            let held = state == "hot" ? bytes("heap_bytes") + bytes("array_buffer_bytes") + bytes("native_bytes") + kept : kept
            sums[state, default: (0, 0)].bytes += held
            sums[state, default: (0, 0)].count += 1
        }
        func mean(_ state: String) -> Double? { sums[state].map { $0.bytes / $0.count } }
        var result = LoadReport.BytesPerTenant(hot: mean("hot"), warm: mean("warm"), cold: nil)
        let others = sums.filter { $0.key != "hot" }.reduce(0) { $0 + $1.value.bytes }
        let measured = Double(cellPSSBytes ?? 0)
        if measured > others, let hot = sums["hot"] { result.hot = (measured - others) / hot.count }
        return result
    }
}

/// What tenants' isolates hold and what it takes to make them again: as a daemon tells of each that it knows, of others by straight lines through those
/// and the sizes of their bundles.
struct IsolateModel {
    private var bytes = FittedLine()
    private var nanoseconds = FittedLine()
    /// By tenant. Not only of those that are there, since who is cheap to make again is not.
    private var measuredNanoseconds: [String: UInt64] = [:]
    /// Of those that are there.
    let meanBytes: Int

    /// nil: nobody is there.
    /// - Parameters:
    ///   - listed: as `/v1/isolates` has it.
    ///   - bundleBytes: of each tenant.
    init?(listed: [[String: Any]], _ bundleBytes: [String: Int]) {
        var (sum, count) = (0.0, 0)
        for isolate in listed {
            guard let tenant = isolate["tenant"] as? String, let bundle = bundleBytes[tenant] else { continue }
            if let milliseconds = isolate["revive_milliseconds"] as? Double, milliseconds > 0 {
                nanoseconds.add(x: Double(bundle), y: milliseconds * 1e6)
                measuredNanoseconds[tenant] = UInt64(milliseconds * 1e6)
            }
            guard let state = isolate["state"] as? String, ["hot", "trimmed"].contains(state) else { continue }
            let held = ["heap_bytes", "array_buffer_bytes", "native_bytes", "bundle_bytes", "code_bytes"].reduce(0.0) {
                $0 + Double(isolate[$1] as? Int ?? 0)
            }
            bytes.add(x: Double(bundle), y: held)
            (sum, count) = (sum + held, count + 1)
        }
        guard count > 0 else { return nil }
        meanBytes = Int(sum / Double(count))
    }

    func item(tenant: String, bundleBytes: Int) -> EvictionSimulation.Item {
        EvictionSimulation.Item(
            bytes: max(Int(bytes.at(Double(bundleBytes)) ?? 0), 1),
            costNanoseconds: measuredNanoseconds[tenant] ?? max(UInt64(nanoseconds.at(Double(bundleBytes)) ?? 0), 1))
    }
}

/// What calls of the last phase would have come to by plain LRU, and with foresight.
struct EvictionBounds {
    let lru: EvictionSimulation.Result
    let belady: EvictionSimulation.Result

    /// - Parameters:
    ///   - phases: all of a run; what comes in those before the last one fills the room.
    ///   - items: the tenants'.
    ///   - capacityBytes: what fits at once.
    init(_ phases: [Workload.Phase], items: [EvictionSimulation.Item], capacityBytes: Int) {
        let (uses, start) = Self.uses(phases)
        let simulation = EvictionSimulation(items: items, uses: uses, capacityBytes: max(capacityBytes, 1), measuredFrom: start)
        lru = simulation.run(.order(.lru))
        belady = simulation.run(.belady)
    }

    /// - Parameter isolates: how many fit at once, whosever they are.
    init(_ phases: [Workload.Phase], tenants: Int, isolates: Int) {
        let item = EvictionSimulation.Item(bytes: 1, costNanoseconds: 1)
        self.init(phases, items: .init(repeating: item, count: tenants), capacityBytes: isolates)
    }

    /// All calls, and when the last phase begins.
    static func uses(_ phases: [Workload.Phase]) -> (uses: [EvictionSimulation.Use], measuredFrom: UInt64) {
        var (uses, start) = ([EvictionSimulation.Use](), UInt64(0))
        for (index, phase) in phases.enumerated() {
            uses += phase.arrivals.map { EvictionSimulation.Use(nanoseconds: start + $0.nanoseconds, item: $0.tenant) }
            if index < phases.count - 1 { start += UInt64(phase.seconds * 1e9) }
        }
        return (uses, start)
    }

    /// The tenants that are called first in the last phase.
    static func newcomers(_ phases: [Workload.Phase]) -> Set<Int> {
        Set(phases.last?.arrivals.map(\.tenant) ?? []).subtracting(phases.dropLast().flatMap { $0.arrivals.map(\.tenant) })
    }

    /// The part of what foresight would save that so many made isolates save; nil where it would save nothing.
    func gapClosed(making isolates: Double) -> Double? { Self.part(isolates, Double(lru.misses), Double(belady.misses)) }

    /// Likewise of what making them takes, the first of each tenant left out.
    func gapClosed(costing nanoseconds: Double) -> Double? {
        Self.part(nanoseconds, Double(lru.costNanoseconds), Double(belady.costNanoseconds))
    }

    private static func part(_ value: Double, _ lru: Double, _ belady: Double) -> Double? {
        lru > belady ? (lru - value) / (lru - belady) : nil
    }
}
