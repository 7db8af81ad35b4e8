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
    private var isReady = false
    private var failure: String?

    private init(_ version: TenantVersion) { self.version = version }

    /// A limit that the kernel keeps, before the seal. Nobody preempts a builder.
    static func limitResources() {
        var data = rlimit(rlim_cur: dataBytesLimit, rlim_max: dataBytesLimit)
        setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &data)
    }

    /// Sends the snapshot or why there is none; returns when the supervisor has it.
    static func run(base: UnsafeRawBufferPointer, version: TenantVersion, socket: SupervisorSocket) {
        let build = SnapshotBuild(version)
        switch build.make(base: base) {
        case .success(let blob): socket.send(.snapshot, payload: blob)
        case .failure(let refusal): socket.send(.snapshotRefused, payload: Array(refusal.why.utf8.prefix(4096)))
        }
        socket.flushBlocking()
    }

    private struct Refusal: Error { var why: String }

    private func make(base: UnsafeRawBufferPointer) -> Result<[UInt8], Refusal> {
        do {
            let isolate = try Isolate(builderFrom: base, bundle: version.engineModules)
            isolate.assign(
                memoryLimitBytes: version.limits.memoryBytes, user: Unmanaged<RuntimeHost>.passUnretained(self).toOpaque(),
                allowsEval: version.allowsEval)
            if let why = evaluate(isolate) { return .failure(Refusal(why: why)) }
            let saw = isolate.sawInBuilder()
            if saw.time { return .failure(Refusal(why: "a module looks at the clock at its top level, which a snapshot would keep")) }
            if saw.randomness { return .failure(Refusal(why: "a module uses Math.random at its top level, which a snapshot would keep")) }
            return .success(try isolate.finishSnapshot())
        } catch { return .failure(Refusal(why: "\(error)")) }
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
        case .terminated: return "evaluating the modules took more than \(version.limits.memoryBytes >> 20) MiB of memory"
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
    override func setTimer(_ timer: Int, delayMilliseconds: Double, repeats: Bool, request: UInt64) -> Bool { false }
}
