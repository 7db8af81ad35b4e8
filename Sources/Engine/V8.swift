import CV8
import Glibc

/// A native operation, called from JavaScript as `internal.ops.NAME(…)` with an `OperationCall` around its argument.
/// A leaf: it returns a value or throws, and never runs JavaScript.
public typealias Operation = @convention(c) (OpaquePointer?) -> Void

/// A source text of the Web runtime; see `cv8_source`. The text's memory is never freed.
public struct RuntimeSource {
    /// Ends with a NUL; `internal.load` knows a lazy one by it.
    public var name: UnsafePointer<CChar>
    /// ASCII: a function expression that takes `internal`.
    public var text: UnsafePointer<CChar>
    /// Bytes of the text.
    public var length: Int
    /// Evaluated on first use instead of in the base snapshot.
    public var lazy: Bool

    /// Copies nothing: the memory stays the caller's.
    public init(name: UnsafePointer<CChar>, text: UnsafePointer<CChar>, length: Int, lazy: Bool) {
        self.name = name
        self.text = text
        self.length = length
        self.lazy = lazy
    }
}

/// What V8 is started with.
public struct EngineConfiguration {
    /// Further V8 flags, `--hash-seed` among them.
    public var flags: String
    /// In the order in which they are evaluated; the same in builders and cells.
    public var sources: [RuntimeSource]
    /// In the order in which snapshots know them; the same in builders and cells.
    public var operations: [(name: String, function: Operation)]
    /// Finds modules for isolates: `ModuleResolution.callback`.
    public var resolver: cv8_module_resolver
    /// Switches the running fiber out.
    public var suspend: @convention(c) (UnsafeMutableRawPointer?) -> Void
    /// V8 cannot go on; must not return. Arguments as in `cv8_options.fatal`.
    public var fatal: @convention(c) (UnsafeMutableRawPointer?, Bool, UnsafePointer<CChar>?, UnsafePointer<CChar>?) -> Void

    /// Modules are found through each isolate's `ModuleSource`.
    public init(
        flags: String, sources: [RuntimeSource], operations: [(name: String, function: Operation)],
        suspend: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void,
        fatal:
            @escaping @convention(c) (UnsafeMutableRawPointer?, Bool, UnsafePointer<CChar>?, UnsafePointer<CChar>?)
            -> Void
    ) {
        self.flags = flags
        self.sources = sources
        self.operations = operations
        self.resolver = ModuleResolution.callback
        self.suspend = suspend
        self.fatal = fatal
    }
}

/// Why the engine could not do something.
public enum EngineError: Error, CustomStringConvertible {
    case start(String)
    case snapshot(String)
    case isolate(String)

    /// What was tried, and V8's reason or status.
    public var description: String {
        switch self {
        case .start(let why): "V8 did not start: \(why)"
        case .snapshot(let why): "the snapshot could not be built: \(why)"
        case .isolate(let why): "no isolate could be made: \(why)"
        }
    }
}

/// V8 in this process.
public enum V8 {
    /// V8's version; needs no start.
    public static var version: String { String(cString: cv8_version()) }

    /// Whether isolates from a snapshot may live beside those of the base.
    public static func fits(_ snapshot: UnsafeRawBufferPointer, beside base: UnsafeRawBufferPointer) -> Bool {
        cv8_snapshot_fits(
            base.bindMemory(to: UInt8.self).baseAddress, base.count, snapshot.bindMemory(to: UInt8.self).baseAddress, snapshot.count)
    }

    /// Takes what an isolate from the base snapshot holds as the pages that others share with it (`Isolate.share`). Once a process, before another
    /// thread uses V8.
    /// - Parameter memoryFile: an empty memory file that nobody changes afterwards; stays open.
    /// - Returns: false when nothing will be shared: no memory, or the kernel lets nobody execute a memory file's pages.
    public static func takeCommonPages(of snapshot: UnsafeRawBufferPointer, memoryFile: Int32) -> Bool {
        cv8_pages_take(snapshot.bindMemory(to: UInt8.self).baseAddress, snapshot.count, memoryFile) == CV8_OK
    }

    /// Gives what isolates have freed of the C library's heap back to the kernel. Any thread; others that allocate wait meanwhile.
    public static func trimProcess() { cv8_process_trim() }

    /// The flags that are always set.
    public static var fixedFlags: String { String(cString: cv8_fixed_flags()) }

    /// Starts V8: once a process, on the main thread, before any other thread is made. Texts that V8 keeps are never freed.
    public static func start(_ configuration: EngineConfiguration) throws(EngineError) {
        let sources = UnsafeMutablePointer<cv8_source>.allocate(capacity: configuration.sources.count)
        for (index, source) in configuration.sources.enumerated() {
            (sources + index).initialize(
                to: cv8_source(name: source.name, text: source.text, length: source.length, lazy: source.lazy))
        }
        let operations = UnsafeMutablePointer<cv8_operation_entry>.allocate(capacity: configuration.operations.count)
        for (index, operation) in configuration.operations.enumerated() {
            (operations + index).initialize(
                to: cv8_operation_entry(name: strdup(operation.name), function: operation.function))
        }
        let flags = strdup(configuration.flags)!
        var options = cv8_options(
            flags: flags, flags_length: strlen(flags), sources: sources, source_count: configuration.sources.count,
            operations: operations, operation_count: configuration.operations.count, resolver: configuration.resolver,
            suspend: configuration.suspend, fatal: configuration.fatal)
        let status = cv8_start(&options)
        guard status == CV8_OK else { throw .start("status \(status.rawValue)") }
    }

    /// Prepares a thread that will run turns; once, on that thread.
    /// - Returns: false when there is no memory for it.
    public static func prepareThread() -> Bool { cv8_thread_prepare() }

    /// Builds the base snapshot from the eager sources; once, in a process that makes no isolate.
    public static func buildBaseSnapshot() throws(EngineError) -> [UInt8] {
        var blob: UnsafeMutablePointer<UInt8>?
        var length = 0
        var error = cv8_error()
        let status = cv8_snapshot_build(&blob, &length, &error)
        defer { cv8_error_clear(&error) }
        guard status == CV8_OK, let blob else { throw .snapshot(text(of: error) ?? "status \(status.rawValue)") }
        defer { free(blob) }
        return [UInt8](UnsafeBufferPointer(start: blob, count: length))
    }

    /// What V8 holds in this process. Any thread.
    public static var processMemory: (pageBytes: Int, poolBytes: Int, isolateCount: Int) {
        var memory = cv8_process_memory()
        cv8_process_memory_get(&memory)
        return (memory.page_bytes, memory.pool_bytes, memory.isolate_count)
    }

    /// Keeps so much memory of isolates that end, zeroed, for others: a fresh page costs the kernel about ten times what zeroing one does. Any thread.
    public static func keepFreedPages(upTo bytes: Int) { cv8_pool_limit(bytes) }

    /// Gives the kernel what no isolate has wanted of that since the last call. Any thread.
    public static func giveBackUnusedPages() { cv8_pool_give_back_unused() }

    static func text(of error: cv8_error) -> String? {
        guard let text = error.text else { return nil }
        return String(
            decoding: UnsafeRawBufferPointer(start: text, count: error.length), as: UTF8.self)
    }
}
