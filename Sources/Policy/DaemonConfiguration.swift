/// What `cloisterd` is configured with: the value of `cloister.yaml`, with command-line options in place of what they name.
public struct DaemonConfiguration: Sendable, Equatable {
    /// Where tenants' clients connect: `HOST:PORT`.
    public var listen = "127.0.0.1:8080"
    /// Where they connect with TLS: `HOST:PORT`; nil: nowhere.
    public var listenTLS: String?
    /// PEM files of the certificate chain and its key; both where `listenTLS` is.
    public var certificateFile: String?
    /// The key of the two, not encrypted.
    public var keyFile: String?
    /// Where the admin API listens; port 0 takes a free one.
    public var admin = AdminAddress.tcp(host: "127.0.0.1", port: 9_090)
    /// Folder of tenants' policy files.
    public var policies = "policies"
    /// Folder for the host key and snapshots; nil: as the daemon decides.
    public var state: String?
    /// Worker threads a cell; nil: one a core.
    public var workers: Int?
    /// The longest a turn runs at a time while others wait.
    public var sliceMicroseconds = 1_000
    /// Tenants that live in a cell before another is started.
    public var isolatesPerCell = 1_000
    /// Cells that tenants of one cordon are spread over; when all are full, the least full takes more.
    public var cellsPerCordon = 16
    /// Requests that one cell handles at once; more wait.
    public var cellConcurrency = 4_096
    /// An isolate without requests is ended after this long.
    public var idleSeconds = 3_600
    /// A cell is replaced when it has run for this long; 0: never.
    public var cellAgeHours = 24
    /// Requests that are handled at once, over all tenants; more wait.
    public var machineConcurrency = 4_096
    /// Requests that may wait, over all tenants; then `overloaded`.
    public var machineQueue = 16_384
    /// What all processes may take together, in MiB; nil: four fifths of what the machine or the cgroup has.
    public var memoryMegabytes: Int?
    /// How cells choose whom to evict.
    public var eviction = Eviction.greedyDual
    /// What evicted tenants come back from.
    public var revival = Revival.quickest
    /// What tenants' snapshots may take on the disk, in MiB.
    public var snapshotStoreMegabytes = 4_096

    /// Which isolate goes first when memory is short.
    public enum Eviction: String, Sendable, CaseIterable {
        case lru
        case greedyDual = "greedy_dual"
    }

    /// How a tenant's isolate comes back.
    public enum Revival: String, Sendable, CaseIterable {
        /// From its snapshot or, with an isolate made ahead, from its source: what took less time before.
        case quickest
        case snapshot
    }

    /// Limits a tenant may break within a window before it has a cell of its own; 0: any number, and any part of the CPU time.
    public var quarantineAfter = 10
    /// That window, in which broken limits and losses of cells are counted and CPU time is compared.
    public var quarantineWindowSeconds = 60
    /// Without anything new for this long it is back among the others.
    public var quarantineQuietSeconds = 3_600
    /// Tenants that may have a cell of their own for what they did; more share one.
    public var quarantineCells = 16
    /// The lost cell that a tenant is suspended after; 0: none.
    public var suspendAfter = 2

    /// A cell that is not ready after this long, or leaves a question unanswered for this long, is ended.
    public var cellStartSeconds = 20
    /// How long a cell may leave a question unanswered.
    public var cellSilenceSeconds = 10

    /// How long draining may take.
    public var drainSeconds = 30
    /// Measurements only: false lets every turn run to its end.
    public var preempt = true
    /// What clients may ask of the front.
    public var http = HTTPLimits()

    /// The defaults, which stand for all that a file does not name.
    public init() {}

    /// The state folder of a daemon that is told none.
    public static func defaultState(isRoot: Bool, environment: [String: String]) -> String {
        if isRoot { return "/var/lib/cloister" }
        // Set to nothing is as not set.
        let own = environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        return (own ?? (environment["HOME"] ?? "") + "/.local/state") + "/cloister"
    }

    /// Limits of the HTTP front.
    public struct HTTPLimits: Sendable, Equatable {
        /// Client connections at once; fewer where the limit of open files does not allow them.
        public var connections = 10_000
        /// Of one client address, or IPv6 network of 64 bits.
        public var connectionsPerAddress = 5_000
        /// Requests a second of one client address; 0: any number.
        public var requestsPerSecondPerAddress = 0
        /// TLS connections whose handshake is not over.
        public var handshakes = 1_000
        /// What all connections together may hold of unfinished requests and unread answers, in MiB.
        public var bufferedMegabytes = 256
        /// Size of the target in a request's first line.
        public var targetBytes = 8 << 10
        /// A request's body, whatever the tenant's policy allows, in MiB.
        public var bodyMegabytes = 1_024
        /// Chunk extensions of one body.
        public var chunkExtensionBytes = 4 << 10
        /// Of a body whose answer is complete, before the connection is closed.
        public var discardedBodyBytes = 64 << 10
        /// From the connection to the end of TLS's handshake.
        public var handshakeTimeoutMilliseconds = 5_000
        /// Each second that a body is waited for has to be earned with so many bytes.
        public var bodyBytesPerSecond = 256
        /// How long an answer may take after the client shut its sending side.
        public var halfClosedMilliseconds = 1_000
        /// How long a refused connection is kept open for reading.
        public var lingerMilliseconds = 2_000
        /// Passes the client's `forwarded` and `x-forwarded-*` fields on.
        public var trustsForwardedHeaders = false
        /// Size of a request's head, and of a body's trailer fields.
        public var headBytes = 64 << 10
        /// Fields of a request's head.
        public var headers = 128
        /// From the connection, or the first byte of a further request, to the end of the head.
        public var headTimeoutMilliseconds = 10_000
        /// Between two pieces of a request's body.
        public var bodyTimeoutMilliseconds = 30_000
        /// Between two requests.
        public var idleTimeoutMilliseconds = 75_000
        /// Between two reads of a client that has an answer to take.
        public var writeTimeoutMilliseconds = 60_000

        /// The defaults, which stand for all that a file does not name.
        public init() {}
    }
}
