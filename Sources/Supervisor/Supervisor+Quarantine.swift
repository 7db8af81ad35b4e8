import Glibc
import Logging
import NIOCore
import Policy
import Scheduling

/// Who is to blame for a lost cell, who gets a cell of its own for what it did, and for how long.
extension Supervisor {
    // MARK: What tenants did

    /// A cell was lost with these requests. To blame is the tenant that the cell named; else the only one that had requests in it; else,
    /// perhaps, each whose handler ran or whose request has now lost a second cell.
    func blame(for cell: Cell, _ records: [RequestRecord]) {
        if let name = cell.blamedTenant {
            if let tenant = tenants[name] { noteLoss(of: tenant, isCertain: true) }
            return
        }
        let open = records.filter { openRequests[$0.id] != nil }
        let involved = Dictionary(grouping: open) { ObjectIdentifier($0.tenant) }
        for records in involved.values {
            // Not where the cell named somebody who is no longer there.
            let isCertain = involved.count == 1 && !cell.namesWhoLeft
            guard isCertain || records.contains(where: { $0.isEntered || $0.isRetry }) else { continue }
            noteLoss(of: records[0].tenant, isCertain: isCertain)
        }
    }

    /// The tenant, perhaps with others, cost a cell.
    func noteLoss(of tenant: TenantRecord, isCertain: Bool) {
        let now = now
        if tenant.quarantine.recordLoss(isCertain: isCertain, now: now, configuration.quarantine) { quarantine(tenant) }
        // In a cell of its own nobody else was to blame; in a shared one a second loss decides.
        guard isCertain || tenant.isQuarantined || tenant.version?.policy.cordon == .private else { return }
        tenant.backoff.recordLoss(now: now, after: configuration.suspendAfter)
        guard let seconds = suspension(of: tenant) else { return }
        logger.warning("a tenant is suspended: it lost cells repeatedly", metadata: ["tenant": "\(tenant.name)", "seconds": "\(seconds)"])
    }

    /// Whole seconds that a tenant stays suspended; nil when it is not.
    func suspension(of tenant: TenantRecord) -> Int? {
        tenant.backoff.remainingNanoseconds(now: now).map { Int($0 / 1_000_000_000) + 1 }
    }

    static let suspended = "the tenant has lost cells repeatedly and is suspended for a while"

    /// A cell ended an isolate of the tenant because it went over a limit.
    func noteBreach(of tenant: TenantRecord) {
        if tenant.quarantine.recordBreach(now: now, configuration.quarantine) { quarantine(tenant) }
    }

    // MARK: Time

    /// Once a second.
    func watchConduct() {
        let now = now
        for tenant in tenants.values where tenant.isQuarantined && tenant.quarantine.endIfQuiet(now: now, configuration.quarantine) {
            endQuarantine(of: tenant)
        }
        guard now >= nextConductNanoseconds else { return }
        nextConductNanoseconds = now + configuration.quarantine.windowNanoseconds
        watchBurning(now: now)
    }

    /// Once a window: compares what the tenants of each cell used.
    private func watchBurning(now: UInt64) {
        var users: [ObjectIdentifier: [(tenant: TenantRecord, cpu: UInt64)]] = [:]
        for tenant in tenants.values {
            let used = tenant.windowCPUNanoseconds
            tenant.windowCPUNanoseconds = 0
            guard used > 0, let home = tenant.version?.home else { continue }
            users[ObjectIdentifier(home), default: []].append((tenant, used))
        }
        guard configuration.quarantine.limitBreaches > 0 else { return }
        for found in users.values {
            let window = configuration.quarantine.windowNanoseconds
            guard let index = Quarantine.farAbove(cpuNanoseconds: found.map(\.cpu), windowNanoseconds: window) else { continue }
            if found[index].tenant.quarantine.recordBurning(now: now) { quarantine(found[index].tenant) }
        }
    }

    // MARK: Cells of their own

    private func quarantine(_ tenant: TenantRecord) {
        // Of a tenant that was removed only the end of what it had begun is left.
        guard isKnown(tenant), let version = tenant.version, let reason = tenant.quarantine.reason, !tenant.isQuarantined,
            version.policy.cordon != .private
        else { return }
        // Beyond the limit those of a cordon share cells with each other, and with nobody else.
        let hasOwn = tenants.values.count { $0.version?.key.cordon == Self.quarantineCordon(of: $0) } < configuration.quarantineCells
        tenant.isQuarantined = true
        tenant.quarantinedAtSeconds = UInt64(max(0, time(nil)))
        metrics.tenantsQuarantined.with([reason.rawValue]).increment()
        logger.warning(
            "a tenant has a cell of its own from now on",
            metadata: ["tenant": "\(tenant.name)", "reason": "\(reason.rawValue)", "shared": "\(!hasOwn)"])
        let cordon = hasOwn ? Self.quarantineCordon(of: tenant) : "quarantine-\(version.policy.cordon.rawValue)"
        move(tenant, to: CellKey(cordon: cordon, jit: version.key.jit))
    }

    private static func quarantineCordon(of tenant: TenantRecord) -> String { "quarantine:\(tenant.name)" }

    private func endQuarantine(of tenant: TenantRecord) {
        guard let version = tenant.version else { return }
        tenant.isQuarantined = false
        logger.notice("a tenant is back among those of its cordon", metadata: ["tenant": "\(tenant.name)"])
        move(tenant, to: Self.key(of: version.policy))
    }

    /// A tenant's code goes on under another number, in cells of `key`: what a cell has begun ends there, everything else follows.
    func move(_ tenant: TenantRecord, to key: CellKey) {
        guard let old = tenant.version else { return }
        let new = TenantVersionRecord(id: makeVersionID(), key: key, old.loaded)
        new.snapshot = old.snapshot
        let waits = wantedSnapshots.replace(old, by: new)
        // What is being built is for the old number.
        if case .queued = old.snapshot, !waits { new.snapshot = .unknown }
        new.snapshotKey = old.snapshotKey
        new.startError = old.startError
        new.lastHome = old.home ?? old.lastHome
        versionCounts[key, default: 0] += 1
        // It leaves its cell, and what that said of its quota.
        unpark(tenant)
        tenant.version = new
        tenant.hasIsolate = false
        old.successor = new
        supersede(old)
        updateAdmission(of: tenant)
    }

    /// A request that is in no cell goes where its tenant has been moved to.
    func follow(_ record: RequestRecord) {
        while let next = record.version.successor, !next.isRetired || next.openRequests > 0 {
            let old = record.version
            next.openRequests += 1
            record.version = next
            old.openRequests -= 1
            if old.isRetired, old.openRequests == 0 { retire(old) }
        }
    }
}
