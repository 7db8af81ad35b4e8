import Engine

/// What the Web runtime's native operations ask of whoever runs the isolate. The isolate's `user` pointer is an unretained reference to
/// an object of a class that inherits from this (and, through `ModuleSource`, finds the bundle's modules).
/// All methods are called on the isolate's thread, during a turn; they are leaves and never run JavaScript. Requests are named by the id
/// that the `request` hook was given; ids that are not known are ignored.
open class RuntimeHost: ModuleSource {
    /// Messages and log lines are cut after this many bytes.
    public static let messageBytesLimit = 8 << 10

    /// `kind NUL name NUL value NUL …` of the tenant's bindings; kind is `v` for a variable, `s` for a secret.
    open var environment: String { "" }
    /// Outgoing fetches a request may make.
    open var subrequestLimit: Int { 0 }
    /// When the isolate began, milliseconds since 1970.
    open var timeOriginMilliseconds: Double { 0 }

    /// The main module is being evaluated: nothing may be begun or seen then that a snapshot could not keep.
    open var isStarting: Bool { false }

    /// The default export can take requests.
    open func ready() {}
    /// The module cannot take requests; `message` is for the tenant's owner.
    open func startFailed(_ message: String) {}

    /// The response's head, and its body as far as `state` says.
    open func respond(_ request: UInt64, status: Int, headers: TextArgument, body: BodyArgument, state: ResponseState) {}
    /// A piece of the response's body.
    /// - Returns: false when the window is full: wait for the `responseCredit` hook (the bytes were taken all the same).
    open func bodyWrite(_ request: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool { true }
    open func bodyEnd(_ request: UInt64) {}
    /// The response's body cannot go on after its head was sent.
    open func bodyBroken(_ request: UInt64, _ message: String) {}
    /// No response: `code` is a raw value of the wire's error codes, `message` is for the tenant's log.
    open func fail(_ request: UInt64, code: UInt16, message: String) {}
    /// `waitUntil` and all else of an answered request is over.
    open func finished(_ request: UInt64) {}
    /// The handler consumed that much of the request's body.
    open func requestCredit(_ request: UInt64, byteCount: Int) {}

    /// - Returns: false when the isolate has too many timers.
    /// - Returns: the request that the timer ends with; 0 where that is over, so that it never fires; nil: too many are set.
    open func setTimer(_ timer: Int, delayMilliseconds: Double, repeats: Bool, request: UInt64) -> UInt64? { request }
    open func clearTimer(_ timer: Int) {}

    /// Levels: 0 debug, 1 log, 2 info, 3 warn, 4 error.
    open func log(level: Int, request: UInt64, message: String) {}
}

/// What follows a response's head.
public enum ResponseState: Int, Sendable {
    /// The body comes in pieces.
    case streams = 0
    /// The body is complete.
    case complete = 1
    /// The body is complete and all work for the request is over.
    case finished = 2
}

/// A one-byte string argument, written where it is needed without a copy between.
public struct TextArgument {
    let call: OperationCall
    let index: Int
    /// Bytes that `write` writes.
    public let count: Int

    /// `out` must have room for `count` bytes.
    public func write(into out: UnsafeMutableRawBufferPointer) { _ = call.writeLatin1(index, into: out) }
}

/// A response's body: text becomes UTF-8 as it is written.
public struct BodyArgument {
    enum Content {
        case none
        case bytes(UnsafeRawBufferPointer)
        case text(OperationCall, Int)
    }
    let content: Content
    /// Bytes that `write` writes.
    public let count: Int

    /// `out` must have room for `count` bytes.
    public func write(into out: UnsafeMutableRawBufferPointer) {
        switch content {
        case .none: break
        case .bytes(let bytes): if let base = bytes.baseAddress { out.copyMemory(from: UnsafeRawBufferPointer(start: base, count: count)) }
        case .text(let call, let index): _ = call.writeUTF8(index, into: out)
        }
    }
}
