import Policy

/// What a cell is told first.
public struct CellConfiguration: Sendable {
    public var cell: String
    public var workers: Int
    public var jit: Bool
    /// V8's hash seed, a secret of the host; the same for builders and cells.
    public var hashSeed: UInt32
    /// The longest a turn runs while another is runnable.
    public var sliceMicroseconds: Int
    /// True: build a snapshot, send it, end: the base snapshot, or where `snapshot` is that, one of the tenant that follows.
    public var buildsSnapshot: Bool
    /// False only for measurements: turns run to completion.
    public var preempts: Bool
    public var isolateLimit: Int
    /// Evict by least recent use alone.
    public var evictsLRU: Bool
    /// Revive from the snapshot also where the source is quicker.
    public var revivesFromSnapshot: Bool
    /// An isolate without requests is ended after this long.
    public var idleSeconds: Int
    /// The base snapshot; empty for a builder.
    public var snapshot: [UInt8]

    public init(
        cell: String, workers: Int, jit: Bool, hashSeed: UInt32, sliceMicroseconds: Int = 1_000,
        buildsSnapshot: Bool = false, preempts: Bool = true, isolateLimit: Int = 2_000, evictsLRU: Bool = false,
        revivesFromSnapshot: Bool = false, idleSeconds: Int = 3_600,
        snapshot: [UInt8] = []
    ) {
        self.cell = cell
        self.workers = workers
        self.jit = jit
        self.hashSeed = hashSeed
        self.sliceMicroseconds = sliceMicroseconds
        self.buildsSnapshot = buildsSnapshot
        self.preempts = preempts
        self.isolateLimit = isolateLimit
        self.evictsLRU = evictsLRU
        self.revivesFromSnapshot = revivesFromSnapshot
        self.idleSeconds = idleSeconds
        self.snapshot = snapshot
    }

    public func encode(into sink: inout some ByteSink) {
        sink.append(string: cell)
        sink.append(integer: UInt32(workers))
        sink.append(integer: UInt8(jit ? 1 : 0))
        sink.append(integer: hashSeed)
        sink.append(integer: UInt32(sliceMicroseconds))
        sink.append(integer: UInt8(buildsSnapshot ? 1 : 0))
        sink.append(integer: UInt8(preempts ? 1 : 0))
        sink.append(integer: UInt32(isolateLimit))
        sink.append(integer: UInt8(evictsLRU ? 1 : 0))
        sink.append(integer: UInt8(revivesFromSnapshot ? 1 : 0))
        sink.append(integer: UInt32(idleSeconds))
        sink.append(bytes: snapshot)
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        cell = try reader.string()
        workers = Int(try reader.integer(UInt32.self))
        jit = try reader.integer(UInt8.self) != 0
        hashSeed = try reader.integer()
        sliceMicroseconds = Int(try reader.integer(UInt32.self))
        buildsSnapshot = try reader.integer(UInt8.self) != 0
        preempts = try reader.integer(UInt8.self) != 0
        isolateLimit = Int(try reader.integer(UInt32.self))
        evictsLRU = try reader.integer(UInt8.self) != 0
        revivesFromSnapshot = try reader.integer(UInt8.self) != 0
        idleSeconds = Int(try reader.integer(UInt32.self))
        snapshot = [UInt8](try reader.bytes())
    }
}

/// One version of a tenant as a cell needs it: limits, bindings and code.
public struct TenantBundle: Sendable {
    /// Versions that a cell keeps at most; one more, and it says that the supervisor is at fault.
    public static let cellLimit = 20_000
    /// Modules up to this many bytes are tried from their source before it is known how long that takes, in an isolate made ahead.
    public static let smallBytes = 32 << 10

    public var tenant: String
    public var limits: TenantLimits
    public var eval: Bool
    public var weight: Int
    public var vars: [(name: String, value: String)]
    public var secrets: [(name: String, value: String)]
    /// The first is the main module.
    public var modules: [BundleModule]

    public init(
        tenant: String, limits: TenantLimits, eval: Bool, weight: Int, vars: [(name: String, value: String)],
        secrets: [(name: String, value: String)], modules: [BundleModule]
    ) {
        self.tenant = tenant
        self.limits = limits
        self.eval = eval
        self.weight = weight
        self.vars = vars
        self.secrets = secrets
        self.modules = modules
    }

    public func encode(into sink: inout some ByteSink) {
        sink.append(string: tenant)
        for number in [
            limits.cpuMilliseconds, limits.wallMilliseconds, limits.startupCPUMilliseconds,
            limits.cpuQuotaMillisecondsPerSecond, limits.memoryMegabytes, limits.concurrency, limits.queue,
            limits.subrequests, limits.requestBodyMegabytes, weight,
        ] { sink.append(integer: UInt32(number)) }
        sink.append(integer: UInt8(eval ? 1 : 0))
        for bindings in [vars, secrets] {
            sink.append(integer: UInt32(bindings.count))
            for binding in bindings {
                sink.append(string: binding.name)
                sink.append(string: binding.value)
            }
        }
        sink.append(integer: UInt32(modules.count))
        for module in modules {
            sink.append(string: module.name)
            sink.append(integer: module.kind.rawValue)
            sink.append(bytes: module.data)
        }
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        tenant = try reader.string()
        limits = TenantLimits()
        limits.cpuMilliseconds = Int(try reader.integer(UInt32.self))
        limits.wallMilliseconds = Int(try reader.integer(UInt32.self))
        limits.startupCPUMilliseconds = Int(try reader.integer(UInt32.self))
        limits.cpuQuotaMillisecondsPerSecond = Int(try reader.integer(UInt32.self))
        limits.memoryMegabytes = Int(try reader.integer(UInt32.self))
        limits.concurrency = Int(try reader.integer(UInt32.self))
        limits.queue = Int(try reader.integer(UInt32.self))
        limits.subrequests = Int(try reader.integer(UInt32.self))
        limits.requestBodyMegabytes = Int(try reader.integer(UInt32.self))
        weight = Int(try reader.integer(UInt32.self))
        eval = try reader.integer(UInt8.self) != 0
        vars = try Self.bindings(&reader)
        secrets = try Self.bindings(&reader)
        modules = []
        for _ in 0..<(try reader.integer(UInt32.self)) {
            let name = try reader.string()
            guard let kind = ModuleKind(rawValue: try reader.integer()) else { throw .invalid("unknown module kind") }
            modules.append(BundleModule(name: name, kind: kind, data: [UInt8](try reader.bytes())))
        }
        guard !modules.isEmpty else { throw .invalid("a bundle without a module") }
    }

    private static func bindings(_ reader: inout ByteReader) throws(WireError) -> [(name: String, value: String)] {
        var bindings: [(name: String, value: String)] = []
        for _ in 0..<(try reader.integer(UInt32.self)) { bindings.append((try reader.string(), try reader.string())) }
        return bindings
    }
}

/// The payload of `request`: `u64 tenant version | u16 method length | u32 URL length | u32 headers length | method | url | headers | body`.
/// Text is Latin-1; headers are `name\nvalue\n…` (the gateway has refused line breaks and NUL in them). All pointers are borrowed.
public struct RequestFrame {
    public var version: UInt64
    public var method: UnsafeRawBufferPointer
    public var url: UnsafeRawBufferPointer
    public var headers: UnsafeRawBufferPointer
    /// The body's first piece, or all of it with the flag `end`.
    public var body: UnsafeRawBufferPointer
    public static let fixedSize = 18

    @inlinable
    public init(_ payload: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ByteReader(payload)
        version = try reader.integer()
        let methodLength = Int(try reader.integer(UInt16.self))
        let urlLength = Int(try reader.integer(UInt32.self))
        let headersLength = Int(try reader.integer(UInt32.self))
        method = try reader.take(methodLength)
        url = try reader.take(urlLength)
        headers = try reader.take(headersLength)
        body = reader.takeRest()
    }

    /// What comes before the text.
    @inlinable
    public static func encodeFixed(
        into sink: inout some ByteSink, version: UInt64, methodLength: Int, urlLength: Int, headersLength: Int
    ) {
        sink.append(integer: version)
        sink.append(integer: UInt16(methodLength))
        sink.append(integer: UInt32(urlLength))
        sink.append(integer: UInt32(headersLength))
    }
}

/// The payload of `response`: `u64 CPU microseconds (0 unless finished) | u32 headers length | headers | body`. Headers as in `RequestFrame`.
public struct ResponseFrame {
    public var cpuMicroseconds: UInt64
    public var headers: UnsafeRawBufferPointer
    public var body: UnsafeRawBufferPointer
    public static let fixedSize = 12

    @inlinable
    public init(_ payload: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ByteReader(payload)
        cpuMicroseconds = try reader.integer()
        headers = try reader.bytes()
        body = reader.takeRest()
    }
}

/// A line of a tenant's log.
public struct LogFrame: Sendable {
    public enum Level: UInt8, Sendable { case debug = 0, log, info, warn, error }
    public var level: Level
    /// The request it was written for, 0 for none.
    public var request: UInt64
    /// Lines that were dropped since the last one that was sent.
    public var dropped: UInt32
    public var message: String

    public init(level: Level, request: UInt64, dropped: UInt32, message: String) {
        self.level = level
        self.request = request
        self.dropped = dropped
        self.message = message
    }

    public func encode(into sink: inout some ByteSink) {
        sink.append(integer: level.rawValue)
        sink.append(integer: request)
        sink.append(integer: dropped)
        sink.append(string: message)
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        guard let level = Level(rawValue: try reader.integer()) else { throw .invalid("unknown log level") }
        self.level = level
        request = try reader.integer()
        dropped = try reader.integer()
        message = try reader.string()
    }
}

/// What a cell says of itself when it is pinged. Counters run from the cell's start.
public struct CellStatus: Sendable, Equatable {
    public var isolates: UInt64 = 0
    public var runnable: UInt64 = 0
    /// Sum of the weights of the tenants that run or wait to.
    public var runnableWeight: UInt64 = 0
    public var suspended: UInt64 = 0
    public var requests: UInt64 = 0
    public var preemptions: UInt64 = 0
    public var migrations: UInt64 = 0
    /// Times a spare thread took the place of a worker that was stuck.
    public var handoffs: UInt64 = 0
    /// What passed from the end of a slice, or from when somebody waited, until then: the sum, and the longest.
    public var handoffMicroseconds: UInt64 = 0
    public var longestHandoffMicroseconds: UInt64 = 0
    public var coldStarts: UInt64 = 0
    public var coldStartMicroseconds: UInt64 = 0
    public var turns: UInt64 = 0
    public var cpuMicroseconds: UInt64 = 0
    public var pageBytes: UInt64 = 0
    public var arrayBufferBytes: UInt64 = 0
    public var droppedLogLines: UInt64 = 0
    /// What the isolates hold: pages, array buffers, native memory, bodies that wait for their clients.
    public var isolateBytes: UInt64 = 0
    /// Versions without an isolate whose snapshot is in memory, and what bundles and snapshots of all versions take.
    public var warm: UInt64 = 0
    public var storedBytes: UInt64 = 0
    public var trims: UInt64 = 0
    public var evictedIdle: UInt64 = 0
    public var evictedByPressure: UInt64 = 0
    public var evictedAtLimit: UInt64 = 0
    public var evictedWhenAsked: UInt64 = 0
    /// Evicted ones that were wanted again while what was kept in their place had not been used.
    public var evictedTooEarly: UInt64 = 0
    /// Isolates that were revived because a request was expected.
    public var prewarmed: UInt64 = 0
    /// What a MiB more would save: nanoseconds of revival a second.
    public var marginalValue: UInt64 = 0

    public init() {}

    private static let fields: [WritableKeyPath<CellStatus, UInt64> & Sendable] = [
        \.isolates, \.runnable, \.runnableWeight, \.suspended, \.requests, \.preemptions, \.migrations, \.handoffs,
        \.handoffMicroseconds, \.longestHandoffMicroseconds, \.coldStarts,
        \.coldStartMicroseconds, \.turns, \.cpuMicroseconds, \.pageBytes, \.arrayBufferBytes, \.droppedLogLines,
        \.isolateBytes, \.warm, \.storedBytes, \.trims, \.evictedIdle, \.evictedByPressure, \.evictedAtLimit, \.evictedWhenAsked,
        \.evictedTooEarly, \.prewarmed, \.marginalValue,
    ]

    public func encode(into sink: inout some ByteSink) {
        for field in Self.fields { sink.append(integer: self[keyPath: field]) }
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        for field in Self.fields { self[keyPath: field] = try reader.integer() }
    }
}

/// The payload of `tenantSnapshot`: the blob's size (u32) and its delta against the base snapshot.
public struct SnapshotFrame: Sendable {
    /// A snapshot is at most this long.
    public static let blobBytesLimit = 64 << 20
    public var blobBytes: Int
    public var delta: [UInt8]

    public init(blobBytes: Int, delta: [UInt8]) {
        self.blobBytes = blobBytes
        self.delta = delta
    }

    public func encode(into sink: inout some ByteSink) {
        sink.append(integer: UInt32(blobBytes))
        sink.append(bytes: delta)
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        blobBytes = Int(try reader.integer(UInt32.self))
        guard blobBytes <= Self.blobBytesLimit else { throw .invalid("a snapshot of \(blobBytes) bytes") }
        delta = [UInt8](try reader.bytes())
    }
}

/// How much of a tenant's isolate is there.
public enum IsolateState: UInt8, Sendable, CaseIterable {
    /// A live isolate.
    case hot = 0
    /// A live isolate that was idle and gave back what it could.
    case trimmed = 1
    /// No isolate; its snapshot is in memory.
    case warm = 2
    /// No isolate and no snapshot here.
    case cold = 3

    public var name: String { "\(self)" }
}

/// A tenant's isolate as its cell sees it.
public struct IsolateReport: Sendable, Equatable {
    public var version: UInt64
    public var state: IsolateState
    public var pageBytes: UInt64
    public var arrayBufferBytes: UInt64
    public var nativeBytes: UInt64
    /// The bundle, what was compiled of it, and the snapshot, which the cell keeps also without an isolate.
    public var bundleBytes: UInt64
    public var codeBytes: UInt64
    public var snapshotBytes: UInt64
    public var idleMilliseconds: UInt64
    /// What it took the last time to make it ready; 0 when it never was.
    public var reviveMicroseconds: UInt64
    public var openRequests: UInt32
    public static let size = 9 * 8 + 4 + 1

    public init(
        version: UInt64, state: IsolateState, pageBytes: UInt64, arrayBufferBytes: UInt64, nativeBytes: UInt64, bundleBytes: UInt64,
        codeBytes: UInt64, snapshotBytes: UInt64, idleMilliseconds: UInt64, reviveMicroseconds: UInt64, openRequests: UInt32
    ) {
        self.version = version
        self.state = state
        self.pageBytes = pageBytes
        self.arrayBufferBytes = arrayBufferBytes
        self.nativeBytes = nativeBytes
        self.bundleBytes = bundleBytes
        self.codeBytes = codeBytes
        self.snapshotBytes = snapshotBytes
        self.idleMilliseconds = idleMilliseconds
        self.reviveMicroseconds = reviveMicroseconds
        self.openRequests = openRequests
    }

    public func encode(into sink: inout some ByteSink) {
        for number in [
            version, pageBytes, arrayBufferBytes, nativeBytes, bundleBytes, codeBytes, snapshotBytes, idleMilliseconds, reviveMicroseconds,
        ] {
            sink.append(integer: number)
        }
        sink.append(integer: openRequests)
        sink.append(integer: state.rawValue)
    }

    public init(from reader: inout ByteReader) throws(WireError) {
        version = try reader.integer()
        pageBytes = try reader.integer()
        arrayBufferBytes = try reader.integer()
        nativeBytes = try reader.integer()
        bundleBytes = try reader.integer()
        codeBytes = try reader.integer()
        snapshotBytes = try reader.integer()
        idleMilliseconds = try reader.integer()
        reviveMicroseconds = try reader.integer()
        openRequests = try reader.integer()
        guard let state = IsolateState(rawValue: try reader.integer()) else { throw .invalid("unknown state of an isolate") }
        self.state = state
    }
}
