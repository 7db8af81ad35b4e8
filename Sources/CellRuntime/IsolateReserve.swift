import Engine
import Scheduling
import Synchronization

/// Isolates made ahead from the base snapshot, and disposed of afterwards, by a thread of its own at low priority, so that no request need wait for
/// V8 to do either. Any thread.
final class IsolateReserve: @unchecked Sendable {
    /// Whoever ends one more than this disposes of it: memory comes back as fast as it is taken.
    private static let endedLimit = 8
    /// One that holds more goes at once.
    private static let endedBytesLimit = 8 << 20
    /// After V8 had no memory for one.
    private static let pauseNanoseconds: UInt64 = 100_000_000

    /// The base snapshot; lives as long as the process.
    let snapshot: UnsafeRawBufferPointer
    private let lock = Lock()
    private let wanted = Lock.Condition()
    private var made: [Box] = []
    /// Isolates to dispose of, and what they refer to.
    private var ended: [(Box, owner: AnyObject)] = []
    private var size = ReserveSize()
    private let hasWork = Atomic<Bool>(false)

    /// Arrays hold no noncopyable values.
    private final class Box {
        private var isolate: Isolate?
        init(_ isolate: consuming Isolate) { self.isolate = consume isolate }
        func take() -> Isolate { isolate.take()! }
    }

    init(snapshot: UnsafeRawBufferPointer) { self.snapshot = snapshot }

    /// One that is ready, or a new one. Not on a fiber.
    func take() throws(EngineError) -> Isolate {
        let box = lock.withLock {
            size.noteTaken(now: Clock.monotonicNanoseconds)
            return made.popLast()
        }
        hasWork.store(true, ordering: .relaxed)
        guard let box else { return try Isolate(snapshot: snapshot) }
        return box.take()
    }

    /// Disposes of an isolate that nothing runs in. Not on a fiber.
    /// - Parameter owner: kept until then.
    func dispose(of isolate: consuming Isolate, owner: AnyObject) {
        let memory = isolate.memory
        let box = Box(isolate)
        lock.withLock {
            guard ended.count < Self.endedLimit, memory.bytes <= Self.endedBytesLimit else { return }
            ended.append((box, owner))
        }
        hasWork.store(true, ordering: .relaxed)
    }

    /// Lets the thread begin with what was asked of it, now that nothing else waits for the caller: woken earlier it might take the processor from it.
    func wake() {
        guard hasWork.load(ordering: .relaxed), hasWork.exchange(false, ordering: .relaxed) else { return }
        wanted.signal()
    }

    /// Has the thread dispose of those that are ready and, as few as are taken by now, not needed.
    func giveBackUnused() {
        lock.withLock {
            let surplus = made.count - size.target(now: Clock.monotonicNanoseconds)
            guard surplus > 0 else { return }
            ended += made.prefix(surplus).map { ($0, self) }
            made.removeFirst(surplus)
            wanted.signal()
        }
    }

    /// Whether somebody need not wait for V8.
    var isReady: Bool { lock.withLock { !made.isEmpty } }

    /// The maker's thread; never returns.
    func run() -> Never {
        var hasFailed = false
        while true {
            lock.lock()
            while ended.isEmpty, made.count >= size.target(now: Clock.monotonicNanoseconds) { wanted.wait(lock) }
            let old = made.isEmpty && !hasFailed ? nil : ended.popLast()
            lock.unlock()
            // It is disposed of when it goes out of scope.
            if old != nil { continue }
            hasFailed = false
            guard let isolate = try? Isolate(snapshot: snapshot) else {
                hasFailed = true
                Clock.sleep(nanoseconds: Self.pauseNanoseconds)
                continue
            }
            isolate.share()
            let box = Box(isolate)
            lock.withLock { made.append(box) }
        }
    }
}
