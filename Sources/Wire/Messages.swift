import Policy

/// What a cell is told first.
public struct CellConfiguration: Sendable {
    /// As the supervisor's log names it; nothing in the cell depends on it.
    public var cell: String
    /// Threads that run turns at once; spares come besides.
    public var workers: Int
    /// False: V8 makes no machine code (`--jitless`), and so runs no WebAssembly.
    public var jit: Bool
    /// V8's hash seed, a secret of the host; the same for builders and cells.
    public var hashSeed: UInt32
    /// The longest a turn runs while another is runnable.
    public var sliceMicroseconds: Int
    /// True: build a snapshot, send it, end: the base snapshot, or where `snapshot` is that, one of the tenant that follows.
    public var buildsSnapshot: Bool
    /// False only for measurements: turns run to completion.
    public var preempts: Bool
    /// V8 isolates that may be there at once; for one more an idle one ends.
    public var isolateLimit: Int
    /// Evict by least recent use alone.
    public var evictsLRU: Bool
    /// Revive from the snapshot also where the source is quicker.
    public var revivesFromSnapshot: Bool
    /// An isolate without requests is ended after this long.
    public var idleSeconds: Int
    /// The base snapshot; empty for a builder.
    public var snapshot: [UInt8]

    /// What is left out makes a cell that serves, preempts and evicts by cost.
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

    /// Appends the payload of `configure`.
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

    /// Reads what `encode` wrote; further bytes are left in the reader.
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

    /// The tenant's name, under which the cell keeps when it was called from one version to the next.
    public var tenant: String
    /// All of the policy's. The cell keeps CPU time, start-up, quota, memory and subrequests; the supervisor keeps the others.
    public var limits: TenantLimits
    /// Whether code may be made from strings.
    public var eval: Bool
    /// Share of CPU time beside the cell's other tenants, 1 to 10000.
    public var weight: Int
    /// Plain text bindings of `env`.
    public var vars: [(name: String, value: String)]
    /// Secret bindings with their values. Builders of snapshots get neither.
    public var secrets: [(name: String, value: String)]
    /// The first is the main module.
    public var modules: [BundleModule]

    /// Takes what was read of a policy and its bundle; `modules` must not be empty.
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

    /// Appends the payload of `tenant`.
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

    /// Reads what `encode` wrote; throws on an unknown kind of module, and where there is no module at all.
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
    /// The tenant's version that it is for.
    public var version: UInt64
    /// As the client sent it, such as `GET`.
    public var method: UnsafeRawBufferPointer
    /// Absolute: scheme, host and path as the tenant sees them.
    public var url: UnsafeRawBufferPointer
    /// The names are in lower case.
    public var headers: UnsafeRawBufferPointer
    /// The body's first piece, or all of it with the flag `end`.
    public var body: UnsafeRawBufferPointer
    /// Bytes before the text: the version and three lengths.
    public static let fixedSize = 18

    /// Takes a payload apart without a copy; throws where a length reaches beyond its end.
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

/// A line of a tenant's log.
public struct LogFrame: Sendable {
    /// As `console`'s methods are called; the supervisor's log has the first three as `info`.
    public enum Level: UInt8, Sendable { case debug = 0, log, info, warn, error }
    /// How the supervisor logs it.
    public var level: Level
    /// The request it was written for, 0 for none.
    public var request: UInt64
    /// Lines that were dropped since the last one that was sent.
    public var dropped: UInt32
    /// At most 8 KiB, which the cell cuts it to; the supervisor's log escapes it.
    public var message: String

    /// Checks nothing; whoever sends it has cut `message`.
    public init(level: Level, request: UInt64, dropped: UInt32, message: String) {
        self.level = level
        self.request = request
        self.dropped = dropped
        self.message = message
    }

    /// Appends the payload of `log`.
    public func encode(into sink: inout some ByteSink) {
        sink.append(integer: level.rawValue)
        sink.append(integer: request)
        sink.append(integer: dropped)
        sink.append(string: message)
    }

    /// Reads what `encode` wrote; throws on an unknown level.
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
    /// V8 isolates that are there now.
    public var isolates: UInt64 = 0
    /// Tenants that wait for a worker now.
    public var runnable: UInt64 = 0
    /// Sum of the weights of the tenants that run or wait to.
    public var runnableWeight: UInt64 = 0
    /// Requests that came.
    public var requests: UInt64 = 0
    /// Slices that ended before their turn did.
    public var preemptions: UInt64 = 0
    /// Suspended turns that were resumed on another worker.
    public var migrations: UInt64 = 0
    /// Times a spare thread took the place of a worker that was stuck.
    public var handoffs: UInt64 = 0
    /// What passed from the end of a slice, or from when somebody waited, until then: the sum, and the longest.
    public var handoffMicroseconds: UInt64 = 0
    /// The longest of them.
    public var longestHandoffMicroseconds: UInt64 = 0
    /// Isolates made from their source for tenants without a snapshot.
    public var coldStarts: UInt64 = 0
    /// What these took in all, waiting for a worker included.
    public var coldStartMicroseconds: UInt64 = 0
    /// Turns that ran to their end or were cut off.
    public var turns: UInt64 = 0
    /// CPU time of turns, and of making, trimming and ending isolates on workers.
    public var cpuMicroseconds: UInt64 = 0
    /// V8's committed pages: of all isolates and its own.
    public var pageBytes: UInt64 = 0
    /// What the isolates hold: pages, array buffers, native memory, bodies that wait for their clients.
    public var isolateBytes: UInt64 = 0
    /// Versions without an isolate whose snapshot is in memory, and what bundles and snapshots of all versions take.
    public var warm: UInt64 = 0
    /// What bundles, compiled code and snapshots of all versions take.
    public var storedBytes: UInt64 = 0
    /// Idle isolates that gave back what they could.
    public var trims: UInt64 = 0
    /// Isolates evicted for `EvictionReason.idle`.
    public var evictedIdle: UInt64 = 0
    /// Isolates evicted for `EvictionReason.pressure`.
    public var evictedByPressure: UInt64 = 0
    /// Isolates evicted for `EvictionReason.limit`.
    public var evictedAtLimit: UInt64 = 0
    /// Isolates evicted for `EvictionReason.asked`.
    public var evictedWhenAsked: UInt64 = 0
    /// Evicted ones that were wanted again while what was kept in their place had not been used.
    public var evictedTooEarly: UInt64 = 0
    /// Isolates that were revived because a request was expected.
    public var prewarmed: UInt64 = 0
    /// What a MiB more would save: nanoseconds of revival a second.
    public var marginalValue: UInt64 = 0

    /// All zero, as at the cell's start.
    public init() {}

    private static let fields: [WritableKeyPath<CellStatus, UInt64> & Sendable] = [
        \.isolates, \.runnable, \.runnableWeight, \.requests, \.preemptions, \.migrations, \.handoffs,
        \.handoffMicroseconds, \.longestHandoffMicroseconds, \.coldStarts,
        \.coldStartMicroseconds, \.turns, \.cpuMicroseconds, \.pageBytes,
        \.isolateBytes, \.warm, \.storedBytes, \.trims, \.evictedIdle, \.evictedByPressure, \.evictedAtLimit, \.evictedWhenAsked,
        \.evictedTooEarly, \.prewarmed, \.marginalValue,
    ]

    /// Appends the payload of `status`: every field as 64 bits.
    public func encode(into sink: inout some ByteSink) {
        for field in Self.fields { sink.append(integer: self[keyPath: field]) }
    }

    /// Reads what `encode` wrote.
    public init(from reader: inout ByteReader) throws(WireError) {
        for field in Self.fields { self[keyPath: field] = try reader.integer() }
    }
}

/// The payload of `tenantSnapshot`: the blob's size (u32) and its delta against the base snapshot.
public struct SnapshotFrame: Sendable {
    /// A snapshot is at most this long.
    public static let blobBytesLimit = 64 << 20
    /// Bytes of the blob that the delta yields, at most `blobBytesLimit`.
    public var blobBytes: Int
    /// What `SnapshotDelta.compress` made of it.
    public var delta: [UInt8]

    /// Checks nothing; see `FrameKind.payloadBytesLimit` for what can be sent.
    public init(blobBytes: Int, delta: [UInt8]) {
        self.blobBytes = blobBytes
        self.delta = delta
    }

    /// Appends the payload of `tenantSnapshot`.
    public func encode(into sink: inout some ByteSink) {
        sink.append(integer: UInt32(blobBytes))
        sink.append(bytes: delta)
    }

    /// Reads what `encode` wrote; throws when the blob would be over its limit.
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

    /// As the admin API says it.
    public var name: String { "\(self)" }
}

/// A tenant's isolate as its cell sees it.
public struct IsolateReport: Sendable, Equatable {
    /// The tenant's version, as frames name it.
    public var version: UInt64
    /// What of it is in memory.
    public var state: IsolateState
    /// Committed pages of heap, code and Wasm memories when it was last measured; 0 without an isolate, as the next two.
    public var pageBytes: UInt64
    /// Array buffers, and what structuredClone has written.
    public var arrayBufferBytes: UInt64
    /// What V8 and ICU hold for it in the C library's heap.
    public var nativeBytes: UInt64
    /// The bundle, what was compiled of it, and the snapshot, which the cell keeps also without an isolate.
    public var bundleBytes: UInt64
    /// What V8 compiled of the bundle.
    public var codeBytes: UInt64
    /// The snapshot's delta.
    public var snapshotBytes: UInt64
    /// Since its last turn, or since it was made ready; 0 when it never was.
    public var idleMilliseconds: UInt64
    /// The CPU time that bringing it back is taken to cost: the least that it took, in the cheaper of the ways; 0 when it never came.
    public var reviveMicroseconds: UInt64
    /// Requests that came and are not finished.
    public var openRequests: UInt32
    /// Bytes of a report on the wire.
    public static let size = 9 * 8 + 4 + 1

    /// Made when it is asked for, of what was measured when slices ended.
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

    /// Appends one report; the payload of `isolates` is such reports and nothing else.
    public func encode(into sink: inout some ByteSink) {
        for number in [
            version, pageBytes, arrayBufferBytes, nativeBytes, bundleBytes, codeBytes, snapshotBytes, idleMilliseconds, reviveMicroseconds,
        ] {
            sink.append(integer: number)
        }
        sink.append(integer: openRequests)
        sink.append(integer: state.rawValue)
    }

    /// Reads what `encode` wrote; throws on an unknown state.
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
