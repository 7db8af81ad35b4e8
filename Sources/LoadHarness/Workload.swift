/// What a run needs: tenants, and phases of load one after the other.
public struct Workload: Sendable {
    /// A tenant that is served, whether it is called or not.
    public struct Tenant: Sendable, Equatable {
        /// Its name, and with `.localhost` its host.
        public var name: String
        /// The main module's text; the bundle has no other.
        public var source: String
        /// Further lines of its policy.
        public var policy: String
        /// Functions that nobody calls follow the source up to this size; 0: none do.
        public var bundleBytes: Int

        /// Without `policy` it has the limits of a policy that names none.
        public init(_ name: String, _ source: String, policy: String = "", bundleBytes: Int = 0) {
            self.name = name
            self.source = source
            self.policy = policy
            self.bundleBytes = bundleBytes
        }
    }

    /// One request.
    public struct Arrival: Sendable, Equatable {
        /// From the start of its phase.
        public var nanoseconds: UInt64
        /// By its place in `tenants`.
        public var tenant: Int
        /// By its place in `groups`.
        public var group: Int
        /// CPU time that the handler takes; 0: a handler that does not take any to speak of.
        public var serviceNanoseconds: UInt64 = 0
    }

    /// A client that sends its next request when the last was answered.
    public struct Loop: Sendable, Equatable {
        /// Whom it may call, by their places in the workload's `tenants`: each request goes to one that is drawn.
        public var tenants: [Int]
        /// How often each of `tenants` is chosen, in parts of the sum; empty: equally.
        public var popularity: [Double] = []
        /// As `Arrival.group`.
        public var group: Int
        /// As `Arrival.serviceNanoseconds`.
        public var serviceNanoseconds: UInt64 = 0
        /// So many at once.
        public var count = 1
    }

    /// A stretch of load.
    public struct Phase: Sendable {
        /// For how long requests are sent; then answers are waited for.
        public var seconds: Double
        /// In order of time.
        public var arrivals: [Arrival]
        /// They go on in the next phase, where that has the same.
        public var loops: [Loop]
        /// Its requests count.
        public var isMeasured: Bool
        /// It goes on with the calls of the phase before: a pause would break the rhythm of those who come regularly.
        public var goesOn: Bool

        /// Without `arrivals` and `loops` it is a pause.
        public init(seconds: Double, arrivals: [Arrival] = [], loops: [Loop] = [], isMeasured: Bool = true, goesOn: Bool = false) {
            self.seconds = seconds
            self.arrivals = arrivals
            self.loops = loops
            self.isMeasured = isMeasured
            self.goesOn = goesOn
        }
    }

    /// All that are served; phases name them by their places here.
    public var tenants: [Tenant]
    /// Names, in the order in which reports list them.
    public var groups: [String]
    /// Those whose latency and throughput, taken together, are the report's; by their places in `groups`.
    public var reportedGroups: [Int]
    /// In order; each is over when what was due in it is answered or given up.
    public var phases: [Phase]
    /// Requests a second that the plan offers while it is measured; 0: as many as are answered.
    public var offeredRate: Double
    /// Each tenant's handler takes CPU time by its path.
    public var needsCalibration = false
    /// The weights of tenants that always have something to do, by their places in `tenants`: fairness is about how they share CPU time, which the
    /// daemon tells when a request is over. Empty: it is about the part of its requests that each tenant gets answered.
    public var weights: [Int: Double] = [:]

    /// All groups are reported and nobody has a weight, until `reportedGroups` and `weights` say otherwise.
    public init(tenants: [Tenant], groups: [String], phases: [Phase], offeredRate: Double, needsCalibration: Bool = false) {
        self.tenants = tenants
        self.groups = groups
        reportedGroups = Array(groups.indices)
        self.phases = phases
        self.offeredRate = offeredRate
        self.needsCalibration = needsCalibration
    }

    /// For how long requests of these groups were measured: the phases that have any, all of them where none does.
    func measuredSeconds(of groups: [Int]) -> Double {
        let measured = phases.filter(\.isMeasured)
        let own = measured.filter { phase in
            phase.arrivals.contains { groups.contains($0.group) } || phase.loops.contains { groups.contains($0.group) }
        }
        return (own.isEmpty ? measured : own).reduce(0) { $0 + $1.seconds }
    }
}

/// What scenarios are told.
public struct ScenarioParameters: Sendable {
    /// Those that are called; a scenario may have others besides, as `hogs` has.
    public var tenants: Int
    /// Requests a second; nil: as the scenario's load says.
    public var rate: Double?
    /// The part of the workers' CPU time that the offered requests take, for scenarios whose requests take some.
    public var load: Double
    /// For how long the load is sent that is measured; `coldstart` and `idle` call each tenant once instead.
    public var seconds: Double
    /// Load of the same kind before what is measured, for scenarios whose requests take CPU time.
    public var warmUpSeconds: Double
    /// Of arrivals and service times.
    public var seed: UInt64
    /// Worker threads a cell; `load` is a part of what they can do.
    public var workers: Int
    /// How large the bundles of `azure`, `pressure` and `registered` are; nil: as they are said to be in clouds (lognormal, median 20 KB).
    public var bundleBytes: Int?
    /// Rounds of the tenants' loop that are taken for a microsecond; nil: as many as the system under load makes. For systems that are compared
    /// the same, or a slower one would be given less to do.
    public var roundsPerMicrosecond: Double?

    /// Checks nothing: the command line has.
    public init(
        tenants: Int, rate: Double?, load: Double, seconds: Double, warmUpSeconds: Double, seed: UInt64, workers: Int,
        bundleBytes: Int? = nil, roundsPerMicrosecond: Double? = nil
    ) {
        self.tenants = tenants
        self.rate = rate
        self.load = load
        self.seconds = seconds
        self.warmUpSeconds = warmUpSeconds
        self.seed = seed
        self.workers = workers
        self.bundleBytes = bundleBytes
        self.roundsPerMicrosecond = roundsPerMicrosecond
    }
}
