/// What `--json` writes; the names are the field names. What was not measured is `null`.
public struct LoadReport: Codable, Sendable {
    /// A value that is written as `null` where there is none, so that a reader finds the field and sees that it was not measured.
    @propertyWrapper public struct OrNull<Value: Codable & Sendable>: Codable, Sendable {
        /// Nil: it was not measured.
        public var wrappedValue: Value?

        /// Takes what was measured, or nil.
        public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

        /// Reads `null` as nil.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
        }

        /// Writes `null` for nil.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(wrappedValue)
        }
    }

    /// Percentiles. What was not answered counts with the age it had reached.
    public struct Latency: Codable, Sendable {
        public var p50, p90, p99, p99_9, max: Double
    }

    /// What came of the requests of one group.
    public struct Group: Codable, Sendable {
        /// Requests that were answered with a status below 400.
        public var completed: Int
        /// Requests of loops that were neither answered nor refused at the end.
        public var open: Int
        /// The others that are over, by code as `GroupResults.errors` has them.
        public var errors: [String: Int]
        /// Of the answers that came while the group's requests were sent, by those seconds.
        public var throughput_rps: Double
        /// From when a request was due to its answer's end; nil when none was answered or waited for.
        @OrNull public var latency_ms: Latency?
        /// Latency over the handler's own time, where that is known.
        public var slowdown: Latency?
    }

    /// Of CPU time by weight, where tenants always have something to do; else of the part of its requests that each tenant got answered.
    public struct Fairness: Codable, Sendable {
        /// Jain's index of what equals got, the lowest of all seconds: 1 when all got the same.
        @OrNull public var jain: Double?
        /// The largest difference of a tenant's part of the CPU time from its weight's part (of the answers from its part of the requests), in
        /// parts of the latter.
        @OrNull public var max_share_error: Double?
    }

    /// Percentiles of the time that revivals took, in milliseconds.
    public struct Revivals: Codable, Sendable, Equatable {
        public var p50, p99: Double
    }

    /// The time until a stuck worker's place was handed on, in milliseconds.
    public struct Handoffs: Codable, Sendable, Equatable {
        /// The longest is since the cells' start.
        public var mean, longest: Double
    }

    /// Mean bytes of a tenant, by what of it is in memory; nil where that was not measured.
    public struct BytesPerTenant: Codable, Sendable, Equatable {
        public var hot, warm, cold: Double?
    }

    /// One second of the measured part.
    public struct Second: Codable, Sendable {
        /// From 0, over all measured phases.
        public var second: Int
        /// Answers by the group's name; without groups that had none. What comes after a phase's last second is in none.
        public var completed: [String: Int]
        /// Of all groups, by when they were over, likewise.
        public var errors: Int
        /// Jain's index of this second; nil where nobody could be compared.
        public var jain: Double?
        /// At its end, as `rss_bytes` of the report; only in `churn` and `soak`.
        public var rss_bytes: UInt64?
        /// At its end, in scenarios about memory.
        public var isolates: Int?
    }

    /// As `--scenario` names it.
    public var scenario: String
    /// What answered: `cloister`, or a peer's name.
    public var system: String
    /// Those that are called, without hogs and passers-by.
    public var tenants: Int
    /// Worker threads a cell.
    public var workers: Int
    /// At the end of the run.
    @OrNull public var cells: Int?
    /// For which the requests were sent that `throughput_rps` and `latency_ms` are of.
    public var duration_s: Double
    /// Requests a second that the plan has; 0: as many as were answered.
    public var offered_rps: Double
    /// Of arrivals and service times.
    public var seed: UInt64
    /// Of all groups, as `errors`.
    public var completed: Int
    /// By code, as `GroupResults.errors` has them.
    public var errors: [String: Int]
    /// Of all groups together, as `latency_ms`, by the answers that came within `duration_s`; in `hogs` of the victims beside the hogs.
    public var throughput_rps: Double
    /// In milliseconds, of what `throughput_rps` is of.
    @OrNull public var latency_ms: Latency?
    /// All of the scenario's, by name.
    public var groups: [String: Group]
    /// Nil where nobody could be compared.
    @OrNull public var fairness: Fairness?
    /// In the measured part, as `handoffs` and `cold_starts`.
    @OrNull public var preemptions: UInt64?
    /// Times a spare thread took the place of a worker that was stuck.
    @OrNull public var handoffs: UInt64?
    /// For how long somebody could have run until a stuck worker's place was handed on.
    public var handoff_ms: Handoffs?
    /// CPU time of the processes that are known, over all answers: of the daemon and its cells, or of a peer's. In `hogs` most of it
    /// is of what is never answered.
    @OrNull public var cpu_us_per_request: Double?
    /// Resident memory of these processes, a shared page counted once.
    @OrNull public var rss_bytes: UInt64?
    /// Isolates made from their source for tenants without a snapshot.
    @OrNull public var cold_starts: UInt64?
    /// Cells that ended without being told to, the warm-up included; nil without an admin API.
    public var cells_lost: UInt64?
    /// Proportional set size that each further tenant added to the cells; scenarios `idle` and `resident`.
    public var pss_bytes_per_tenant: Double?
    /// How long revivals took: what their clients saw in the scenario `revive`, where nearly all requests needed one, else by the daemon's histogram, to
    /// the width of its buckets.
    public var revive_ms: Revivals?
    /// In the measured part.
    public var evictions: UInt64?
    /// Isolates made for tenants that have a snapshot.
    public var revivals: UInt64?
    /// Of these, those that nobody waited for: a call was expected.
    public var prewarmed: UInt64?
    /// Revivals and cold starts over what Belady's rule would have needed with as many isolates.
    public var belady_ratio: Double?
    /// The part of the difference between plain LRU's isolates made and Belady's that was not made. Who was brought back before its call costs nothing.
    public var belady_gap_closed: Double?
    /// Likewise of the CPU time that it takes to make them: of each as the daemon tells at the end, with room for as many bytes.
    public var belady_cost_gap_closed: Double?
    /// Means. Hot: proportional set size; warm: likewise in `idle`, else what cells account for; cold: of the daemon's own memory.
    public var bytes_per_tenant: BytesPerTenant?
    /// Rounds of the tenants' loop that were taken for a microsecond, where requests take CPU time.
    public var rounds_per_us: Double?
    /// The measured seconds, in order.
    public var series: [Second]
}
