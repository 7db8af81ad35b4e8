import NIOCore
import NIOPosix
import Wire

extension Supervisor: SupervisorControl {
    private func onLoop<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        // The loop ends only with the process.
        try! await eventLoop.submit(body).get()
    }

    /// Not ready while it drains and while a kind of cell does not start; policies that do not load are a reason, but no hindrance.
    public func readiness() async -> Readiness {
        await onLoop { [self] in
            var reasons = configuration.warnings
            if isDraining { reasons.append("draining") }
            // One that nobody has tried for again since tells nothing of whether others are served.
            let failing = startFailures.filter { key, failures in
                now - failures.at < Self.startFailureNanoseconds && !(cells[key] ?? []).contains { $0.state == .ready && $0.takesRequests }
            }
            for (key, failures) in failing { reasons.append("cell \(key.description) does not start: \(failures.reason)") }
            // They keep what was in force, so that the others are served all the same.
            let unloaded = tenants.values.count { !$0.errors.isEmpty }
            if unloaded > 0 { reasons.append("\(unloaded) policies do not load (see /v1/tenants)") }
            return Readiness(ready: !isDraining && failing.isEmpty, reasons: reasons)
        }
    }

    /// For so long a cell that did not start counts, where no other of its kind serves: three times the longest wait before the next try.
    private static let startFailureNanoseconds: UInt64 = 30_000_000_000

    /// Requests wait while so many tenants are dealt with.
    private static let tenantsAtOnce = 500

    /// Takes 500 a turn of the loop, so that requests wait for no more than these.
    public func tenants() async -> [TenantReport] {
        await forEachTenant { supervisor, tenant in supervisor.report(tenant) }
    }

    /// Some at a time, in order of their names.
    private func forEachTenant<T: Sendable>(_ body: @escaping @Sendable (Supervisor, TenantRecord) -> T) async -> [T] {
        let names = await onLoop { [self] in Array(tenants.keys) }.sorted()
        var results: [T] = []
        for start in stride(from: 0, to: names.count, by: Self.tenantsAtOnce) {
            let some = names[start..<min(start + Self.tenantsAtOnce, names.count)]
            results += await onLoop { [self] in some.compactMap { tenants[$0] }.map { body(self, $0) } }
        }
        return results
    }

    /// As of one turn of the loop; nil when no tenant has the name.
    public func tenant(_ name: String) async -> TenantReport? { await onLoop { [self] in tenants[name].map(report) } }

    private func report(_ tenant: TenantRecord) -> TenantReport {
        let state =
            if tenant.version == nil {
                "failed"
            } else if suspension(of: tenant) != nil {
                "suspended"
            } else if tenant.isQuarantined {
                "quarantined"
            } else if tenant.hasIsolate || admission.running(of: tenant.place) > 0 {
                "active"
            } else {
                "registered"
            }
        let snapshot = Self.describe(tenant.version?.snapshot ?? .unknown)
        return TenantReport(
            tenant: tenant.name, hosts: tenant.version?.policy.hosts ?? [],
            cordon: tenant.version?.policy.cordon.rawValue ?? "", state: state, errors: tenant.errors,
            cell: tenant.version?.home?.name, quarantined: tenant.isQuarantined,
            quarantineReason: tenant.isQuarantined ? tenant.quarantine.reason?.rawValue : nil,
            quarantinedAt: tenant.isQuarantined ? tenant.quarantinedAtSeconds : nil, suspendedSeconds: suspension(of: tenant),
            startError: tenant.version?.startError, snapshot: snapshot.state, snapshotReason: snapshot.reason,
            inFlight: admission.running(of: tenant.place),
            queued: admission.waiting(of: tenant.place),
            requests: tenant.outcomes.merging(tenant.answers > 0 ? ["ok": tenant.answers] : [:]) { $1 },
            starts: tenant.starts, cpuSeconds: Double(tenant.cpuNanoseconds) / 1e9)
    }

    /// In order of their names, also those that only finish what they have. Counters are as of each cell's last answer to a ping.
    public func cells() async -> [CellReport] {
        await onLoop { [self] in
            allCells.map { cell in
                CellReport(
                    cell: cell.name, pid: cell.process.pid, state: cell.leavesBy == nil ? cell.state.rawValue : "leaving",
                    tenants: cell.homes, share: cell.toldShare,
                    sandboxed: cell.process.isSandboxed, isolates: cell.status.isolates, inFlight: cell.requests.count,
                    preemptions: cell.status.preemptions, migrations: cell.status.migrations, handoffs: cell.status.handoffs,
                    handoffMicroseconds: cell.status.handoffMicroseconds,
                    longestHandoffMicroseconds: cell.status.longestHandoffMicroseconds,
                    runnableWeight: cell.status.runnableWeight,
                    coldStarts: cell.status.coldStarts, cpuSeconds: Double(cell.status.cpuMicroseconds) / 1e6,
                    memoryBytes: cell.memoryBytes, accountedBytes: cell.status.pageBytes)
            }.sorted { $0.cell < $1.cell }
        }
    }

    /// Reads policies, which may take long and must not hold up what else blocks.
    private static let policyPool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        return pool
    }()

    /// Reads on a thread of its own, and puts into force in one turn of the loop. Two at a time wait for each other.
    public func reload() async -> ReloadReport {
        let load = loadPolicies
        let loaded = try! await Self.policyPool.runIfActive { load() }
        return await onLoop { [self] in apply(loaded) }
    }

    /// Throws, and replaces none, where no cell can be started from what is installed.
    public func replaceCells() async throws -> CellReplacement {
        let renewed: EventLoopFuture<Void> = eventLoop.flatSubmit { [self] in renewOrigin() }
        try await renewed.get()
        let old = await onLoop { [self] in cells.values.flatMap { $0 } }
        let replaced: EventLoopFuture<Void> = eventLoop.flatSubmit { [self] in self.replaceCells() }
        try await replaced.get()
        return await onLoop {
            CellReplacement(
                replaced: old.filter { !$0.takesRequests }.map(\.name).sorted(), kept: old.filter(\.takesRequests).map(\.name).sorted())
        }
    }

    /// Asks all ready cells; in order of the tenants' names.
    public func isolates() async -> [IsolateListing] {
        let list: EventLoopFuture<[IsolateListing]> = eventLoop.flatSubmit { [self] in listIsolates() }
        return ((try? await list.get()) ?? []).sorted { $0.tenant < $1.tenant }
    }

    /// With `cold` the tenants go on under other numbers, which no cell knows yet.
    public func evict(_ tenant: String?, cold: Bool) async -> Bool {
        guard cold else { return await onLoop { [self] in evict(tenant) } }
        if let tenant {
            return await onLoop { [self] in
                guard let record = tenants[tenant] else { return false }
                chill(record)
                return true
            }
        }
        _ = await forEachTenant { supervisor, tenant in supervisor.chill(tenant) }
        return true
    }

    /// As the kernel was last asked, about a second ago.
    public func memory() async -> MemoryReport { await onLoop { [self] in memoryReport() } }

    /// As `setMemoryBudget(_:)`, from any thread.
    public func setMemoryBudget(bytes: UInt64) async { await onLoop { [self] in setMemoryBudget(bytes) } }

    /// Refuses new requests with `draining`; cells live on, until `endCells`.
    public func beginDraining() async { await onLoop { [self] in startDraining() } }

    /// Takes no more requests and waits until those in flight are over.
    public func drain() async {
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [self] in
            drained.append(promise)
            startDraining()
            finishDrainingIfDone()
        }
        try? await promise.futureResult.get()
    }

    /// Ends all cells at once; for the end of the process.
    public func endCells() async {
        await onLoop { [self] in
            isDraining = true
            for cell in allCells { cell.end("the supervisor ends") }
        }
    }

    private func startDraining() {
        guard !isDraining else { return }
        isDraining = true
        logger.notice("draining", metadata: ["in_flight": "\(openRequests.count)"])
    }

    func finishDrainingIfDone() {
        guard openRequests.isEmpty else { return }
        let waiting = drained
        drained = []
        waiting.forEach { $0.succeed() }
    }
}
