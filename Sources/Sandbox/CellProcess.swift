import CLinux
import Glibc
import Synchronization

/// A started cell. Its methods may be called from any thread, `reap` from one only. Letting go of it ends the process.
public final class CellProcess: Sendable {
    /// As the supervisor's namespace numbers it; once it is reaped, it may be another's.
    public let pid: pid_t
    /// False: it has no namespaces, filters or empty root, and the rights of its supervisor's user.
    public let isSandboxed: Bool
    let pidfd: Int32
    private let socket: Mutex<Int32>
    private let diagnostics: Int32
    let group: Cgroup
    private let isReaped = Mutex(false)
    private let watch = Mutex<CellWatch?>(nil)
    private let end = Mutex<(denied: DeniedCall?, hasDumpedCore: Bool)>((nil, false))

    /// What is kept of what a cell says of itself before it ends.
    private static let diagnosticsLimitBytes = 8 << 10

    init(pid: pid_t, pidfd: Int32, socket: Int32, diagnostics: Int32, isSandboxed: Bool, group: Cgroup) {
        self.pid = pid
        self.pidfd = pidfd
        self.socket = Mutex(socket)
        self.diagnostics = diagnostics
        self.isSandboxed = isSandboxed
        self.group = group
    }

    deinit {
        if !isReaped.withLock({ $0 }) {
            kill()
            _ = reap()
        }
        close(pidfd)
        close(diagnostics)
        let socket = socket.withLock { $0 }
        if socket >= 0 { close(socket) }
    }

    /// The supervisor's end of the socket; the caller closes it. -1 from the second call on.
    public func takeSocket() -> Int32 {
        socket.withLock { socket in
            defer { socket = -1 }
            return socket
        }
    }

    /// Has the kernel give the cell this part, above 0 to 1, of what all busy cells get; nil when none competes with another. Nothing happens where
    /// no cgroup is writable. Blocks for milliseconds when the process changes its group.
    public func setCPUShare(_ share: Double?) { group.setCPUShare(share, of: pid) }

    /// Has the kernel let the cell hold this much from now on.
    /// - Returns: false when it holds more, and keeps the limit that it has.
    public func setMemoryLimit(_ bytes: UInt64) -> Bool { group.setMemoryLimit(bytes) }

    /// Ends the process with SIGKILL; nothing happens when it has ended.
    public func kill() { _ = clinux_kill(pidfd) }

    /// Waits until the process has ended, at most `milliseconds`; 0 only looks, -1 waits for ever. It is still to be reaped.
    public func hasEnded(withinMilliseconds milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, milliseconds) == 1
    }

    /// From here on the call is known that a seccomp filter ends the cell for. To be called when no thread can come any more, and before the
    /// first tenant. Throws where this machine does not let processes be watched: the filters are in force all the same.
    public func watchDeniedCalls() throws(SandboxFailure) {
        let new = try CellWatch(pid: pid, pidfd: pidfd)
        watch.withLock { $0 = new }
    }

    /// After `reap`: what a filter has ended the cell for, if it was watched.
    public var deniedCall: DeniedCall? { end.withLock { $0.denied } }

    /// After `reap`: whether the kernel has written the cell's memory somewhere.
    public var hasDumpedCore: Bool { end.withLock { $0.hasDumpedCore } }

    /// Waits for the end and removes the cgroups. Once.
    /// - Returns: the exit code, or minus the signal, and what the process said of itself (at most 8 KiB).
    public func reap() -> (status: Int32, diagnostics: String) {
        _ = hasEnded(withinMilliseconds: -1)
        group.endShares()
        var hasDumpedCore = false
        var status = clinux_reap(pidfd, &hasDumpedCore)
        let watched = watch.withLock { watch in
            defer { watch = nil }
            return watch?.join()
        }
        // The watch has ended it for a fault that the kernel would have ended it for.
        if let signal = watched?.signal, signal != 0, status == -SIGKILL { status = -signal }
        end.withLock { $0 = (watched?.denied, hasDumpedCore) }
        isReaped.withLock { $0 = true }
        group.remove()
        var text = [UInt8](repeating: 0, count: Self.diagnosticsLimitBytes)
        let count = read(diagnostics, &text, text.count)
        return (status, String(decoding: text[..<max(0, count)], as: UTF8.self))
    }
}
