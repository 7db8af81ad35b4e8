import Bundles
import NIOCore
import Scheduling
import Wire

/// What the supervisor is started with.
public struct SupervisorConfiguration: Sendable {
    /// Worker threads a cell; while its part of the processors is smaller, fewer of them run at once.
    public var workersPerCell = 1
    /// Of the machine; what cells share.
    public var processors = System.coreCount
    /// The longest a turn runs at a time while others wait.
    public var sliceMicroseconds = 1_000
    /// Called on the event loop when cells begin to compete for the processors, with true, and when they have not for a while.
    public var setFrontUrgency: @Sendable (Bool) -> Void = { _ in }
    /// Tenants that live in a cell before another is started.
    public var isolatesPerCell = 1_000
    /// An isolate without requests is ended after this long.
    public var idleSeconds = 3_600
    /// A cell is replaced when it has run for this long; 0: never.
    public var cellAgeHours = 24
    /// Cells that one cordon may have; with all of them full, the least full takes more tenants.
    public var cellsPerCordon = 16
    /// Versions of tenants that a cell may keep before it gives some up for others: three quarters of what it has room for.
    public var versionsPerCell = TenantBundle.cellLimit / 4 * 3
    /// Requests being handled by one cell; more wait.
    public var cellConcurrency = 4_096
    /// A cell that is replaced ends after this, whatever still runs in it.
    public var cellDrainSeconds = 60
    /// Requests being handled by all cells together; more wait.
    public var machineConcurrency = 4_096
    /// Requests waiting in all tenants' queues together; more get `overloaded`.
    public var machineQueue = 16_384
    /// A cell must be ready within this time.
    public var cellStartSeconds = 20
    /// A cell that leaves a ping unanswered this long is ended.
    public var cellSilenceSeconds = 10
    /// When tenants get cells of their own for what they do, and how many may; more share one.
    public var quarantine = Quarantine.Rules()
    /// Beyond these, tenants in quarantine share cells with each other.
    public var quarantineCells = 16
    /// Cells that a tenant may lose within a window before it is suspended; 0: any number.
    public var suspendAfter = LossBackoff.usualLosses
    /// False only for measurements: turns run to completion.
    public var preempts = true
    /// The base snapshot that cells with JIT are started from.
    public var snapshot: [UInt8] = []
    /// The one that cells without JIT are started from.
    public var jitlessSnapshot: [UInt8] = []
    /// V8's hash seed, a secret of the host; the base snapshots were built with the same.
    public var hashSeed: UInt32 = 0
    /// What keeps the tenants' code.
    public var bundles = BundleStore()
    /// Threads that read code and snapshots; with one, versions come to cells in the order in which they were asked for.
    public var codeReaders = 2
    /// Tenants' snapshots; nil: everything starts from its source.
    public var snapshots: (any TenantSnapshots)?
    /// What all processes may take together, in bytes.
    public var memoryBudgetBytes = UInt64.max
    /// Evict by least recent use alone.
    public var evictsLRU = false
    /// Revive from the snapshot also where the source is quicker.
    public var revivesFromSnapshot = false
    /// What the machine says of its memory; tests have their own.
    public var machineMemory: @Sendable () -> MachineMemory = { MachineMemory.read() }
    /// Asked once a second and before all cells are replaced, on another thread: what they are started from by now, where that has changed.
    public var renewedOrigin: @Sendable () throws -> CellOrigin? = { nil }
    /// Why requests may run without a sandbox; shown on `/readyz`.
    public var warnings: [String] = []

    /// One worker a cell, no base snapshot, no budget of memory; else the daemon's defaults.
    public init() {}
}
