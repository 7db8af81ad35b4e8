import Sandbox
import Synchronization

/// Has the kernel choose anew, some times a millisecond and on each processor, whose turn it is there, while threads of the cell compete: workers and
/// those that are stuck in builtins. The kernel's fair class looks when a thread wakes or sleeps and at its own tick, which comes every 4 ms at 250 Hz;
/// between two ticks a stuck thread goes on beyond its part, and a worker that was put aside with the cell's lock holds everybody up. A thread that
/// wakes there and sleeps again at once is a reason to look. It costs a hundredth of each processor while that lasts, and nothing otherwise.
final class Pulse: @unchecked Sendable {
    private static let nanoseconds: UInt64 = 200_000
    /// With more processors than this none has a thread: those that are stuck, eight at the most, find others, and threads are not for free.
    private static let processorLimit = 16

    /// Those that have a thread each.
    let processors: [Int32]
    private let beats = Atomic<Bool>(false)
    private let lock = Lock()
    private let wanted = Lock.Condition()
    /// Its threads and the processor of each. Guarded by the lock.
    private var threads: [(thread: Int32, processor: Int32)] = []

    init(processors: [Int32] = ThreadSchedule.allowedProcessors(limit: processorLimit + 1)) {
        self.processors = processors.count > Self.processorLimit ? [] : processors
    }

    var isBeating: Bool { beats.load(ordering: .relaxed) }

    /// For the ticker, at each of its looks.
    /// - Parameters:
    ///   - stuck: turns that go on although somebody else has their worker's place.
    ///   - running: those, and the ones that run in their place.
    func heed(stuck: Int, running: Int) {
        // With as many as there are processors, the supervisor's front competes, too.
        let isWanted = stuck > 0 && !processors.isEmpty && running >= processors.count
        guard isWanted != isBeating else { return }
        lock.withLock { beats.store(isWanted, ordering: .relaxed) }
        if isWanted { wanted.broadcast() }
    }

    /// The calling thread is to be the one of a processor.
    func join(processor: Int32) { lock.withLock { threads.append((ThreadSchedule.currentThread, processor)) } }

    /// Keeps each thread on its processor; when all have joined, and before the seal forbids it. Where the kernel refuses, a thread stays where it is.
    func pin() { lock.withLock { for (thread, processor) in threads { _ = ThreadSchedule.pin(thread, to: processor) } } }

    /// The body of each thread; never returns.
    func run() -> Never {
        while true {
            while isBeating { Clock.sleep(nanoseconds: Self.nanoseconds) }
            lock.withLock { while !isBeating { wanted.wait(lock) } }
        }
    }
}
