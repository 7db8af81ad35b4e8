import Logging
import NIOCore
import Policy
import Scheduling
import Wire

/// All policies as they were read at one time.
public struct PolicyLoad: Sendable {
    /// A tenant that loaded.
    public struct Tenant: Sendable {
        public var policy: TenantPolicy
        public var bundle: TenantBundle
        public init(policy: TenantPolicy, bundle: TenantBundle) {
            self.policy = policy
            self.bundle = bundle
        }
    }
    public var tenants: [Tenant]
    /// What did not load, by tenant (its file's name where the name itself could not be read), as FILE:LINE:COLUMN: message.
    public var failures: [String: [String]]

    public init(tenants: [Tenant], failures: [String: [String]]) {
        self.tenants = tenants
        self.failures = failures
    }
}

extension Supervisor {
    /// Puts a reading of the policies into force: changed tenants get a new version at once, removed ones are gone for new requests, those
    /// that failed keep what they had.
    @discardableResult
    public func apply(_ load: PolicyLoad) -> ReloadReport {
        eventLoop.preconditionInEventLoop()
        var report = ReloadReport(added: [], changed: [], removed: [], errors: load.failures.values.flatMap { $0 }.sorted())
        for loaded in load.tenants {
            let name = loaded.policy.tenant
            let tenant = tenants[name] ?? TenantRecord(name: name, now: now, metrics: metrics)
            tenant.errors = []
            if let version = tenant.version {
                guard version.policy != loaded.policy || !version.bundle.isSame(as: loaded.bundle) else { continue }
                report.changed.append(name)
                supersede(version)
            } else {
                report.added.append(name)
            }
            tenants[name] = tenant
            tenant.version = TenantVersionRecord(id: makeVersionID(), policy: loaded.policy, bundle: loaded.bundle)
            tenant.hasIsolate = false
            tenant.quota = CPUQuota(millisecondsPerSecond: loaded.policy.limits.cpuQuotaMillisecondsPerSecond, now: now)
        }
        let names = Set(load.tenants.map(\.policy.tenant))
        for (name, errors) in load.failures {
            let tenant = tenants[name] ?? TenantRecord(name: name, now: now, metrics: metrics)
            tenant.errors = errors
            tenants[name] = tenant
            for error in errors { logger.error("a policy does not load", metadata: ["tenant": "\(name)", "reason": "\(error)"]) }
        }
        for (name, tenant) in tenants where !names.contains(name) && load.failures[name] == nil {
            if let version = tenant.version {
                supersede(version)
                report.removed.append(name)
            }
            tenants[name] = nil
            endPrivateCell(of: name)
        }
        rebuildHosts()
        logger.info(
            "policies loaded",
            metadata: [
                "tenants": "\(tenants.values.count { $0.version != nil })", "added": "\(report.added.count)",
                "changed": "\(report.changed.count)", "removed": "\(report.removed.count)", "errors": "\(report.errors.count)",
            ])
        return report
    }

    private func supersede(_ version: TenantVersionRecord) {
        version.isRetired = true
        if version.openRequests == 0 { retire(version) }
    }

    private func endPrivateCell(of tenant: String) {
        for (key, cell) in cells where key.cordon == "private:\(tenant)" {
            cells[key] = nil
            leavingCells[ObjectIdentifier(cell)] = cell
            cell.beginDraining()
            if cell.requests.isEmpty { cell.end("its tenant is gone") }
        }
    }

    private func rebuildHosts() {
        hosts = [:]
        wildcardHosts = [:]
        for tenant in tenants.values {
            for host in tenant.version?.policy.hosts ?? [] {
                if host.hasPrefix("*.") { wildcardHosts[String(host.dropFirst(2))] = tenant } else { hosts[host] = tenant }
            }
        }
    }
}

extension TenantBundle {
    /// Whether a cell would run the same code with the same bindings.
    fileprivate func isSame(as other: TenantBundle) -> Bool {
        modules == other.modules && vars.elementsEqual(other.vars, by: ==) && secrets.elementsEqual(other.secrets, by: ==)
    }
}
