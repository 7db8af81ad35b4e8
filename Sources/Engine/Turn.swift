import CV8

/// One run of an isolate: delivers an event, then runs microtasks until none is left. Reusable; its memory is stable, so that a fiber
/// can hold a pointer to it.
public struct Turn: ~Copyable {
    /// The most arguments an event has.
    public static let argumentLimit = 8

    let raw: UnsafeMutablePointer<cv8_turn>
    let arguments: UnsafeMutablePointer<cv8_value>

    /// Has its memory from here on; `prepare` says what is to be run.
    public init() {
        raw = .allocate(capacity: 1)
        raw.initialize(to: cv8_turn())
        arguments = .allocate(capacity: Self.argumentLimit)
        arguments.initialize(repeating: cv8_value(), count: Self.argumentLimit)
        raw.pointee.arguments = UnsafePointer(arguments)
    }

    deinit {
        cv8_error_clear(&raw.pointee.error)
        raw.deallocate()
        arguments.deallocate()
    }

    /// What a fiber runs, with `context` as its argument.
    public static let body: @convention(c) (UnsafeMutableRawPointer?) -> Void = { cv8_turn_run($0) }
    /// What `body` takes; valid as long as this.
    public var context: UnsafeMutableRawPointer { UnsafeMutableRawPointer(raw) }

    /// Sets what is common to all turns and drops the arguments.
    /// - Parameters:
    ///   - hook: index into `internal.hooks`.
    ///   - evaluatesMain: compile, link and evaluate the main module first; the hook gets (promise, namespace).
    ///   - timeMilliseconds: what `Date` says in this turn.
    ///   - request: the request the event belongs to, 0 for none.
    public func prepare(
        _ isolate: borrowing Isolate, hook: UInt32, evaluatesMain: Bool, timeMilliseconds: Double, request: UInt64,
        fiber: OpaquePointer, stackLow: UnsafeMutableRawPointer, stackHigh: UnsafeMutableRawPointer
    ) {
        cv8_error_clear(&raw.pointee.error)
        // What was asked of the turn before. From here on it is asked of this one, also before it runs.
        cv8_turn_forget_preemption(isolate.raw)
        raw.pointee.isolate = isolate.raw
        raw.pointee.kind = evaluatesMain ? CV8_TURN_START : CV8_TURN_CALL
        raw.pointee.hook = hook
        raw.pointee.argument_count = 0
        raw.pointee.time_ms = timeMilliseconds
        raw.pointee.request = Double(request)
        raw.pointee.fiber = UnsafeMutableRawPointer(fiber)
        raw.pointee.stack_low = stackLow
        raw.pointee.stack_high = stackHigh
        raw.pointee.status = CV8_OK
    }

    private func add(_ value: cv8_value) {
        precondition(raw.pointee.argument_count < Self.argumentLimit, "an event has at most \(Self.argumentLimit) arguments")
        arguments[raw.pointee.argument_count] = value
        raw.pointee.argument_count += 1
    }

    /// Appends a number to the arguments, of which there may be `argumentLimit`.
    public func add(number: Double) { add(cv8_value(kind: CV8_NUMBER, number: number, data: nil, length: 0)) }
    /// Appends a boolean to the arguments.
    public func add(bool: Bool) { add(cv8_value(kind: CV8_BOOL, number: bool ? 1 : 0, data: nil, length: 0)) }
    /// Appends undefined to the arguments.
    public func addUndefined() { add(cv8_value(kind: CV8_UNDEFINED, number: 0, data: nil, length: 0)) }

    /// Latin-1 text; borrowed until the turn has ended.
    public func add(latin1: UnsafeRawBufferPointer) {
        add(cv8_value(kind: CV8_LATIN1, number: 0, data: latin1.baseAddress, length: latin1.count))
    }

    /// Bytes, copied into a Uint8Array; borrowed until the turn has ended.
    public func add(bytes: UnsafeRawBufferPointer) {
        add(cv8_value(kind: CV8_BYTES, number: 0, data: bytes.baseAddress, length: bytes.count))
    }

    /// At a suspension: the request whose continuation is running, 0 for none.
    public var currentRequest: UInt64 { UInt64(max(raw.pointee.current_request, 0)) }

    /// How the turn ended.
    public var outcome: TurnOutcome {
        switch raw.pointee.status {
        case CV8_OK: .completed
        case CV8_TERMINATED: .terminated
        case CV8_OUT_OF_MEMORY: .terminated
        default: .threw(V8.text(of: raw.pointee.error) ?? "unknown error")
        }
    }
}

/// How a turn ended.
public enum TurnOutcome: Sendable, Equatable {
    case completed
    /// The module did not compile or link, or the runtime itself threw; the text has file, line and column.
    case threw(String)
    /// The isolate is dead and must be disposed of.
    case terminated
}
