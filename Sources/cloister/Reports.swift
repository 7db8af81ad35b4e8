/// What the admin API answers, as far as this command shows it. Kept apart from the daemon's own types, so that a newer daemon's further
/// members do no harm.
struct Readiness: Decodable {
    var ready: Bool
    var reasons: [String]
}

struct Tenant: Decodable {
    var tenant: String
    var hosts: [String]
    var cordon: String
    var state: String
    var errors: [String]
    var cell: String?
    var inFlight: Int
    var queued: Int
    var requests: [String: UInt64]
    var cpuSeconds: Double
    var snapshot: String?
    var snapshotReason: String?
    var startError: String?
}

struct Cell: Decodable {
    var cell: String
    var pid: Int32
    var state: String
    var sandboxed: Bool
    var isolates: UInt64
    var inFlight: Int
    var preemptions: UInt64
    var coldStarts: UInt64
    var cpuSeconds: Double
    var memoryBytes: UInt64
}

struct ReloadReport: Decodable {
    var added: [String]
    var changed: [String]
    var removed: [String]
    var errors: [String]
}

struct Refusal: Decodable {
    var error: String
    var message: String
}

struct IsolateEntry: Decodable {
    var tenant: String
    var cell: String
    var state: String
    var heapBytes: UInt64
    var arrayBufferBytes: UInt64
    var nativeBytes: UInt64
    var bundleBytes: UInt64
    var codeBytes: UInt64
    var snapshotBytes: UInt64
    var idleSeconds: Double
    var reviveMilliseconds: Double
    var inFlight: Int
}

struct MemoryState: Decodable {
    var budgetBytes: UInt64
    var usedBytes: UInt64
    var machineBytes: UInt64
    var availableBytes: UInt64
    var pressure: Double
    var snapshotStoreBytes: UInt64
}
