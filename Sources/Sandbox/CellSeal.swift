import CLinux
import Glibc

/// The stages by which a cell seals itself, in this order: `beforeRuntime`, then what V8's libraries read lazily is warmed, `dropRoot`, then V8
/// and all threads start, `finish`. Each stage is for the main thread. A stage that throws leaves a cell that must end.
public enum CellSeal {
    /// An empty memory file for the pages that isolates share, in a cell that does not seal itself; sealed ones have it from `beforeRuntime` on, with
    /// the same number.
    public static func openMemoryFile() -> Int32 { clinux_memfd("pages") }
    /// Its number. It may be written to until `finish`.
    public static let memoryFile = Int32(CLINUX_PAGES)

    /// Resource limits, speculation controls, no new privileges; takes the seccomp programs from their descriptors and closes those.
    public static func beforeRuntime() throws(SandboxFailure) { try stage(clinux_seal_before_runtime) }

    /// An empty root, no capabilities, not dumpable, Landlock, the early filter. Still one thread.
    public static func dropRoot() throws(SandboxFailure) { try stage(clinux_seal_drop_root) }

    /// Checks the stages before, and installs the steady filter for all threads. No thread can be started any more.
    public static func finish() throws(SandboxFailure) { try stage(clinux_seal_finish) }

    /// Names the calling thread, for the log of a denied call; at most 15 bytes. Before `finish`.
    public static func nameThread(_ name: String) { clinux_name_thread(name) }

    /// Has the process say of its seal what cannot be seen from outside, on its standard error; see `SealReport`. Between `dropRoot` and `finish`.
    public static func report() { clinux_seal_report(STDERR_FILENO) }

    private static func stage(_ run: (UnsafeMutablePointer<clinux_failure>?) -> Int32) throws(SandboxFailure) {
        var failure = clinux_failure()
        guard run(&failure) == 0 else { throw SandboxFailure(failure) }
    }

    /// How a process ends that tried what it must not do and is still there.
    public enum AttemptExit: Int32 {
        /// It worked, or failed for a reason that is not the seal's.
        case worked = 100
        /// The seal refused it, with the errno it has for that.
        case refused = 101
        /// There is no such attempt.
        case unknown = 102
    }

    /// Tries what a sealed cell must not be able to do, then ends with an `AttemptExit`. When the seal kills it, it ends by SIGSYS.
    public static func selfcheckAttempt(_ name: String) -> Never {
        switch clinux_attempt(name) {
        case CLINUX_REFUSED: _exit(AttemptExit.refused.rawValue)
        case CLINUX_UNKNOWN: _exit(AttemptExit.unknown.rawValue)
        default: _exit(AttemptExit.worked.rawValue)
        }
    }

    /// The names that `selfcheckAttempt` knows and no cell may do.
    public static var attempts: [String] { names(clinux_attempts()) }

    /// The names of what only a cell without a JIT may not do.
    public static var jitlessAttempts: [String] { names(clinux_attempts_jitless()) }

    private static func names(_ list: UnsafePointer<UnsafePointer<CChar>?>) -> [String] {
        var names: [String] = []
        var next = list
        while let name = next.pointee {
            names.append(String(cString: name))
            next += 1
        }
        return names
    }
}
