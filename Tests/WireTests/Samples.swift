import Policy

@testable import Wire

/// A configuration in which no field has its default.
func sampleConfiguration() -> CellConfiguration {
    CellConfiguration(
        cell: "trusted-ü", workers: 7, jit: true, hashSeed: 0x7654_3210, sliceMicroseconds: 1_234, buildsSnapshot: true,
        preempts: false, isolateLimit: 321, evictsLRU: true, revivesFromSnapshot: true, idleSeconds: 4_321, snapshot: [0, 255, 1, 2])
}

/// A bundle with a module of every kind, in which no two numbers are the same.
func sampleBundle() -> TenantBundle {
    var limits = TenantLimits()
    limits.cpuMilliseconds = 1
    limits.wallMilliseconds = 2
    limits.startupCPUMilliseconds = 3
    limits.cpuQuotaMillisecondsPerSecond = 4
    limits.memoryMegabytes = 5
    limits.concurrency = 6
    limits.queue = 7
    limits.subrequests = 8
    limits.requestBodyMegabytes = 9
    return TenantBundle(
        tenant: "shop", limits: limits, eval: true, weight: 10, vars: [("A", "1"), ("ä", "")], secrets: [("S", "geheim\n")],
        modules: [
            BundleModule(name: "index.js", kind: .javascript, data: Array("export default {}".utf8)),
            BundleModule(name: "a/b.json", kind: .json, data: Array("{}".utf8)),
            BundleModule(name: "c.txt", kind: .text, data: []),
            BundleModule(name: "d.bin", kind: .bytes, data: [0, 128, 255]),
            BundleModule(name: "e.wasm", kind: .wasm, data: [0, 0x61, 0x73, 0x6d]),
        ])
}

func sampleStatus() -> CellStatus {
    var status = CellStatus()
    status.isolates = 1
    status.runnable = 2
    status.requests = 4
    status.preemptions = 5
    status.migrations = 6
    status.coldStarts = 7
    status.coldStartMicroseconds = 8
    status.turns = 9
    status.cpuMicroseconds = 10
    status.pageBytes = 11
    status.storedBytes = .max
    status.marginalValue = 14
    return status
}

/// What `write` appends.
func encoded(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    write(&writer)
    return writer.bytes
}

/// Decodes `bytes` and says how many were left.
func decoded<T>(_ bytes: [UInt8], _ read: (inout ByteReader) throws -> T) throws -> (value: T, rest: Int) {
    try bytes.withUnsafeBytes { buffer in
        var reader = ByteReader(buffer)
        let value = try read(&reader)
        return (value, reader.remaining)
    }
}

/// How a reader's initializer is named by the tests: what it reads does not matter to them.
let decoders: [(name: String, bytes: [UInt8], read: @Sendable (inout ByteReader) throws -> Void)] = [
    ("configuration", encoded { sampleConfiguration().encode(into: &$0) }, { _ = try CellConfiguration(from: &$0) }),
    ("bundle", encoded { sampleBundle().encode(into: &$0) }, { _ = try TenantBundle(from: &$0) }),
    (
        "log", encoded { LogFrame(level: .warn, request: 9, dropped: 2, message: "hé").encode(into: &$0) },
        { _ = try LogFrame(from: &$0) }
    ),
    ("status", encoded { sampleStatus().encode(into: &$0) }, { _ = try CellStatus(from: &$0) }),
]
