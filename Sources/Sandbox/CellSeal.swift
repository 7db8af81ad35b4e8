import CLinux
import Glibc

/// A stage of a launch or of a seal that failed.
public struct SandboxFailure: Error, CustomStringConvertible {
    public var stage: String
    public var errorNumber: Int32
    /// What to do about it, where that is known.
    public var advice: String

    init(_ failure: clinux_failure) {
        stage = withUnsafeBytes(of: failure.stage) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        errorNumber = failure.error
        advice = Self.advice(stage: stage, errorNumber: failure.error)
    }

    init(stage: String, errorNumber: Int32) {
        self.stage = stage
        self.errorNumber = errorNumber
        advice = Self.advice(stage: stage, errorNumber: errorNumber)
    }

    private static func advice(stage: String, errorNumber: Int32) -> String {
        guard errorNumber == EPERM || errorNumber == ENOSPC || errorNumber == EACCES else { return "" }
        switch stage {
        case "clone3 with new namespaces", "map user ids", "mount the root", "make mounts private":
            return "user namespaces are not permitted here: see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                + "kernel.apparmor_restrict_unprivileged_userns, or run as root"
        default: return ""
        }
    }

    public var description: String {
        "\(stage): \(String(cString: strerror(errorNumber)))" + (advice.isEmpty ? "" : " (\(advice))")
    }
}

/// The stages by which a cell seals itself, in this order: `beforeRuntime`, then what V8's libraries read lazily is warmed, `dropRoot`, then V8
/// and all threads start, `finish`. Each stage is for the main thread.
public enum CellSeal {
    public static func beforeRuntime() throws(SandboxFailure) { try stage(clinux_seal_before_runtime) }
    public static func dropRoot() throws(SandboxFailure) { try stage(clinux_seal_drop_root) }
    public static func finish() throws(SandboxFailure) { try stage(clinux_seal_finish) }

    private static func stage(_ run: (UnsafeMutablePointer<clinux_failure>?) -> Int32) throws(SandboxFailure) {
        var failure = clinux_failure()
        guard run(&failure) == 0 else { throw SandboxFailure(failure) }
    }

    /// Tries what a sealed cell must not be able to do, then ends: exit code 100 when it worked, 101 when the kernel refused it. When the
    /// seal kills it, it ends by SIGSYS.
    public static func selfcheckAttempt(_ name: String) -> Never {
        _exit(clinux_attempt(name) == 0 ? 100 : 101)
    }

    /// The names that `selfcheckAttempt` knows.
    public static var attempts: [String] {
        var names: [String] = []
        var next = clinux_attempts()!
        while let name = next.pointee {
            names.append(String(cString: name))
            next += 1
        }
        return names
    }
}
