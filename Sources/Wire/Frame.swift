/// How supervisor and cell speak to each other. They are of one build; an update may put a new cell beside a supervisor that still runs.
public enum WireProtocol {
    /// Goes up with every change of frames or of what is in them.
    public static let version = 2
    /// How a cell tells it before anything is spoken.
    public static let line = "wire \(version)\n"
}

/// What a frame says. The supervisor sends the kinds below 64, a cell those from 64 on.
public enum FrameKind: UInt8, Sendable {
    /// First frame to a cell: `CellConfiguration`. id 0.
    case configure = 1
    /// A tenant's version: `TenantBundle`. id: the version.
    case tenant = 2
    /// No request will name this version again: end its isolate when those in flight are done. id: the version.
    case retire = 3
    /// A request: `RequestFrame`. id: the request. Flags: `hasBody`, `end`.
    case request = 4
    /// A piece of a request's body; empty with `end`: the body is complete. id: the request.
    case requestBody = 5
    /// The supervisor took this many more bytes of the response's body (u32). id: the request.
    case responseCredit = 6
    /// The request is over for the client: `AbortReason` in `extra`. id: the request.
    case abort = 7
    /// Answer with `status`. id: chosen by the supervisor, returned.
    case ping = 8
    /// The snapshot of a version, made from the same bundle: `SnapshotFrame`. id: the version.
    case tenantSnapshot = 10
    /// What the cell's isolates may hold together, in bytes (u64); over it, idle ones are evicted.
    case budget = 11
    /// End the isolate of a version when it is idle. id: the version, 0: all of them.
    case evict = 12
    /// Answer with `isolates`. id: chosen by the supervisor, returned.
    case list = 13
    /// So many workers (`extra`) may run at once from now on; the cell has one at least, and no more than it was made with.
    case workers = 14

    /// The seal is complete and V8 is up. Payload: V8's version (string).
    case ready = 64
    /// The base snapshot's bytes, from a builder.
    case snapshot = 65
    /// The handler of a request has been running for a while: it must not be tried elsewhere. id: the request.
    case entered = 66
    /// A response's head, and its body as far as that is there: `u32 headers length | headers | body`, headers as in `RequestFrame`. Flag `end`:
    /// the body is complete. `extra`: status. id: the request.
    case response = 67
    /// A piece of the response's body. Flag `end`: it was the last. id: the request.
    case responseBody = 68
    /// The response's body broke off after its head was sent. Payload: why (string). id: the request.
    case responseBroken = 69
    /// No response: `ErrorCode` in `extra`, the owner's message (string) as payload. id: the request.
    case failure = 70
    /// The cell took this many more bytes of the request's body (u32). id: the request.
    case requestCredit = 71
    /// All work of an answered request, `waitUntil` included, is over. Payload: CPU microseconds (u64). id: the request.
    case finished = 72
    /// A log line: `LogFrame`. id: the tenant's version.
    case log = 73
    /// Answer to `ping`: `CellStatus`. id: the ping's.
    case status = 74
    /// The cell cannot go on and must be replaced. Payload: why (string). id: the tenant's version it happened in, or 0.
    case poisoned = 75
    /// The isolate of a version was ended: `ErrorCode` or `EvictionReason` in `extra` (0: retired). id: the version.
    case isolateEnded = 76
    /// The tenant's CPU quota is used up: nothing of it runs for this long. Payload: nanoseconds (u64). id: the version.
    case parked = 77
    /// From a builder: no snapshot can be made of this tenant; from a cell: the snapshot of version `id` cannot be used. Payload: why (string).
    case snapshotRefused = 78
    /// Isolates, an `IsolateReport` each; the last frame of an answer to `list` has the flag `end`. id: the query's.
    case isolates = 79
    /// The cell has no room for what it keeps of a version that is not used: retire it. id: the version.
    case cold = 81
    /// A turn of a version can be neither ended nor gone on with: its thread is given up, and this cell should be replaced when that suits the
    /// others, which go on. What the tenant's requests get (`cpu_limit` or `memory_limit`) in `extra`. Payload: why (string). id: the version.
    case abandoned = 82
    /// A version's isolate has become ready for its first request. `extra`: `StartKind`. Payload: nanoseconds it took, and of these on a processor
    /// (u64 each). id: the version.
    case started = 80
}

/// Bits of a frame's flags.
public struct FrameFlags: OptionSet, Sendable {
    /// The byte in a frame's header.
    public let rawValue: UInt8
    /// Takes any bits; a `FrameHeader` that is decoded has refused those without a meaning.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The body is complete with this frame.
    public static let end = FrameFlags(rawValue: 1)
    /// The request has a body.
    public static let hasBody = FrameFlags(rawValue: 2)
}

/// What an isolate was made from.
public enum StartKind: UInt16, Sendable {
    /// The bundle: its modules were evaluated.
    case source = 0
    /// A snapshot taken after that.
    case snapshot = 1
    /// The bundle, of a tenant that has a snapshot: with an isolate made ahead that was quicker.
    case sourceOfWarm = 2
}

/// Why an isolate was evicted; the tenant stays in its cell. Raw values are none of `ErrorCode`'s.
public enum EvictionReason: UInt16, Sendable, CaseIterable {
    /// Nobody used it for `idle_s`.
    case idle = 256
    /// The cell was over its budget.
    case pressure
    /// The cell had as many isolates as it may.
    case limit
    /// The operator asked for it.
    case asked
}

/// Why the supervisor gave up on a request.
public enum AbortReason: UInt16, Sendable {
    case clientGone = 0
    case wallLimit = 1
    case draining = 2
    /// Within the cell: something of the request threw where nobody could catch it.
    case failed = 3
}

/// The sixteen bytes before each payload: `u32 length | u8 kind | u8 flags | u16 extra | u64 id`, little-endian.
public struct FrameHeader: Sendable, Equatable {
    /// Bytes of a header on the wire.
    public static let size = 16
    /// A payload is at most this long; only `configure`, `tenant` and snapshots may be this long, see `FrameKind.payloadBytesLimit`.
    public static let payloadBytesLimit = 64 << 20
    /// A body frame carries at most this much; larger bodies take several.
    public static let bodyBytesLimit = 64 << 10
    /// The longest head of a request that the front may be configured to take.
    public static let requestHeadBytesLimit = 128 << 10
    /// What either side may send of a body before the other has granted credit for it.
    public static let windowBytes = 256 << 10

    /// Bytes of the payload.
    public var length: Int
    /// Tells which side sends it, and what payload, `extra` and `id` mean.
    public var kind: FrameKind
    /// Those that `FrameKind` names with the kind; others say nothing.
    public var flags: FrameFlags
    /// A status, a reason or a count, as the kind says; else 0.
    public var extra: UInt16
    /// A request, a tenant's version or a question, as the kind says; else 0.
    public var id: UInt64

    /// Makes a header to send. It is the sender who keeps to the limits: nothing is checked here.
    @inlinable
    public init(_ kind: FrameKind, length: Int, flags: FrameFlags = [], extra: UInt16 = 0, id: UInt64 = 0) {
        self.length = length
        self.kind = kind
        self.flags = flags
        self.extra = extra
        self.id = id
    }

    /// Decodes the first sixteen bytes; nil when there are fewer. Throws on an unknown kind, unknown flags or a length over its limit.
    @inlinable
    public init?(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count >= Self.size else { return nil }
        let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)))
        let rawKind = bytes[4]
        guard let kind = FrameKind(rawValue: rawKind) else { throw .invalid("unknown frame kind \(rawKind)") }
        guard bytes[5] < 4 else { throw .invalid("unknown frame flags \(bytes[5])") }
        guard length <= kind.payloadBytesLimit else {
            throw .invalid("a \(kind) frame of \(length) bytes is over its limit of \(kind.payloadBytesLimit)")
        }
        self.length = length
        self.kind = kind
        flags = FrameFlags(rawValue: bytes[5])
        extra = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
        id = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// Appends the sixteen bytes; the payload follows.
    @inlinable
    public func encode(into sink: inout some ByteSink) {
        let word = UInt64(UInt32(length)) | UInt64(kind.rawValue) << 32 | UInt64(flags.rawValue) << 40 | UInt64(extra) << 48
        sink.append(integer: word)
        sink.append(integer: id)
    }
}

extension FrameKind {
    /// The longest payload that this kind may have.
    public var payloadBytesLimit: Int {
        switch self {
        case .configure, .tenant, .snapshot, .tenantSnapshot: FrameHeader.payloadBytesLimit
        // The host of the longest head that can be configured is in the URL and in the headers.
        case .request: FrameHeader.bodyBytesLimit + 2 * FrameHeader.requestHeadBytesLimit + (64 << 10)
        case .response: FrameHeader.bodyBytesLimit + (256 << 10)
        case .requestBody, .responseBody: FrameHeader.bodyBytesLimit
        default: 64 << 10
        }
    }

    /// Whether a cell sends this kind.
    public var isFromCell: Bool { rawValue >= 64 }
}
