/// What cells are started from. Another takes its place as a whole when the cell's executable or V8 was updated while the daemon runs.
public struct CellOrigin: Sendable {
    public var spawner: any CellSpawner
    /// The base snapshots, with and without JIT.
    public var snapshot: [UInt8]
    public var jitlessSnapshot: [UInt8]
    public var snapshots: (any TenantSnapshots)?

    public init(spawner: any CellSpawner, snapshot: [UInt8], jitlessSnapshot: [UInt8], snapshots: (any TenantSnapshots)?) {
        self.spawner = spawner
        self.snapshot = snapshot
        self.jitlessSnapshot = jitlessSnapshot
        self.snapshots = snapshots
    }
}

extension Supervisor {
    /// Cells that are started from now on come from there. Those that run go on as they are; tenants' snapshots of the one do not fit the other.
    func take(_ origin: CellOrigin) {
        originNumber += 1
        spawner = origin.spawner
        configuration.snapshot = origin.snapshot
        configuration.jitlessSnapshot = origin.jitlessSnapshot
        configuration.snapshots = origin.snapshots
        for tenant in tenants.values {
            tenant.version?.snapshotKey = nil
            tenant.version?.snapshot = .unknown
        }
        startFailures = [:]
        logger.notice("cells are started from another executable from now on")
    }
}
