import Logging
import NIOCore
import NIOPosix
import Policy
import Scheduling
import Telemetry
import Wire

/// Owns tenants, cells and requests. Everything but `SupervisorControl` runs on one event loop; there are no locks.
public final class Supervisor: @unchecked Sendable {
    let eventLoop: any EventLoop
    var configuration: SupervisorConfiguration
    var spawner: any CellSpawner
    /// How many times cells' origin has changed.
    var originNumber = 0
    var originRenewal: EventLoopFuture<Void>?
    var isRenewingOrigin = false
    var nextOriginNanoseconds: UInt64 = 0
    let logger: Logger
    let metrics: SupervisorMetrics
    /// Reads policies; not on the event loop.
    let loadPolicies: @Sendable () -> PolicyLoad
    /// Monotonic nanoseconds.
    private let clock: @Sendable () -> UInt64

    var tenants: [String: TenantRecord] = [:]
    var hosts: [String: TenantRecord] = [:]
    /// By the part after `*.`.
    var wildcardHosts: [String: TenantRecord] = [:]
    /// Those that take requests, in the order they were started.
    var cells: [CellKey: [Cell]] = [:]
    /// Those that only finish what they have.
    var leavingCells: [Cell] = []
    /// Cells that are still to be replaced, and promises for when all are.
    var cellsToReplace: [Cell] = []
    var replaced: [EventLoopPromise<Void>] = []
    var admission: Admission
    /// Tenants whose CPU quota is used up, by when it has filled again.
    var parkedTenants = DeadlineQueue<String>()
    /// Versions that are in force or have requests, by the cells they run in.
    var versionCounts: [CellKey: Int] = [:]
    var cellNumber: [CellKey: Int] = [:]
    var startFailures: [CellKey: StartFailures] = [:]
    private var nextVersion: UInt64 = 1
    var isStartingWaiting = false
    var openRequests: [UInt64: RequestRecord] = [:]
    var isDraining = false
    var drained: [EventLoopPromise<Void>] = []
    private var nextOverdueNanoseconds: UInt64 = 0
    private var nextSecondNanoseconds: UInt64 = 0
    /// When the tenants' conduct in the current window is looked at.
    var nextConductNanoseconds: UInt64 = 0
    var pings: UInt64 = 0
    /// For what blocks: reading policies, collecting ended processes, asking the kernel for memory.
    let blockingPool = NIOThreadPool.singleton
    /// That this machine does not let cells be watched was in the log.
    var hasSaidUnwatched = false

    /// What all processes may take together, and the part of it that pressure leaves.
    var memoryBudgetBytes: UInt64
    var memoryFactor = 1.0
    /// What all processes took when the factor was last 1.
    var pressedBytes = 0.0
    /// When the next cell may be replaced for its age.
    var nextAgedNanoseconds: UInt64 = 0
    var isLimitingMemory = false
    var ownMemoryBytes: UInt64 = 0
    /// What the kernel said last.
    var machineMemory = MachineMemory(limitBytes: 0, availableBytes: 0, pressure: 0)
    /// Builds snapshots, one at a time: its thread outlives the builders that it starts.
    let snapshotPool = NIOThreadPool(numberOfThreads: 1)
    /// Reads bundles and snapshots, which nothing else holds up.
    let codePool: NIOThreadPool
    var isBuildingSnapshot = false { didSet { countSnapshotsToCome() } }
    /// At most one of each tenant's version.
    var wantedSnapshots: BuildQueue<TenantVersionRecord> { didSet { countSnapshotsToCome() } }
    /// Steps of `shareAmongCells` since cells competed last, and whether the kernel is being told what came of one.
    var stepsOfPeace = Supervisor.peaceSteps
    var isTellingShares = false
    var frontIsUrgent = false

    struct StartFailures {
        var count = 0
        /// When the last one was, and when it is tried again.
        var at: UInt64 = 0
        var retryAt: UInt64 = 0
        var reason = ""
    }

    /// - Parameter clock: monotonic nanoseconds; tests have their own.
    public init(
        eventLoop: any EventLoop, configuration: SupervisorConfiguration, spawner: any CellSpawner, logger: Logger,
        registry: MetricsRegistry, clock: @escaping @Sendable () -> UInt64 = { NIODeadline.now().uptimeNanoseconds },
        loadPolicies: @escaping @Sendable () -> PolicyLoad
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.spawner = spawner
        self.logger = logger
        metrics = SupervisorMetrics(registry)
        admission = Admission(
            AdmissionLimits(
                machineConcurrency: configuration.machineConcurrency, cellConcurrency: configuration.cellConcurrency,
                machineQueue: configuration.machineQueue))
        memoryBudgetBytes = configuration.memoryBudgetBytes
        self.clock = clock
        wantedSnapshots = BuildQueue(now: clock())
        self.loadPolicies = loadPolicies
        codePool = NIOThreadPool(numberOfThreads: configuration.codeReaders)
        snapshotPool.start()
        codePool.start()
    }

    var now: UInt64 { clock() }

    /// Starts the clock and the shared cell, so that the first request finds it ready.
    public func start() {
        eventLoop.preconditionInEventLoop()
        eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(20), delay: .milliseconds(20)) {
            [weak self] task in
            guard let self else { return task.cancel() }
            tick()
        }
        keepSharedCell()
    }

    static let sharedKey = CellKey(cordon: Cordon.standard.rawValue, jit: true)

    func makeVersionID() -> UInt64 {
        defer { nextVersion += 1 }
        return nextVersion
    }

    // MARK: Time

    /// Every 20 ms: quotas that have filled again; every 100 ms: wall limits; every second: pings.
    func tick() {
        let now = now
        if now >= nextOverdueNanoseconds {
            nextOverdueNanoseconds = now + 100_000_000
            endOverdue(now: now)
            shareAmongCells()
        }
        unpark(now: now)
        if now >= nextSecondNanoseconds {
            nextSecondNanoseconds = now + 1_000_000_000
            everySecond()
        }
    }

    private func everySecond() {
        for cell in allCells { checkHealth(of: cell) }
        limitMemoryOfCells()
        shareMemory()
        watchConduct()
        watchOrigin()
        endOverdueLeavers()
        replaceDamagedCells()
        replaceOldestCell()
        keepSharedCell()
        buildNextSnapshot()
        metrics.inFlight.set(Double(admission.running))
        metrics.queued.set(Double(admission.waiting))
        if isDraining { finishDrainingIfDone() }
    }
}
