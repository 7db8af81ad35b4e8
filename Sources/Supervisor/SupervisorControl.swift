/// What the admin API asks of the supervisor. Callable from any thread; answers come from the supervisor's event loop.
public protocol SupervisorControl: Sendable {
    /// Whether requests are taken, and if not, why.
    func readiness() async -> Readiness
    /// All, in order of their names; each as it was at some moment of the call.
    func tenants() async -> [TenantReport]
    /// - Returns: nil when no tenant has the name.
    func tenant(_ name: String) async -> TenantReport?
    func cells() async -> [CellReport]
    /// Reads all policies again; changed tenants swap atomically, a policy that fails leaves the old one in force.
    func reload() async -> ReloadReport
    /// Replaces every cell by a new one without losing a request; returns when each has its successor, or goes on since that did not start.
    /// - Throws: when no cell can be started from what is installed: nothing is replaced.
    func replaceCells() async throws -> CellReplacement
    /// Every tenant that a cell holds, and how much of it.
    func isolates() async -> [IsolateListing]
    /// Ends the isolates of a tenant (nil: of all) where they are idle.
    /// - Parameter cold: cells forget bundles and snapshots, too; what requests have begun ends there.
    /// - Returns: false when no tenant has the name.
    func evict(_ tenant: String?, cold: Bool) async -> Bool
    /// The memory budget of all processes, and what is taken of it.
    func memory() async -> MemoryReport
    func setMemoryBudget(bytes: UInt64) async
    /// Stops taking requests and ends when those in flight are answered.
    func beginDraining() async
}

/// What came of replacing all cells: names of those that take no more requests, and of those that go on.
public struct CellReplacement: Sendable, Codable, Equatable {
    /// They end when what they have begun has, or a minute later.
    public var replaced: [String]
    /// Their successors did not start; the log says why.
    public var kept: [String]

    /// In order of their names.
    public init(replaced: [String], kept: [String] = []) {
        self.replaced = replaced
        self.kept = kept
    }
}

/// Whether the daemon takes requests, as `/readyz` shows it.
public struct Readiness: Sendable, Codable {
    /// False is answered with 503.
    public var ready: Bool
    /// Why not; also warnings such as a missing sandbox.
    public var reasons: [String]
    /// There may be reasons although it is ready.
    public init(ready: Bool, reasons: [String]) {
        self.ready = ready
        self.reasons = reasons
    }
}

/// One tenant as `/v1/tenants` shows it.
public struct TenantReport: Sendable, Codable {
    /// Its name; of a policy whose tenant cannot be told, the file's.
    public var tenant: String
    /// Those of the policy in force; empty without one.
    public var hosts: [String]
    /// As the policy in force says; empty without one.
    public var cordon: String
    /// `active` (has an isolate), `registered` (has none), `quarantined`, `suspended`, `failed` (nothing is in force: it does not load).
    public var state: String
    /// Every error of the last reading of its policy, as `FILE:LINE:COLUMN: message`; what was in force before stays so.
    public var errors: [String]
    /// The name of the cell where it lives; nil while it lives in none.
    public var cell: String?
    /// It has a cell of its own for what it did: `cell_lost`, `limits` or `cpu`; since when, in seconds since 1970.
    public var quarantined: Bool
    /// Which of these; nil while it is not.
    public var quarantineReason: String?
    /// Since when; nil while it is not.
    public var quarantinedAt: UInt64?
    /// For how long it stays suspended.
    public var suspendedSeconds: Int?
    /// Why its code did not start the last time, if it did not.
    public var startError: String?
    /// `off`, `none` (not yet), `building`, `kept`, `refused` or `failed`, and why.
    public var snapshot: String
    /// Why it was refused or failed; else nil.
    public var snapshotReason: String?
    /// Requests of it that have a place: in a cell, or waiting for one to start.
    public var inFlight: Int
    /// Requests of it that wait for a place.
    public var queued: Int
    /// Answers by outcome: `ok` or an error code.
    public var requests: [String: UInt64]
    /// Isolates that were made for it while requests of it waited: cold starts and revivals, but for those ahead of a call.
    public var starts: UInt64
    /// Of its requests that are over, in all its versions.
    public var cpuSeconds: Double
    /// What is left out is that of a tenant that is not in quarantine, not suspended and has no snapshot.
    public init(
        tenant: String, hosts: [String], cordon: String, state: String, errors: [String], cell: String?, quarantined: Bool,
        quarantineReason: String? = nil, quarantinedAt: UInt64? = nil, suspendedSeconds: Int? = nil, startError: String? = nil,
        snapshot: String = "none", snapshotReason: String? = nil, inFlight: Int, queued: Int, requests: [String: UInt64],
        starts: UInt64 = 0,
        cpuSeconds: Double
    ) {
        self.tenant = tenant
        self.hosts = hosts
        self.cordon = cordon
        self.state = state
        self.errors = errors
        self.cell = cell
        self.quarantined = quarantined
        self.quarantineReason = quarantineReason
        self.quarantinedAt = quarantinedAt
        self.suspendedSeconds = suspendedSeconds
        self.startError = startError
        self.snapshot = snapshot
        self.snapshotReason = snapshotReason
        self.inFlight = inFlight
        self.queued = queued
        self.requests = requests
        self.starts = starts
        self.cpuSeconds = cpuSeconds
    }
}

/// The memory budget as `/v1/budget` shows it.
public struct MemoryReport: Sendable, Codable {
    /// What all processes may take together, and what they take (what each has for itself, resident or swapped out).
    public var budgetBytes: UInt64
    /// What they take of it.
    public var usedBytes: UInt64
    /// What the machine or the control group has, and how much of it is to be had.
    public var machineBytes: UInt64
    /// How much may still be taken before something has to give way.
    public var availableBytes: UInt64
    /// The part of the last ten seconds in which some task waited for memory.
    public var pressure: Double
    /// Tenants' snapshots on the disk.
    public var snapshotStoreBytes: UInt64
    /// As the supervisor and the kernel told last.
    public init(
        budgetBytes: UInt64, usedBytes: UInt64, machineBytes: UInt64, availableBytes: UInt64, pressure: Double, snapshotStoreBytes: UInt64
    ) {
        self.budgetBytes = budgetBytes
        self.usedBytes = usedBytes
        self.machineBytes = machineBytes
        self.availableBytes = availableBytes
        self.pressure = pressure
        self.snapshotStoreBytes = snapshotStoreBytes
    }
}

/// One tenant in a cell as `/v1/isolates` shows it.
public struct IsolateListing: Sendable, Codable {
    /// Whose it is; a tenant is listed for each cell that holds it.
    public var tenant: String
    /// The cell that tells of it.
    public var cell: String
    /// `hot`, `trimmed` (idle, gave back what it could), `warm` (no isolate, its snapshot in memory), `cold`.
    public var state: String
    /// V8's pages: heap, code, Wasm memories.
    public var heapBytes: UInt64
    /// Array buffers, and what structuredClone has written.
    public var arrayBufferBytes: UInt64
    /// What V8 and ICU hold outside of both: Wasm modules' bytes, Intl's formats.
    public var nativeBytes: UInt64
    /// What the cell keeps also without an isolate.
    public var bundleBytes: UInt64
    /// What V8 compiled of it, of a tenant without a snapshot.
    public var codeBytes: UInt64
    /// The snapshot in the cell's memory, compressed.
    public var snapshotBytes: UInt64
    /// Since its last turn, or since it was made ready; 0 when it never was.
    public var idleSeconds: Double
    /// The CPU time that bringing it back costs: the least that it took, in the cheaper of the ways.
    public var reviveMilliseconds: Double
    /// Requests of it that this cell has and that are not over.
    public var inFlight: Int
    /// As the cell told, with the tenant's name in place of the version.
    public init(
        tenant: String, cell: String, state: String, heapBytes: UInt64, arrayBufferBytes: UInt64, nativeBytes: UInt64,
        bundleBytes: UInt64, codeBytes: UInt64, snapshotBytes: UInt64,
        idleSeconds: Double, reviveMilliseconds: Double, inFlight: Int
    ) {
        self.tenant = tenant
        self.cell = cell
        self.state = state
        self.heapBytes = heapBytes
        self.arrayBufferBytes = arrayBufferBytes
        self.nativeBytes = nativeBytes
        self.bundleBytes = bundleBytes
        self.codeBytes = codeBytes
        self.snapshotBytes = snapshotBytes
        self.idleSeconds = idleSeconds
        self.reviveMilliseconds = reviveMilliseconds
        self.inFlight = inFlight
    }
}

/// One cell as `/v1/cells` shows it.
public struct CellReport: Sendable, Codable {
    /// Its name: cordon and number, `standard#0`. No later cell of this daemon has it.
    public var cell: String
    /// Its process, as the daemon's namespace numbers it.
    public var pid: Int32
    /// `starting`, `ready`, `leaving` (takes no more requests).
    public var state: String
    /// Tenants that live in it.
    public var tenants: Int
    /// The part of the machine that the kernel was told to give it beside other busy cells; nil while it competes with none.
    public var share: Double?
    /// False: the daemon runs with `--insecure-no-sandbox`.
    public var sandboxed: Bool
    /// V8 isolates that were there when it was last asked.
    public var isolates: UInt64
    /// Requests that were sent to it and are not over, as of now.
    public var inFlight: Int
    /// Slices that ended before their turn did, since its start.
    public var preemptions: UInt64
    /// Suspended turns that were resumed on another worker, since its start.
    public var migrations: UInt64
    /// Times a spare thread took the place of a worker that was stuck in a builtin.
    public var handoffs: UInt64
    /// For how long somebody could have run by then: the sum, and the longest.
    public var handoffMicroseconds: UInt64
    /// The longest of them.
    public var longestHandoffMicroseconds: UInt64
    /// Sum of the weights of the tenants that ran or waited when the cell was last asked.
    public var runnableWeight: UInt64
    /// Isolates made from their source for tenants without a snapshot.
    public var coldStarts: UInt64
    /// CPU time of its workers for tenants, since its start.
    public var cpuSeconds: Double
    /// What it has for itself, resident or swapped out, from the kernel; 0 where it does not tell.
    public var memoryBytes: UInt64
    /// V8's committed pages, as the cell counts them.
    public var accountedBytes: UInt64
    /// Counters are the cell's own, `memoryBytes` is the kernel's, the rest the supervisor's.
    public init(
        cell: String, pid: Int32, state: String, tenants: Int, share: Double?, sandboxed: Bool, isolates: UInt64, inFlight: Int,
        preemptions: UInt64, migrations: UInt64, handoffs: UInt64, handoffMicroseconds: UInt64, longestHandoffMicroseconds: UInt64,
        runnableWeight: UInt64, coldStarts: UInt64, cpuSeconds: Double, memoryBytes: UInt64, accountedBytes: UInt64
    ) {
        self.cell = cell
        self.pid = pid
        self.state = state
        self.tenants = tenants
        self.share = share
        self.sandboxed = sandboxed
        self.isolates = isolates
        self.inFlight = inFlight
        self.preemptions = preemptions
        self.migrations = migrations
        self.handoffs = handoffs
        self.handoffMicroseconds = handoffMicroseconds
        self.longestHandoffMicroseconds = longestHandoffMicroseconds
        self.runnableWeight = runnableWeight
        self.coldStarts = coldStarts
        self.cpuSeconds = cpuSeconds
        self.memoryBytes = memoryBytes
        self.accountedBytes = accountedBytes
    }
}

/// What a reload changed, as `/v1/reload` shows it.
public struct ReloadReport: Sendable, Codable {
    /// Tenants that had nothing in force before.
    public var added: [String]
    /// Tenants whose policy, code or bindings are others now.
    public var changed: [String]
    /// Tenants that had something in force and have no file any more.
    public var removed: [String]
    /// Every error as `FILE:LINE:COLUMN: message`; the tenants they concern keep their old policy.
    public var errors: [String]
    /// The first three are names of tenants; `errors` may be about any file of the daemon's.
    public init(added: [String], changed: [String], removed: [String], errors: [String]) {
        self.added = added
        self.changed = changed
        self.removed = removed
        self.errors = errors
    }
}
