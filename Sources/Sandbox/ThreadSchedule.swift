import CLinux

/// How the kernel schedules one thread beside others of the normal class.
public struct ThreadSchedule: Sendable {
    public var nice: Int32
    /// For how long it runs at a time. One that wakes goes before those with longer slices (Linux 6.12; earlier kernels have no such thing).
    public var sliceNanoseconds: UInt64

    public init(nice: Int32, sliceNanoseconds: UInt64) {
        self.nice = nice
        self.sliceNanoseconds = sliceNanoseconds
    }

    /// The calling thread, as `apply` takes it.
    public static var currentThread: Int32 { clinux_thread_id() }

    /// Puts it into force for a thread of this process (0: the calling one). What the kernel refuses stays as it was: it is for latency only.
    public func apply(to thread: Int32 = 0) { _ = clinux_schedule_thread(thread, nice, sliceNanoseconds) }
}
