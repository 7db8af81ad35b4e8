import CFiber
import Engine
import Glibc
import WebRuntime
import Wire

/// Builds a tenant's snapshot: evaluates its modules in a process of their own and sends what V8 makes of the heap after that, or why there
/// can be none. Runs on the main thread, after the seal.
final class SnapshotBuild: RuntimeHost {
    /// Memory that a builder may take; V8 needs several times the snapshot.
    static let dataBytesLimit: rlim_t = 2 << 30
    /// V8's random numbers start from here, so that it shows whether the tenant's code has drawn one; revived isolates have seeds of their own.
    static let flags = "--random-seed=1"

    private let version: TenantVersion
    private let socket: SupervisorSocket
    private var isReady = false
    private var failure: String?
    /// The modules have been evaluated: what goes wrong now is V8's to say.
    private var isTaking = false

    private init(_ version: TenantVersion, _ socket: SupervisorSocket) {
        self.version = version
        self.socket = socket
    }

    /// A limit that the kernel keeps, before the seal. Nobody preempts a builder.
    static func limitResources() {
        var data = rlimit(rlim_cur: dataBytesLimit, rlim_max: dataBytesLimit)
        setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &data)
    }

    /// Sends the snapshot or why there is none; returns when the supervisor has it.
    static func run(base: UnsafeRawBufferPointer, version: TenantVersion, socket: SupervisorSocket) {
        let build = SnapshotBuild(version, socket)
        switch build.make(base: base) {
        case .success(let blob):
            socket.send(.snapshot, payload: blob)
            socket.flushBlocking()
        case .failure(let refusal): build.refuse(refusal.why)
        }
        withExtendedLifetime(build) {}
    }

    private func refuse(_ why: String) {
        socket.send(.snapshotRefused, payload: Array(why.utf8.prefix(4096)))
        socket.flushBlocking()
    }

    /// V8 cannot go on; never returns.
    func fail(_ text: String, isOutOfMemory: Bool) -> Never {
        refuse(
            isTaking ? "\(Self.untakable) (\(text))" : isOutOfMemory ? overMemory : "V8 failed while the modules were evaluated (\(text))")
        _exit(0)
    }

    private static let untakable =
        "V8 cannot keep what a module made at its top level: an Intl object, a frozen built-in object or something of the kind"
    private var overMemory: String { "evaluating the modules took more than \(version.limits.memoryBytes >> 20) MiB of memory" }

    private struct Refusal: Error { var why: String }

    private func make(base: UnsafeRawBufferPointer) -> Result<[UInt8], Refusal> {
        let bundle = version.engineModules
        guard !bundle.contains(where: { $0.kind == .wasm }) else {
            return .failure(Refusal(why: "the bundle has a WebAssembly module, which V8 cannot keep in a snapshot"))
        }
        do {
            // Kept for good: V8 cannot dispose of it.
            let isolate = Unmanaged.passRetained(Kept(try Isolate(builderFrom: base, bundle: bundle))).takeUnretainedValue()
            if let why = prepare(isolate.isolate) { return .failure(Refusal(why: why)) }
            let blob = try isolate.isolate.finishSnapshot()
            try Self.check(blob, base: base, bundle: bundle)
            return .success(blob)
        } catch { return .failure(Refusal(why: "\(error)")) }
    }

    private final class Kept {
        let isolate: Isolate
        init(_ isolate: consuming Isolate) { self.isolate = isolate }
    }

    /// - Returns: why no snapshot can be taken.
    private func prepare(_ isolate: borrowing Isolate) -> String? {
        isolate.assign(
            memoryLimitBytes: version.limits.memoryBytes, user: Unmanaged<RuntimeHost>.passUnretained(self).toOpaque(),
            allowsEval: version.allowsEval)
        if let why = evaluate(isolate) ?? isolate.whyNoSnapshot() { return why }
        isTaking = true
        socket.send(.entered, payload: [])
        socket.flushBlocking()
        return nil
    }

    private static func check(_ blob: [UInt8], base: UnsafeRawBufferPointer, bundle: [EngineModule]) throws {
        try blob.withUnsafeBytes { blob in
            guard V8.fits(blob, beside: base) else { throw EngineError.snapshot("its read-only heap is not the base snapshot's") }
            try Isolate.tryReviving(blob, bundle: bundle)
        }
    }

    /// - Returns: why the modules cannot be used.
    private func evaluate(_ isolate: borrowing Isolate) -> String? {
        let fibers = FiberPool(limit: 1)
        guard let fiber = fibers.lease() else { return "no memory for a stack" }
        let turn = Turn()
        turn.prepare(
            isolate, hook: RuntimeHook.started.rawValue, evaluatesMain: true, timeMilliseconds: Clock.wallMilliseconds, request: 0,
            fiber: fiber,
            stackLow: cfiber_stack_low(fiber), stackHigh: cfiber_stack_high(fiber))
        cfiber_prepare(fiber, Turn.body, turn.context)
        while !cfiber_resume(fiber) {}
        switch turn.outcome {
        case .completed: break
        case .threw(let message): return message
        case .terminated: return overMemory
        }
        return failure ?? (isReady ? nil : "the main module's top-level await has not settled")
    }

    // MARK: The Web runtime's host

    override func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        try version.resolve(specifier, referrer: referrer)
    }
    override func module(at index: Int) -> EngineModule { version.module(at: index) }
    override var isStarting: Bool { true }
    override func ready() { isReady = true }
    override func startFailed(_ message: String) { failure = message }
    override func setTimer(_ timer: Int, delayMilliseconds: Double, repeats: Bool, request: UInt64) -> UInt64? { nil }
}
