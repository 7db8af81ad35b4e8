import Bundles
import Logging
import NIOCore
import Policy
import Scheduling
import Wire

/// All policies as they were read at one time.
public struct PolicyLoad: Sendable {
    /// A tenant that loaded.
    public struct Tenant: Sendable {
        /// As its file has it, without hosts that are another's.
        public var policy: TenantPolicy
        /// Plain text bindings of `env`, in order of their names: two readings are compared pair by pair.
        public var vars: [(name: String, value: String)]
        /// Secret bindings with their values, likewise.
        public var secrets: [(name: String, value: String)]
        /// Its code.
        public var bundle: StoredBundle
        /// All of it comes of the same reading.
        public init(
            policy: TenantPolicy, vars: [(name: String, value: String)], secrets: [(name: String, value: String)], bundle: StoredBundle
        ) {
            self.policy = policy
            self.vars = vars
            self.secrets = secrets
            self.bundle = bundle
        }
    }
    /// Those that loaded, each name once.
    public var tenants: [Tenant]
    /// What did not load, by tenant (its file's name where the name itself could not be read), as FILE:LINE:COLUMN: message.
    public var failures: [String: [String]]
    /// Hosts of those of them that have nothing in force: their clients hear that the tenant does not load, not that there is none.
    public var hostsWithoutBundle: [String: [String]]
    /// False when the policies could not be read at all: then nothing changes.
    public var isComplete: Bool

    /// A tenant may be among `failures`, too: it is served, but for a host that is another's.
    public init(
        tenants: [Tenant], failures: [String: [String]], hostsWithoutBundle: [String: [String]] = [:], isComplete: Bool = true
    ) {
        self.tenants = tenants
        self.failures = failures
        self.hostsWithoutBundle = hostsWithoutBundle
        self.isComplete = isComplete
    }
}

extension Supervisor {
    /// Puts a reading of the policies into force: changed tenants get a new version at once, removed ones are gone for new requests, those
    /// that failed keep what they had.
    @discardableResult
    public func apply(_ load: PolicyLoad) -> ReloadReport {
        eventLoop.preconditionInEventLoop()
        var report = ReloadReport(added: [], changed: [], removed: [], errors: load.failures.values.flatMap { $0 }.sorted())
        guard load.isComplete else {
            for error in report.errors {
                logger.error("the policies cannot be read; those in force stay", metadata: ["reason": "\(error)"])
            }
            return report
        }
        for loaded in load.tenants {
            let name = loaded.policy.tenant
            let tenant = tenants[name] ?? makeTenant(name)
            tenant.errors = []
            if let version = tenant.version {
                guard !version.loaded.isSame(as: loaded) else { continue }
                report.changed.append(name)
                supersede(version)
            } else {
                report.added.append(name)
            }
            tenants[name] = tenant
            let version = TenantVersionRecord(
                id: makeVersionID(), key: Self.key(of: loaded.policy), loaded)
            tenant.version = version
            versionCounts[version.key, default: 0] += 1
            tenant.hasIsolate = false
            tenant.isQuarantined = false
            tenant.quarantine = Quarantine()
            unpark(tenant)
            updateAdmission(of: tenant)
        }
        let names = Set(load.tenants.map(\.policy.tenant))
        for (name, errors) in load.failures {
            let tenant = tenants[name] ?? makeTenant(name)
            tenant.errors = errors
            tenants[name] = tenant
            for error in errors { logger.error("a policy does not load", metadata: ["tenant": "\(name)", "reason": "\(error)"]) }
        }
        let gone = tenants.filter { name, _ in !names.contains(name) && load.failures[name] == nil }
        for (name, tenant) in gone {
            if let version = tenant.version {
                supersede(version)
                report.removed.append(name)
            }
            // Nobody else tells what waits that the quota has filled.
            unpark(tenant)
            tenants[name] = nil
            admission.removeTenant(tenant.place)
        }
        metrics.forget(tenants: Set(gone.keys))
        forgetUnwantedSnapshots()
        rebuildHosts(load.hostsWithoutBundle)
        endUnneededCells()
        logger.info(
            "policies loaded",
            metadata: [
                "tenants": "\(tenants.values.count { $0.version != nil })", "added": "\(report.added.count)",
                "changed": "\(report.changed.count)", "removed": "\(report.removed.count)", "errors": "\(report.errors.count)",
            ])
        return report
    }

    private func makeTenant(_ name: String) -> TenantRecord {
        let limits = TenantAdmission(concurrency: 1, queue: 0, weight: 1)
        return TenantRecord(name: name, place: admission.addTenant(limits, in: Admission.nowhere), metrics: metrics)
    }

    /// Once: it is no longer counted then.
    func supersede(_ version: TenantVersionRecord) {
        guard !version.isRetired else { return }
        version.isRetired = true
        if version.openRequests == 0 { retire(version) }
    }

    /// No request names the version again: cells may end its isolates, and cells that ran nothing else end.
    func retire(_ version: TenantVersionRecord) {
        // A cell keeps the name until it has ended the isolate: log lines may still be on their way.
        for cell in version.cells.values where cell.state == .ready { cell.send(.retire, id: version.id) }
        version.cells = [:]
        leaveHome(version)
        countVersion(version.key, -1)
    }

    private func countVersion(_ key: CellKey, _ change: Int) {
        let left = versionCounts[key, default: 0] + change
        versionCounts[key] = left > 0 ? left : nil
        // A version that takes its place, if one does, is counted by the next turn of the loop.
        if left == 0 { eventLoop.execute { [weak self] in self?.endUnneededCells() } }
    }

    private func endUnneededCells() {
        for (key, unneeded) in cells where versionCounts[key] == nil {
            cells[key] = nil
            leavingCells += unneeded
            for cell in unneeded { cell.endUnneeded("no tenant needs it") }
        }
        startFailures = startFailures.filter { versionCounts[$0.key] != nil }
    }

    // MARK: CPU quotas

    func park(_ tenant: TenantRecord, until time: UInt64) {
        tenant.parkedUntilNanoseconds = time
        parkedTenants.set(tenant.name, at: time)
        admission.setParked(tenant.place, true)
    }

    func unpark(_ tenant: TenantRecord) {
        guard tenant.parkedUntilNanoseconds > 0 else { return }
        tenant.parkedUntilNanoseconds = 0
        parkedTenants.remove(tenant.name)
        admission.setParked(tenant.place, false)
    }

    /// Tenants whose quota has filled again go on.
    func unpark(now: UInt64) {
        while let name = parkedTenants.popDue(at: now) { tenants[name].map(unpark) }
        startWaiting()
    }

    private func rebuildHosts(_ hostsWithoutBundle: [String: [String]]) {
        hosts = [:]
        wildcardHosts = [:]
        // A tenant whose new policy does not load may keep a host that another asks for by now: who had it first keeps it.
        for tenant in tenants.values.sorted(by: { $0.version?.id ?? .max > $1.version?.id ?? .max }) {
            for host in tenant.version?.policy.hosts ?? hostsWithoutBundle[tenant.name] ?? [] {
                if host.hasPrefix("*.") { wildcardHosts[String(host.dropFirst(2))] = tenant } else { hosts[host] = tenant }
            }
        }
    }
}

extension PolicyLoad.Tenant {
    /// Whether nothing of the tenant has changed.
    fileprivate func isSame(as other: PolicyLoad.Tenant) -> Bool {
        policy == other.policy && bundle.digest == other.bundle.digest && vars.elementsEqual(other.vars, by: ==)
            && secrets.elementsEqual(other.secrets, by: ==)
    }

    /// What a cell is given of it.
    func bundle(_ modules: [BundleModule]) -> TenantBundle {
        TenantBundle(
            tenant: policy.tenant, limits: policy.limits, eval: policy.eval, weight: policy.weight, vars: vars, secrets: secrets,
            modules: modules)
    }
}
