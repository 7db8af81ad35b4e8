import CV8

/// A V8 isolate with one context. Used by one thread at a time; what may be called by any thread meanwhile says so.
/// Disposes of itself; no turn may be running or suspended in it then.
public struct Isolate: ~Copyable {
    let raw: OpaquePointer

    /// Makes an isolate from the base snapshot, nobody's yet. Not on a fiber.
    /// - Parameter snapshot: borrowed; must outlive every isolate made from it.
    public init(snapshot: UnsafeRawBufferPointer) throws(EngineError) {
        var isolate: OpaquePointer?
        let status = cv8_isolate_new(snapshot.bindMemory(to: UInt8.self).baseAddress, snapshot.count, &isolate)
        guard status == CV8_OK, let isolate else { throw .isolate("status \(status.rawValue)") }
        raw = isolate
    }

    deinit { cv8_isolate_dispose(raw) }

    /// Gives the isolate to whom it will serve, once, before its first turn. Not on a fiber.
    /// - Parameters:
    ///   - memoryLimitBytes: heap, array buffers, Wasm memories and external strings together.
    ///   - user: handed to operations (`OperationCall.user`) and, as a `ModuleSource`, to module resolution.
    ///   - allowsEval: whether code may be made from strings.
    public func assign(memoryLimitBytes: Int, user: UnsafeMutableRawPointer, allowsEval: Bool) {
        var owner = cv8_owner(memory_limit_bytes: memoryLimitBytes, user: user, allow_eval: allowsEval)
        cv8_isolate_assign(raw, &owner)
    }

    /// Asks the running turn to suspend itself at V8's next interrupt check. Any thread.
    public func preempt() { cv8_isolate_preempt(raw) }

    /// Ends the running turn at V8's next check; the isolate is dead afterwards. Any thread.
    public func terminate() { cv8_isolate_terminate(raw) }

    /// What the isolate holds. Any thread.
    public var memory: IsolateMemory {
        var memory = cv8_memory()
        cv8_isolate_memory(raw, &memory)
        return IsolateMemory(
            pageBytes: memory.page_bytes, arrayBufferBytes: memory.array_buffer_bytes, limitBytes: memory.limit_bytes,
            isOverLimit: memory.over_limit)
    }

    /// Gives back what can be given back. Between turns, not on a fiber.
    public func trim() { cv8_isolate_trim(raw) }
}

/// What one isolate holds.
public struct IsolateMemory: Sendable {
    /// Committed pages of heap, code and Wasm memories.
    public var pageBytes: Int
    public var arrayBufferBytes: Int
    public var limitBytes: Int
    /// The heap limit was reached: the isolate is being terminated.
    public var isOverLimit: Bool
}
