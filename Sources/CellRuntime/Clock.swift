import Glibc

/// The cell's clocks, in nanoseconds. All of them are plain system calls that the seal allows.
enum Clock {
    static func read(_ id: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(id, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Never goes back; for slices, timers and waits.
    static var monotonicNanoseconds: UInt64 { read(CLOCK_MONOTONIC) }

    /// CPU time of the calling thread; for what requests are charged.
    static var threadCPUNanoseconds: UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// What tenants see: whole milliseconds since 1970.
    static var wallMilliseconds: Double { Double(read(CLOCK_REALTIME) / 1_000_000) }

    static func sleep(nanoseconds: UInt64) {
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        nanosleep(&time, nil)
    }
}

extension Clock {
    /// The id of the calling thread's CPU clock, which other threads may read.
    static var currentThreadCPUClock: Int32 {
        var clock: clockid_t = 0
        pthread_getcpuclockid(pthread_self(), &clock)
        return clock
    }
}

/// The CPU time of pieces of a thread's work, one after the other. Asking the kernel for it costs as much as a small request: a short piece is
/// taken to have run all the time that passed.
struct SliceClock {
    /// The longest piece for which the kernel is not asked; the most that one can be charged without having had it.
    private static let shortNanoseconds: UInt64 = 100_000
    /// The thread's CPU time when it was last read, and what was charged since then without reading it.
    private var read: UInt64 = 0
    private var unread: UInt64 = 0

    /// What the piece that ends now used.
    mutating func used(inNanoseconds elapsed: UInt64) -> UInt64 {
        guard elapsed > Self.shortNanoseconds else {
            unread &+= elapsed
            return elapsed
        }
        let cpu = Clock.threadCPUNanoseconds
        // The thread's work between pieces counts, too, but never more than the time that passed.
        let used = min(cpu &- read > unread ? cpu &- read &- unread : 0, elapsed)
        read = cpu
        unread = 0
        return used
    }
}
