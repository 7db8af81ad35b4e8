/// What the admin API asks of the supervisor. Callable from any thread; answers come from the supervisor's event loop.
public protocol SupervisorControl: Sendable {
    /// Whether requests are taken, and if not, why.
    func readiness() async -> Readiness
    func tenants() async -> [TenantReport]
    func cells() async -> [CellReport]
    /// Reads all policies again; changed tenants swap atomically, a policy that fails leaves the old one in force.
    func reload() async -> ReloadReport
    /// Replaces every cell by a new one without losing a request; returns when each has its successor.
    /// - Returns: the cells that were replaced.
    func replaceCells() async -> [String]
    /// Stops taking requests and ends when those in flight are answered.
    func beginDraining() async
}

public struct Readiness: Sendable, Codable {
    public var ready: Bool
    /// Why not; also warnings such as a missing sandbox.
    public var reasons: [String]
    public init(ready: Bool, reasons: [String]) {
        self.ready = ready
        self.reasons = reasons
    }
}

/// One tenant as `/v1/tenants` shows it.
public struct TenantReport: Sendable, Codable {
    public var tenant: String
    public var hosts: [String]
    public var cordon: String
    /// `active` (has an isolate), `registered` (has none), `suspended`, `failed` (its policy or bundle does not load).
    public var state: String
    /// Of a failed tenant: every error as `FILE:LINE:COLUMN: message`.
    public var errors: [String]
    public var cell: String?
    /// It was to blame for the loss of a cell and has one of its own.
    public var quarantined: Bool
    public var inFlight: Int
    public var queued: Int
    /// Answers by outcome: `ok` or an error code.
    public var requests: [String: UInt64]
    public var cpuSeconds: Double
    public init(
        tenant: String, hosts: [String], cordon: String, state: String, errors: [String], cell: String?, quarantined: Bool,
        inFlight: Int, queued: Int, requests: [String: UInt64], cpuSeconds: Double
    ) {
        self.tenant = tenant
        self.hosts = hosts
        self.cordon = cordon
        self.state = state
        self.errors = errors
        self.cell = cell
        self.quarantined = quarantined
        self.inFlight = inFlight
        self.queued = queued
        self.requests = requests
        self.cpuSeconds = cpuSeconds
    }
}

/// One cell as `/v1/cells` shows it.
public struct CellReport: Sendable, Codable {
    public var cell: String
    public var pid: Int32
    /// `starting`, `ready`, `leaving` (takes no more requests).
    public var state: String
    /// Tenants that live in it.
    public var tenants: Int
    /// The part of the machine that the kernel was told to give it beside other busy cells; 0 while it is alone.
    public var share: Double
    public var sandboxed: Bool
    public var isolates: UInt64
    public var inFlight: Int
    public var preemptions: UInt64
    public var migrations: UInt64
    /// Times a spare thread took the place of a worker that was stuck in a builtin.
    public var handoffs: UInt64
    /// Sum of the weights of the tenants that ran or waited when the cell was last asked.
    public var runnableWeight: UInt64
    public var coldStarts: UInt64
    public var cpuSeconds: Double
    /// Proportional set size, from the kernel; 0 where it does not tell.
    public var memoryBytes: UInt64
    /// V8's pages and array buffers, as the cell counts them.
    public var accountedBytes: UInt64
    public init(
        cell: String, pid: Int32, state: String, tenants: Int, share: Double, sandboxed: Bool, isolates: UInt64, inFlight: Int,
        preemptions: UInt64,
        migrations: UInt64, handoffs: UInt64, runnableWeight: UInt64, coldStarts: UInt64, cpuSeconds: Double, memoryBytes: UInt64,
        accountedBytes: UInt64
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
        self.runnableWeight = runnableWeight
        self.coldStarts = coldStarts
        self.cpuSeconds = cpuSeconds
        self.memoryBytes = memoryBytes
        self.accountedBytes = accountedBytes
    }
}

public struct ReloadReport: Sendable, Codable {
    public var added: [String]
    public var changed: [String]
    public var removed: [String]
    /// Every error as `FILE:LINE:COLUMN: message`; the tenants they concern keep their old policy.
    public var errors: [String]
    public init(added: [String], changed: [String], removed: [String], errors: [String]) {
        self.added = added
        self.changed = changed
        self.removed = removed
        self.errors = errors
    }
}
