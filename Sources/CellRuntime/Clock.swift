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
    /// The kernel prefers the process's other threads to the calling one from now on.
    static func lowerPriorityOfThread() {
        let process = __priority_which_t(PRIO_PROCESS.rawValue)
        setpriority(process, 0, getpriority(process, 0) + 10)
    }

    /// The id of the calling thread's CPU clock, which other threads may read.
    static var currentThreadCPUClock: Int32 {
        var clock: clockid_t = 0
        pthread_getcpuclockid(pthread_self(), &clock)
        return clock
    }
}
