import Engine
import Scheduling

/// Isolates made ahead from the base snapshot, by a thread of its own at low priority, so that a cold start need not wait for V8. Any thread.
final class IsolateReserve: @unchecked Sendable {
    /// After V8 had no memory for one.
    private static let pauseNanoseconds: UInt64 = 100_000_000

    /// The base snapshot; lives as long as the process.
    let snapshot: UnsafeRawBufferPointer
    private let lock = Lock()
    private let wanted = Lock.Condition()
    private var made: [Box] = []
    private var size = ReserveSize()

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
            wanted.signal()
            return made.popLast()
        }
        guard let box else { return try Isolate(snapshot: snapshot) }
        return box.take()
    }

    /// The maker's thread; never returns.
    func run() -> Never {
        while true {
            lock.lock()
            while made.count >= size.target(now: Clock.monotonicNanoseconds) { wanted.wait(lock) }
            lock.unlock()
            guard let isolate = try? Isolate(snapshot: snapshot) else {
                Clock.sleep(nanoseconds: Self.pauseNanoseconds)
                continue
            }
            let box = Box(isolate)
            lock.withLock { made.append(box) }
        }
    }
}
