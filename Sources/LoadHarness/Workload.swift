/// What a run needs: tenants, and phases of load one after the other.
public struct Workload: Sendable {
    public struct Tenant: Sendable, Equatable {
        public var name: String
        public var source: String
        /// Further lines of its policy.
        public var policy: String

        public init(_ name: String, _ source: String, policy: String = "") {
            self.name = name
            self.source = source
            self.policy = policy
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
        public var tenants: [Int]
        /// How often each of `tenants` is chosen, in parts of the sum; empty: equally.
        public var popularity: [Double] = []
        public var group: Int
        public var serviceNanoseconds: UInt64 = 0
        /// So many at once.
        public var count = 1
    }

    public struct Phase: Sendable {
        public var seconds: Double
        public var arrivals: [Arrival]
        public var loops: [Loop]
        /// Its requests count.
        public var isMeasured: Bool
        /// It goes on with the calls of the phase before: a pause would break the rhythm of those who come regularly.
        public var goesOn: Bool

        public init(seconds: Double, arrivals: [Arrival] = [], loops: [Loop] = [], isMeasured: Bool = true, goesOn: Bool = false) {
            self.seconds = seconds
            self.arrivals = arrivals
            self.loops = loops
            self.isMeasured = isMeasured
            self.goesOn = goesOn
        }
    }

    public var tenants: [Tenant]
    /// Names, in the order in which reports list them.
    public var groups: [String]
    /// Those whose latency and throughput, taken together, are the report's; by their places in `groups`.
    public var reportedGroups: [Int]
    public var phases: [Phase]
    /// Requests a second that the plan offers while it is measured; 0: as many as are answered.
    public var offeredRate: Double
    /// Each tenant's handler takes CPU time by its path.
    public var needsCalibration = false
    /// The weights of tenants that always have something to do, by their places in `tenants`: fairness is about how they share CPU time, which the
    /// daemon tells when a request is over. Empty: it is about the part of its requests that each tenant gets answered.
    public var weights: [Int: Double] = [:]

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
    public var tenants: Int
    /// Requests a second; nil: as the scenario's load says.
    public var rate: Double?
    /// The part of the workers' CPU time that the offered requests take, for scenarios whose requests take some.
    public var load: Double
    public var seconds: Double
    /// Load of the same kind before what is measured, for scenarios whose requests take CPU time.
    public var warmUpSeconds: Double
    public var seed: UInt64
    public var workers: Int
    /// Rounds of the tenants' loop that are taken for a microsecond; nil: as many as the system under load makes. For systems that are compared
    /// the same, or a slower one would be given less to do.
    public var roundsPerMicrosecond: Double?

    public init(
        tenants: Int, rate: Double?, load: Double, seconds: Double, warmUpSeconds: Double, seed: UInt64, workers: Int,
        roundsPerMicrosecond: Double? = nil
    ) {
        self.tenants = tenants
        self.rate = rate
        self.load = load
        self.seconds = seconds
        self.warmUpSeconds = warmUpSeconds
        self.seed = seed
        self.workers = workers
        self.roundsPerMicrosecond = roundsPerMicrosecond
    }
}
