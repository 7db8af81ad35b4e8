import CV8
import Glibc

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

    /// Makes an isolate from a tenant's snapshot, whose modules have been evaluated. Not on a fiber.
    /// - Parameters:
    ///   - snapshot: borrowed until this returns; see `V8.fits`.
    ///   - bundle: the modules in the order that the builder had; their texts outlive the isolate.
    public init(reviving snapshot: UnsafeRawBufferPointer, bundle: [EngineModule]) throws(EngineError) {
        raw = try Self.make(bundle) { cv8_isolate_revive(snapshot.bindMemory(to: UInt8.self).baseAddress, snapshot.count, $0, $1, $2) }
    }

    /// Makes the isolate in which a tenant's snapshot is built; once, in a process that makes no other. It is ended by `finishSnapshot`.
    public init(builderFrom base: UnsafeRawBufferPointer, bundle: [EngineModule]) throws(EngineError) {
        raw = try Self.make(bundle) { cv8_builder_new(base.bindMemory(to: UInt8.self).baseAddress, base.count, $0, $1, $2) }
    }

    private static func make(
        _ bundle: [EngineModule], _ body: (UnsafePointer<cv8_module>?, Int, UnsafeMutablePointer<OpaquePointer?>) -> cv8_status
    ) throws(EngineError) -> OpaquePointer {
        var isolate: OpaquePointer?
        let status = bundle.map(\.raw).withUnsafeBufferPointer { body($0.baseAddress, $0.count, &isolate) }
        guard status == CV8_OK, let isolate else { throw .isolate("status \(status.rawValue)") }
        return isolate
    }

    /// Why no snapshot should be taken of a builder's isolate: what the tenant's code looked at. Once, before `finishSnapshot`.
    public func whyNoSnapshot() -> String? {
        var error = cv8_error()
        cv8_builder_saw(raw, &error)
        guard let text = error.text else { return nil }
        defer { cv8_error_clear(&error) }
        return String(decoding: UnsafeRawBufferPointer(start: text, count: error.length), as: UTF8.self)
    }

    /// A builder's snapshot. The isolate is not used again, nor disposed of, which V8 could not do: its process ends.
    public func finishSnapshot() throws(EngineError) -> [UInt8] {
        var blob: UnsafeMutablePointer<UInt8>?
        var length = 0
        let status = cv8_builder_finish(raw, &blob, &length)
        guard status == CV8_OK, let blob else { throw .snapshot("status \(status.rawValue)") }
        defer { free(blob) }
        return [UInt8](UnsafeBufferPointer(start: blob, count: length))
    }

    /// Revives an isolate from a builder's snapshot and disposes of it. What V8 cannot take up again ends the process.
    public static func tryReviving(_ snapshot: UnsafeRawBufferPointer, bundle: [EngineModule]) throws(EngineError) {
        let status = bundle.map(\.raw).withUnsafeBufferPointer {
            cv8_builder_try(snapshot.bindMemory(to: UInt8.self).baseAddress, snapshot.count, $0.baseAddress, $0.count)
        }
        guard status == CV8_OK else { throw .snapshot("status \(status.rawValue)") }
    }

    deinit { cv8_isolate_dispose(raw) }

    /// Gives the isolate to whom it will serve, once, before its first turn. Not on a fiber.
    /// - Parameters:
    ///   - memoryLimitBytes: heap, array buffers, Wasm, external strings and Intl together.
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

    /// What V8 has compiled of a JavaScript module so far, for `EngineModule.code` of isolates to come. It must not leave the process, since V8 trusts
    /// it. Between turns, not on a fiber.
    /// - Returns: nil when the module was not compiled here, or without memory.
    public func code(of module: Int) -> UnsafeRawBufferPointer? {
        var code: UnsafeMutablePointer<UInt8>?
        var length = 0
        guard cv8_isolate_code(raw, Int32(module), &code, &length) == CV8_OK else { return nil }
        // The caller's, to free.
        return UnsafeRawBufferPointer(start: code, count: length)
    }

    /// How many modules' code was taken up instead of being compiled.
    public var takenCodeCount: Int { cv8_isolate_code_taken(raw) }

    /// What the isolate holds. Any thread.
    public var memory: IsolateMemory {
        var memory = cv8_memory()
        cv8_isolate_memory(raw, &memory)
        return IsolateMemory(
            pageBytes: memory.page_bytes, arrayBufferBytes: memory.array_buffer_bytes, nativeBytes: memory.native_bytes,
            limitBytes: memory.limit_bytes, isOverLimit: memory.over_limit)
    }

    /// Gives back what can be given back. Between turns, not on a fiber.
    public func trim() { cv8_isolate_trim(raw) }

    /// Maps pages of the base snapshot, copy-on-write, in place of the isolate's own where they are the same. Between turns, not on a fiber.
    /// - Returns: bytes of memory that it no longer has for itself.
    @discardableResult public func share() -> Int { cv8_isolate_share(raw) }
}

/// What one isolate holds.
public struct IsolateMemory: Sendable {
    /// Committed pages of heap, code and Wasm memories.
    public var pageBytes: Int
    /// Array buffers, and what structuredClone has written.
    public var arrayBufferBytes: Int
    /// What V8 and ICU hold for it in the C library's heap: Wasm modules' bytes, Intl's formats.
    public var nativeBytes: Int
    /// All of these, which the limit is of.
    public var bytes: Int { pageBytes + arrayBufferBytes + nativeBytes }
    /// What `Isolate.assign` was given.
    public var limitBytes: Int
    /// The limit was reached: the isolate is being terminated.
    public var isOverLimit: Bool
}
