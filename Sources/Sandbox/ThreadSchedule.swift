import CLinux
import Glibc

/// How the kernel schedules one thread beside others of the normal class.
public struct ThreadSchedule: Sendable {
    /// The thread's own, whatever its process has; an ordinary user may only raise it.
    public var nice: Int32
    /// For how long it runs at a time. One that wakes goes before those with longer slices (Linux 6.12; earlier kernels have no such thing).
    public var sliceNanoseconds: UInt64

    /// Nothing happens until `apply`.
    public init(nice: Int32, sliceNanoseconds: UInt64) {
        self.nice = nice
        self.sliceNanoseconds = sliceNanoseconds
    }

    /// Puts the calling thread before all threads of the normal class (round robin at the lowest real-time priority; the kernel keeps a part for the
    /// others). Threads and processes that it starts are of the normal class again.
    /// - Returns: false where that takes a right that the process does not have (root, or RLIMIT_RTPRIO of 1).
    public static func applyRealTime() -> Bool {
        var parameters = sched_param()
        parameters.sched_priority = 1
        return sched_setscheduler(0, SCHED_RR | resetOnFork, &parameters) == 0
    }

    /// SCHED_RESET_ON_FORK of linux/sched.h, which the C library shows to GNU sources only.
    private static let resetOnFork: Int32 = 0x4000_0000

    /// The calling thread, as `apply` takes it.
    public static var currentThread: Int32 { clinux_thread_id() }

    /// The processors that the calling thread may run on, the first `limit` of them; empty where the kernel does not tell.
    public static func allowedProcessors(limit: Int) -> [Int32] {
        [Int32](unsafeUninitializedCapacity: limit) { numbers, count in
            count = Int(clinux_allowed_processors(numbers.baseAddress, Int32(limit)))
        }
    }

    /// Keeps a thread of this process (0: the calling one) on one processor.
    /// - Returns: false where it may not run there, or nobody may choose.
    public static func pin(_ thread: Int32 = 0, to processor: Int32) -> Bool { clinux_pin_thread(thread, processor) == 0 }

    /// Puts it into force for a thread of this process (0: the calling one). What the kernel refuses stays as it was: it is for latency only.
    public func apply(to thread: Int32 = 0) { _ = clinux_schedule_thread(thread, nice, sliceNanoseconds) }
}
