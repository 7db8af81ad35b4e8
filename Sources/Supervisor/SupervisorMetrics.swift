import Telemetry

/// The supervisor's metrics.
struct SupervisorMetrics {
    let requests: CounterFamily
    let responsesBroken: CounterFamily
    let duration: Histogram
    let cpuSeconds: CounterFamily
    let inFlight: Gauge
    let queued: Gauge
    let isolates: GaugeFamily
    let preemptions: GaugeFamily
    let migrations: GaugeFamily
    let handoffs: GaugeFamily
    let handoffSeconds: GaugeFamily
    let longestHandoff: GaugeFamily
    let coldStarts: GaugeFamily
    let coldStartSeconds: GaugeFamily
    let cellMemory: GaugeFamily
    let cellAccounted: GaugeFamily
    let isolateBytes: GaugeFamily
    let storedBytes: GaugeFamily
    let warmTenants: GaugeFamily
    let trims: GaugeFamily
    let evictions: GaugeFamily
    let evictedTooEarly: GaugeFamily
    let prewarmed: GaugeFamily
    let marginalValue: GaugeFamily
    let coldStartDuration: Histogram
    let revivalDuration: Histogram
    let revivals: CounterFamily
    let snapshotBuilds: CounterFamily
    let snapshotBuildsWaiting: Gauge
    let snapshotStore: Gauge
    let bundlesOnDisk: Gauge
    let bundlesInMemory: Gauge
    let memoryUsed: Gauge
    let memoryBudget: Gauge
    let memoryPressure: Gauge
    let cellsDrifted: Counter
    let cellsLost: Counter
    let deniedCalls: CounterFamily
    let builderDeniedCalls: CounterFamily
    let cellsStarted: Counter
    let tenantsQuarantined: CounterFamily
    let retries: Counter

    init(_ registry: MetricsRegistry) {
        requests = registry.counter(
            "cloister_requests_total", help: "Answers by tenant and outcome (ok or the error's code).",
            labels: ["tenant", "outcome"], enumerated: ["outcome"])
        responsesBroken = registry.counter(
            "cloister_responses_broken_total",
            help: "Answers that broke off after their head (counted as ok by then), by tenant and the error's code.",
            labels: ["tenant", "code"], enumerated: ["code"])
        duration =
            registry.histogram(
                "cloister_request_duration_seconds", help: "From dispatch to the response's head, all tenants."
            ).single
        cpuSeconds = registry.counter(
            "cloister_cpu_seconds_total", help: "CPU time of the tenant's requests.", labels: ["tenant"])
        inFlight = registry.gauge("cloister_requests_in_flight", help: "Requests being handled by cells.").single
        queued = registry.gauge("cloister_requests_queued", help: "Requests waiting for a place.").single
        isolates = registry.gauge("cloister_isolates", help: "Live isolates.", labels: ["cell"])
        preemptions = registry.gauge(
            "cloister_preemptions_total", help: "Turns suspended for another, since the cell's start.", labels: ["cell"], kind: .counter)
        migrations = registry.gauge(
            "cloister_migrations_total", help: "Suspended turns resumed on another worker, since the cell's start.", labels: ["cell"],
            kind: .counter)
        handoffs = registry.gauge(
            "cloister_handoffs_total", help: "Times a spare thread took a stuck worker's place, since the cell's start.", labels: ["cell"],
            kind: .counter)
        handoffSeconds = registry.gauge(
            "cloister_handoff_seconds_total",
            help: "For how long somebody could have run until a stuck worker's place was handed on, since the cell's start.",
            labels: ["cell"], kind: .counter)
        longestHandoff = registry.gauge(
            "cloister_handoff_longest_seconds", help: "The longest such time since the cell's start.", labels: ["cell"])
        coldStarts = registry.gauge(
            "cloister_cold_starts_total", help: "Isolates made from their source for tenants without a snapshot, since the cell's start.",
            labels: ["cell"], kind: .counter)
        coldStartSeconds = registry.gauge(
            "cloister_cold_start_seconds_total",
            help: "Time taken to make isolates from their source for tenants without a snapshot, since the cell's start.", labels: ["cell"],
            kind: .counter)
        cellMemory = registry.gauge(
            "cloister_cell_memory_bytes", help: "What the cell's process has for itself, resident or swapped out.", labels: ["cell"])
        cellAccounted = registry.gauge(
            "cloister_cell_accounted_bytes", help: "V8's committed pages as the cell counts them.", labels: ["cell"])
        isolateBytes = registry.gauge(
            "cloister_isolate_bytes",
            help: "What live isolates hold, as the cell counts: pages, array buffers, native memory, bodies that wait for clients.",
            labels: ["cell"])
        storedBytes = registry.gauge(
            "cloister_stored_bytes", help: "Bundles and snapshots that the cell keeps in memory.", labels: ["cell"])
        warmTenants = registry.gauge(
            "cloister_warm_tenants", help: "Tenants without an isolate whose snapshot is in memory.", labels: ["cell"])
        trims = registry.gauge(
            "cloister_trims_total", help: "Idle isolates that gave memory back, since the cell's start.", labels: ["cell"], kind: .counter)
        evictions = registry.gauge(
            "cloister_evictions_total", help: "Isolates that were evicted, since the cell's start.", labels: ["cell", "reason"],
            kind: .counter)
        evictedTooEarly = registry.gauge(
            "cloister_evicted_too_early_total",
            help: "Evicted isolates that were wanted again before one that was kept, since the cell's start.", labels: ["cell"],
            kind: .counter)
        prewarmed = registry.gauge(
            "cloister_prewarmed_total", help: "Isolates that were brought back before a request that was expected, since the cell's start.",
            labels: ["cell"], kind: .counter)
        marginalValue = registry.gauge(
            "cloister_memory_marginal_value", help: "CPU seconds of revivals that another MiB would save in a second, by recent evictions.",
            labels: ["cell"])
        coldStartDuration =
            registry.histogram("cloister_cold_start_duration_seconds", help: "From a request to an isolate made from its source.").single
        revivalDuration =
            registry.histogram("cloister_revival_duration_seconds", help: "From a request to an isolate of a tenant that has a snapshot.")
            .single
        revivals = registry.counter(
            "cloister_revivals_total", help: "Isolates of tenants that have a snapshot, by what they were made from.", labels: ["from"])
        snapshotBuildsWaiting =
            registry.gauge("cloister_snapshot_builds_waiting", help: "Tenants' snapshots that are being built or wait for that.").single
        snapshotBuilds = registry.counter(
            "cloister_snapshot_builds_total", help: "Tenants' snapshots that were built, refused or failed.", labels: ["outcome"])
        snapshotStore = registry.gauge("cloister_snapshot_store_bytes", help: "Tenants' snapshots on the disk.").single
        let bundles = registry.gauge(
            "cloister_bundle_bytes", help: "The tenants' code: in the state folder, and in memory where the disk did not take it.",
            labels: ["place"])
        bundlesOnDisk = bundles.with(["disk"])
        bundlesInMemory = bundles.with(["memory"])
        memoryUsed =
            registry.gauge("cloister_memory_used_bytes", help: "What all processes have for themselves, resident or swapped out.").single
        memoryBudget = registry.gauge("cloister_memory_budget_bytes", help: "What all processes may take together.").single
        memoryPressure =
            registry.gauge("cloister_memory_pressure_ratio", help: "Part of the last ten seconds in which some task waited for memory.")
            .single
        cellsDrifted =
            registry.counter("cloister_cells_drifted_total", help: "Cells replaced for the memory they took.")
            .single
        cellsLost = registry.counter("cloister_cells_lost_total", help: "Cells that ended without being told to.").single
        deniedCalls = registry.counter(
            "cloister_denied_calls_total", help: "Cells that a seccomp filter has ended, by the system call they made.",
            labels: ["call"])
        builderDeniedCalls = registry.counter(
            "cloister_builder_denied_calls_total",
            help: "Builders of snapshots that a seccomp filter has ended, by the system call they made.", labels: ["call"])
        cellsStarted = registry.counter("cloister_cells_started_total", help: "Cells that were started.").single
        tenantsQuarantined =
            registry.counter(
                "cloister_tenants_quarantined_total", help: "Tenants that were moved to a cell of their own, by what they did.",
                labels: ["reason"])
        retries =
            registry.counter(
                "cloister_requests_retried_total", help: "Requests tried again after their cell was lost."
            ).single
    }

    func forget(cell: String) {
        for family in [
            isolates, preemptions, migrations, handoffs, handoffSeconds, longestHandoff, coldStarts, coldStartSeconds, cellMemory,
            cellAccounted, isolateBytes, storedBytes, warmTenants, trims, evictions, evictedTooEarly, prewarmed, marginalValue,
        ] {
            family.remove(label: "cell", values: [cell])
        }
    }

    func forget(tenants: Set<String>) {
        guard !tenants.isEmpty else { return }
        for family in [requests, responsesBroken, cpuSeconds] { family.remove(label: "tenant", values: tenants) }
    }
}
