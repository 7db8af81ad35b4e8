/// What `--json` writes; the names are the field names. What was not measured is `null`.
public struct LoadReport: Codable, Sendable {
    /// A value that is written as `null` where there is none, so that a reader finds the field and sees that it was not measured.
    @propertyWrapper public struct OrNull<Value: Codable & Sendable>: Codable, Sendable {
        public var wrappedValue: Value?

        public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(wrappedValue)
        }
    }

    /// Percentiles. What was not answered counts with the age it had reached.
    public struct Latency: Codable, Sendable {
        public var p50, p90, p99, p99_9, max: Double
    }

    public struct Group: Codable, Sendable {
        public var completed: Int
        /// Requests of loops that were neither answered nor refused at the end.
        public var open: Int
        public var errors: [String: Int]
        /// By the seconds in which the group's requests were sent.
        public var throughput_rps: Double
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

    public struct Revivals: Codable, Sendable, Equatable {
        public var p50, p99: Double
    }

    public struct Handoffs: Codable, Sendable, Equatable {
        /// The longest is since the cells' start.
        public var mean, longest: Double
    }

    public struct BytesPerTenant: Codable, Sendable, Equatable {
        public var hot, warm, cold: Double?
    }

    /// One second of the measured part.
    public struct Second: Codable, Sendable {
        public var second: Int
        public var completed: [String: Int]
        public var errors: Int
        public var jain: Double?
        public var rss_bytes: UInt64?
        /// At its end, in scenarios about memory.
        public var isolates: Int?
    }

    public var scenario: String
    /// What answered: `cloister`, or a peer's name.
    public var system: String
    public var tenants: Int
    public var workers: Int
    @OrNull public var cells: Int?
    /// For which the requests were sent that `throughput_rps` and `latency_ms` are of.
    public var duration_s: Double
    public var offered_rps: Double
    public var seed: UInt64
    /// Of all groups, as `errors`.
    public var completed: Int
    public var errors: [String: Int]
    /// Of all groups together, as `latency_ms`; in `hogs` of the victims beside the hogs.
    public var throughput_rps: Double
    @OrNull public var latency_ms: Latency?
    public var groups: [String: Group]
    @OrNull public var fairness: Fairness?
    /// In the measured part, as `handoffs` and `cold_starts`.
    @OrNull public var preemptions: UInt64?
    @OrNull public var handoffs: UInt64?
    /// For how long somebody could have run until a stuck worker's place was handed on.
    public var handoff_ms: Handoffs?
    /// CPU time of the processes that are known, over all answers: of the daemon and its cells, or of a peer's.
    @OrNull public var cpu_us_per_request: Double?
    /// Resident memory of these processes, a shared page counted once.
    @OrNull public var rss_bytes: UInt64?
    @OrNull public var cold_starts: UInt64?
    /// Proportional set size that each further tenant added to the cells; scenarios `idle` and `resident`.
    public var pss_bytes_per_tenant: Double?
    /// How long revivals took: what their clients saw in the scenario `revive`, else by the daemon's histogram, to the width of its buckets.
    public var revive_ms: Revivals?
    /// In the measured part.
    public var evictions: UInt64?
    public var revivals: UInt64?
    /// Of these, those that nobody waited for: a call was expected.
    public var prewarmed: UInt64?
    /// Revivals and cold starts over what Belady's rule would have needed with as many isolates.
    public var belady_ratio: Double?
    /// The part of the difference between plain LRU's isolates made and Belady's that was not made. Who was brought back before its call costs nothing.
    public var belady_gap_closed: Double?
    /// Means. Hot: proportional set size; warm: likewise in `idle`, else what cells account for; cold: of the daemon's own memory.
    public var bytes_per_tenant: BytesPerTenant?
    /// Rounds of the tenants' loop that were taken for a microsecond, where requests take CPU time.
    public var rounds_per_us: Double?
    public var series: [Second]
}
