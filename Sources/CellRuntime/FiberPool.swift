import CFiber

/// The stacks that turns run on: leased for a turn, kept by a suspended one. The last one given back is taken first, so that few are warm.
final class FiberPool: @unchecked Sendable {
    /// V8's limit lies 64 KiB above the low end.
    static let stackBytes = 512 << 10
    /// What an idle stack keeps of its memory.
    private static let keptBytes = 32 << 10
    /// Fibers beyond this many idle ones are given back to the kernel.
    private static let idleLimit = 64

    private let lock = Lock()
    private var idle: [OpaquePointer] = []
    private var leased = 0
    /// Since when the kernel has given no memory for a stack.
    private var starvedSinceNanoseconds: UInt64?
    private static let starvationNanoseconds: UInt64 = 1_000_000_000
    private let limit: Int

    /// - Parameter limit: suspended and running turns there may be at once.
    init(limit: Int) { self.limit = limit }

    /// A fiber, or nil at the limit or without memory: the turn must wait until another has ended.
    func lease() -> OpaquePointer? {
        lock.lock()
        defer { lock.unlock() }
        guard leased < limit else { return nil }
        if let fiber = idle.popLast() {
            leased += 1
            starvedSinceNanoseconds = nil
            return fiber
        }
        guard let fiber = cfiber_new(Self.stackBytes) else {
            starvedSinceNanoseconds = starvedSinceNanoseconds ?? Clock.monotonicNanoseconds
            return nil
        }
        starvedSinceNanoseconds = nil
        leased += 1
        return fiber
    }

    /// Whether turns have waited for a stack for so long that none will come: those that hold one may have been given up.
    var isStarved: Bool {
        lock.withLock { starvedSinceNanoseconds.map { Clock.monotonicNanoseconds &- $0 > Self.starvationNanoseconds } ?? false }
    }

    func giveBack(_ fiber: OpaquePointer) {
        lock.lock()
        leased -= 1
        starvedSinceNanoseconds = nil
        let keeps = idle.count < Self.idleLimit
        if keeps { idle.append(fiber) }
        lock.unlock()
        if !keeps { cfiber_free(fiber) }
    }

    /// Gives the memory of idle stacks back to the kernel; for when the cell has nothing to do.
    func trim() {
        lock.withLock { idle.forEach { cfiber_trim($0, Self.keptBytes) } }
    }
}
