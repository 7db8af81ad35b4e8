import NIOCore

/// What cells are started from. Another takes its place as a whole when the cell's executable or V8 was updated while the daemon runs.
public struct CellOrigin: Sendable {
    /// Starts the executable that has built the snapshots.
    public var spawner: any CellSpawner
    /// The base snapshots, with and without JIT.
    public var snapshot: [UInt8]
    /// The one without JIT.
    public var jitlessSnapshot: [UInt8]
    /// Tenants' snapshots, which fit these only; nil: everything starts from its source.
    public var snapshots: (any TenantSnapshots)?

    /// All four belong together: none fits another executable.
    public init(spawner: any CellSpawner, snapshot: [UInt8], jitlessSnapshot: [UInt8], snapshots: (any TenantSnapshots)?) {
        self.spawner = spawner
        self.snapshot = snapshot
        self.jitlessSnapshot = jitlessSnapshot
        self.snapshots = snapshots
    }
}

extension Supervisor {
    /// Until then an origin that failed is not asked for again.
    private static let retrySeconds: UInt64 = 30

    /// Once a second: an update is what cells are started from as soon as it is there, since a base snapshot fits no other executable than the one
    /// that built it.
    func watchOrigin() {
        guard !isRenewingOrigin, now >= nextOriginNanoseconds, !isDraining else { return }
        _ = renewOrigin()
    }

    /// Has cells start from what is installed by now.
    /// - Returns: when they do. Fails when no cell can be started from it.
    func renewOrigin() -> EventLoopFuture<Void> {
        isRenewingOrigin = true
        let renewed = configuration.renewedOrigin
        // In the order they were asked: one that was found by an earlier call is in force when a later one finds nothing new.
        let renewal = (originRenewal ?? eventLoop.makeSucceededVoidFuture()).recover { _ in }
            .flatMap { [eventLoop, blockingPool] in blockingPool.runIfActive(eventLoop: eventLoop) { try renewed() } }
            .map { [self] origin in if let origin { take(origin) } }
        originRenewal = renewal
        renewal.whenComplete { [self] result in
            isRenewingOrigin = false
            guard case .failure(let error) = result else { return }
            nextOriginNanoseconds = now + Self.retrySeconds * 1_000_000_000
            logger.error("cells cannot be started from what is installed", metadata: ["reason": "\(error)"])
        }
        return renewal
    }

    /// Cells that are started from now on come from there. Those that run go on as they are; tenants' snapshots of the one do not fit the other.
    func take(_ origin: CellOrigin) {
        originNumber += 1
        spawner = origin.spawner
        spawner.setMemoryLimit(cellMemoryLimitBytes)
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
