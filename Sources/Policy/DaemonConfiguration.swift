/// What `cloisterd` is configured with: the value of `cloister.yaml`, with command-line options in place of what they name.
public struct DaemonConfiguration: Sendable, Equatable {
    /// Where tenants' clients connect: `HOST:PORT`.
    public var listen = "127.0.0.1:8080"
    /// The admin API: `HOST:PORT` on loopback, or `unix:PATH`.
    public var admin = "127.0.0.1:9090"
    /// Folder of tenants' policy files.
    public var policies = "policies"
    /// Folder for the host key and snapshots; nil: as the daemon decides.
    public var state: String?
    /// Worker threads a cell; nil: one a core.
    public var workers: Int?
    public var sliceMicroseconds = 2_000
    public var isolatesPerCell = 1_000
    public var cellsPerCordon = 16
    public var cellConcurrency = 4_096
    /// An isolate without requests is ended after this long.
    public var idleSeconds = 3_600
    public var machineConcurrency = 4_096
    public var machineQueue = 16_384
    /// What all processes may take together, in MiB; nil: four fifths of what the machine or the cgroup has.
    public var memoryMegabytes: Int?
    public var eviction = Eviction.greedyDual
    /// What tenants' snapshots may take on the disk, in MiB.
    public var snapshotStoreMegabytes = 4_096

    /// Which isolate goes first when memory is short.
    public enum Eviction: String, Sendable, CaseIterable {
        case lru
        case greedyDual = "greedy_dual"
    }

    /// How long draining may take.
    public var drainSeconds = 30
    /// Measurements only: false lets every turn run to its end.
    public var preempt = true
    public var http = HTTPLimits()

    public init() {}

    /// Limits of the HTTP front.
    public struct HTTPLimits: Sendable, Equatable {
        public var connections = 10_000
        public var headBytes = 64 << 10
        public var headers = 128
        /// From the connection, or the first byte of a further request, to the end of the head.
        public var headTimeoutMilliseconds = 10_000
        /// Between two pieces of a request's body.
        public var bodyTimeoutMilliseconds = 30_000
        /// Between two requests.
        public var idleTimeoutMilliseconds = 75_000
        /// Between two reads of a client that has an answer to take.
        public var writeTimeoutMilliseconds = 60_000

        public init() {}
    }
}
