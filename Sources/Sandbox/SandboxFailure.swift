import CLinux
import Glibc

/// A stage of a launch or of a seal that failed.
public struct SandboxFailure: Error, CustomStringConvertible {
    /// What was being done, such as `mount the root`.
    public var stage: String
    /// The kernel's reason.
    public var errorNumber: Int32
    /// What to do about it; empty where that is not known.
    public var advice: String

    init(_ failure: clinux_failure) {
        let stage = withUnsafeBytes(of: failure.stage) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.init(stage: stage, errorNumber: failure.error)
    }

    init(stage: String, errorNumber: Int32) {
        self.stage = stage
        self.errorNumber = errorNumber
        advice = Self.advice(stage: stage, errorNumber: errorNumber)
    }

    private static func advice(stage: String, errorNumber: Int32) -> String {
        switch (stage, errorNumber) {
        case ("clone3 with new namespaces", ENOSYS): return "Linux 5.7 or later is needed, and a container that permits clone3"
        case ("clone3 with new namespaces", EPERM), ("clone3 with new namespaces", ENOSPC), ("map user ids", _), ("deny setgroups", _),
            ("mount the root", EPERM), ("mount the root", EACCES), ("make mounts private", EPERM), ("make mounts private", EACCES):
            return "user namespaces are not permitted here: see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                + "kernel.apparmor_restrict_unprivileged_userns, or run as root"
        case ("bind a library into the root", EPERM), ("bind a library into the root", EACCES), ("open a library", EACCES),
            ("exec", EACCES):
            return "the cell's user must be able to read the executable, its libraries and all folders above them"
        default: return ""
        }
    }

    /// All three in one line, for logs and commands.
    public var description: String {
        "\(stage): \(String(cString: strerror(errorNumber)))" + (advice.isEmpty ? "" : " (\(advice))")
    }
}
