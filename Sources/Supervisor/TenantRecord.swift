import Policy
import Scheduling
import Snapshots
import Telemetry
import Wire

/// One loaded version of a tenant: policy, code and secrets as they were read.
final class TenantVersionRecord: @unchecked Sendable {
    let id: UInt64
    let loaded: PolicyLoad.Tenant
    /// The cells it may run in, and the one it lives in.
    let key: CellKey
    var home: Cell?
    /// Where it lived under another number.
    weak var lastHome: Cell?
    /// Requests that go on when its code was read, and the code while they do.
    var waitingForCode: [RequestRecord] = []
    var code: VersionCode?
    /// Cells that hold it.
    var cells: [ObjectIdentifier: Cell] = [:]
    /// Requests that began on it and are not over.
    var openRequests = 0
    var isRetired = false
    /// The same policy and code under another number, since the tenant was moved to other cells.
    var successor: TenantVersionRecord?
    /// When a request of it went to a cell last.
    var usedNanoseconds: UInt64 = 0
    /// Why its code did not start; nil once it has.
    var startError: String?
    var snapshot = SnapshotState.unknown
    /// What its snapshot is kept as; made when it is first needed.
    var snapshotKey: TenantSnapshotStore.Key?

    enum SnapshotState {
        /// The policy does not want one.
        case off
        case unknown
        /// One is to be built.
        case queued
        case kept
        /// None can be made of this version, or was taken by a cell, for this reason.
        case refused(String)
        /// None was made; it is tried again with the next version.
        case failed(String)
    }

    init(id: UInt64, key: CellKey, _ loaded: PolicyLoad.Tenant) {
        self.id = id
        self.key = key
        self.loaded = loaded
    }

    var policy: TenantPolicy { loaded.policy }
}

/// A tenant as the supervisor knows it, over all its versions.
final class TenantRecord: @unchecked Sendable {
    let name: String
    var version: TenantVersionRecord?
    /// Of the last reading of its policy, as FILE:LINE:COLUMN: message.
    var errors: [String] = []
    /// Its place in the admission.
    let place: Admission.TenantSlot
    /// What it did that may earn it a cell of its own; whether it has one for that, and since when by the wall clock.
    var quarantine = Quarantine()
    var isQuarantined = false
    var quarantinedAtSeconds: UInt64 = 0
    /// Its CPU quota has filled again then, as its cell says.
    var parkedUntilNanoseconds: UInt64 = 0
    var backoff = LossBackoff()
    var hasIsolate = false
    /// Refusals by code.
    var outcomes: [String: UInt64] = [:]
    var answers: UInt64 = 0
    /// Isolates that were made while requests of it waited.
    var starts: UInt64 = 0
    var cpuNanoseconds: UInt64 = 0
    /// Of what ended in the current window, the part that was used in it.
    var windowCPUNanoseconds: UInt64 = 0
    private let requests: CounterFamily
    private let cpuSeconds: CounterFamily
    private var keptAnswersMetric: Counter?
    private var keptCPUMetric: Counter?
    /// Log lines passed on in the current second, and what was dropped.
    var logSecond: UInt64 = 0
    var logLines = 0
    var droppedLogLines: UInt64 = 0

    init(name: String, place: Admission.TenantSlot, metrics: SupervisorMetrics) {
        self.name = name
        self.place = place
        requests = metrics.requests
        cpuSeconds = metrics.cpuSeconds
    }

    /// Of its answers, and of its CPU time. Series are made with the first of them: a family has no room for all who are registered.
    var answersMetric: Counter { series(&keptAnswersMetric) { requests.with([name, "ok"]) } }
    var cpuMetric: Counter { series(&keptCPUMetric) { cpuSeconds.with([name]) } }

    private func series(_ kept: inout Counter?, _ make: () -> Counter) -> Counter {
        if let kept { return kept }
        // The series of a tenant that was removed are gone, whatever of its requests still ends.
        guard let version, !version.isRetired else { return Counter() }
        let made = make()
        kept = made
        return made
    }

    var limits: TenantLimits { version?.policy.limits ?? TenantLimits() }
}

extension TenantLimits {
    /// A turn that is over its CPU time goes on for so long at most, where V8 does not look or makes or reads something.
    private static let overrunMilliseconds: UInt64 = 5_000

    /// How long it can take, on a processor of its own, until a quota has filled again for what so many pieces of work have used; a day at most.
    func longestDebtNanoseconds(pieces: UInt64) -> UInt64 {
        let piece = UInt64(clamping: cpuMilliseconds)
        let milliseconds = piece.multipliedSaturated(by: pieces).addingSaturated(
            UInt64(clamping: startupCPUMilliseconds) + Self.overrunMilliseconds)
        // A processor gives a thousand a second, whatever the quota is.
        let rate = UInt64(min(max(cpuQuotaMillisecondsPerSecond, 1), 1_000))
        return min(milliseconds.multipliedSaturated(by: 1_000_000_000) / rate, 86_400_000_000_000)
    }
}
