import Collections
import Policy
import Scheduling
import Telemetry
import Wire

/// One loaded version of a tenant: policy, code and secrets as they were read.
final class TenantVersionRecord: @unchecked Sendable {
    let id: UInt64
    let policy: TenantPolicy
    /// The cells it runs in.
    let key: CellKey
    let bundle: TenantBundle
    /// Cells that hold it.
    var cells: [ObjectIdentifier: Cell] = [:]
    /// Requests that began on it and are not over.
    var openRequests = 0
    var isRetired = false

    init(id: UInt64, policy: TenantPolicy, bundle: TenantBundle) {
        self.id = id
        self.policy = policy
        key = Supervisor.key(of: policy)
        self.bundle = bundle
    }
}

/// A tenant as the supervisor knows it, over all its versions.
final class TenantRecord: @unchecked Sendable {
    let name: String
    var version: TenantVersionRecord?
    /// Of the last reading of its policy, as FILE:LINE:COLUMN: message.
    var errors: [String] = []
    var running = 0
    var queue = Deque<RequestRecord>()
    /// Its CPU quota has filled again then, as its cell says.
    var parkedUntilNanoseconds: UInt64 = 0
    var backoff = LossBackoff()
    var hasIsolate = false
    /// Refusals by code.
    var outcomes: [String: UInt64] = [:]
    var answers: UInt64 = 0
    let answersMetric: Counter
    var cpuNanoseconds: UInt64 = 0
    let cpuMetric: Counter
    /// Log lines passed on in the current second, and what was dropped.
    var logSecond: UInt64 = 0
    var logLines = 0
    var droppedLogLines: UInt64 = 0

    init(name: String, metrics: SupervisorMetrics) {
        self.name = name
        cpuMetric = metrics.cpuSeconds.with([name])
        answersMetric = metrics.requests.with([name, "ok"])
    }

    var limits: TenantLimits { version?.policy.limits ?? TenantLimits() }
}
