/// What one tenant may do: the value of one policy file, read and checked.
public struct TenantPolicy: Sendable, Equatable {
    /// The tenant's name: `[a-z0-9-]{1,63}`.
    public var tenant: String
    /// Host names routed to it, lower case; `*.` as the first label matches exactly one label. Never empty.
    public var hosts: [String]
    /// Path of the main module, absolute; its folder is the bundle.
    public var main: String
    /// With whom it may share a cell.
    public var cordon: Cordon
    /// CPU share between tenants, 1...10000.
    public var weight: Int
    /// What it may use: over a limit a request waits or is refused, or its isolate is ended.
    public var limits: TenantLimits
    /// Plain text bindings of `env`.
    public var vars: [String: String]
    /// Secret bindings of `env`: where each value is read from when the policy is loaded.
    public var secrets: [String: SecretSource]
    /// Origins that outgoing `fetch` may reach; nothing is allowed unless named.
    public var outboundAllow: [String]
    /// False: runs in a cell without executable mappings (V8 `--jitless`, no WebAssembly).
    public var jit: Bool
    /// Whether code may be made from strings (`eval`, `Function`).
    public var eval: Bool
    /// Whether its isolates may start from a snapshot of the loaded bundle.
    public var snapshot: SnapshotMode

    /// The defaults are those of a policy that does not name the key; `hosts` must not be empty.
    public init(
        tenant: String, hosts: [String], main: String, cordon: Cordon = .standard, weight: Int = 100,
        limits: TenantLimits = TenantLimits(), vars: [String: String] = [:], secrets: [String: SecretSource] = [:],
        outboundAllow: [String] = [], jit: Bool = true, eval: Bool = false, snapshot: SnapshotMode = .auto
    ) {
        self.tenant = tenant
        self.hosts = hosts
        self.main = main
        self.cordon = cordon
        self.weight = weight
        self.limits = limits
        self.vars = vars
        self.secrets = secrets
        self.outboundAllow = outboundAllow
        self.jit = jit
        self.eval = eval
        self.snapshot = snapshot
    }
}

extension TenantPolicy {
    /// The host that reaches a tenant whatever its policy says, and no other tenant.
    public static func ownHost(of tenant: String) -> String { "\(tenant).localhost" }
}

/// Tenants that may share a cell.
public enum Cordon: String, Sendable, CaseIterable {
    case trusted, standard, hostile
    /// A cell of the tenant's own.
    case `private`
}

/// Where a secret's value comes from.
public enum SecretSource: Sendable, Equatable {
    /// The file's content without one trailing newline; the path is absolute.
    case file(String)
    /// An environment variable of the supervisor.
    case environment(String)
}

/// Whether snapshots are made of a tenant: `auto`, where one can be.
public enum SnapshotMode: String, Sendable, CaseIterable { case auto, off }

/// A tenant's limits, in the units their names say. The defaults are those of a policy that names none.
public struct TenantLimits: Sendable, Equatable {
    /// CPU time of one request.
    public var cpuMilliseconds = 50
    /// From the request's dispatch to the response's head, and again to the end of `waitUntil`.
    public var wallMilliseconds = 30_000
    /// CPU time for loading the bundle and running its top level.
    public var startupCPUMilliseconds = 400
    /// CPU time per second over all requests, with a burst of one second's worth.
    public var cpuQuotaMillisecondsPerSecond = 500
    /// Heap, array buffers, Wasm memories and external strings of one isolate.
    public var memoryMegabytes = 128
    /// Requests being handled at once.
    public var concurrency = 64
    /// Requests waiting for one of those places.
    public var queue = 256
    /// Outgoing fetches a request.
    public var subrequests = 50
    /// Size of one request's body.
    public var requestBodyMegabytes = 100

    /// The limits of a policy that names none.
    public init() {}
}
