import CLinux
import Glibc
import Synchronization

/// What the kernel gives a cell's process beside others: how much nicer it is than the supervisor.
public struct CellPriority: Sendable {
    /// By how much.
    public let nice: Int32

    /// The nice value that a process gets. That of the supervisor's first thread counts: one of a real-time class would pass on none.
    var value: Int32 { min(19, getpriority(Int32(PRIO_PROCESS.rawValue), id_t(getpid())) + nice) }

    /// Cells run below the supervisor, so that the front stays quick when they are busy.
    public static let cell = Self(nice: 5)
    /// Builders, which nobody waits for.
    public static let background = Self(nice: 19)
}

/// Starts cells in their sandbox. Immutable; `launch` may be called from any thread that lives as long as the cell: the kernel ends a cell
/// when the thread that started it ends.
public final class CellLauncher: Sendable {
    /// Who a cell is outside when the supervisor is root: nobody.
    public static let unprivilegedID: UInt32 = 65_534

    let executable: CellExecutable
    let isSandboxed: Bool
    private let earlyFilter: Int32
    private let steadyFilter: Int32
    private let steadyJitlessFilter: Int32
    private let cgroups: CgroupPlacement
    private let memoryLimitBytes: Mutex<UInt64?>
    /// Cells started so far: a cell and the one that takes its place have one name, but not one group.
    private let launchCount = Atomic<Int>(0)

    /// What could not be done, and is worth a line in the log.
    public var warnings: [String] { cgroups.warnings }

    /// Compiles the seccomp programs, and finds the cgroups that can be used.
    /// - Parameter memoryLimitBytes: what the kernel gives one cell at the most, where a cgroup is writable; it is ended when it wants more.
    public convenience init(executable: CellExecutable, isSandboxed: Bool = true, memoryLimitBytes: UInt64? = nil) throws {
        try self.init(executable: executable, isSandboxed: isSandboxed, memoryLimitBytes: memoryLimitBytes, cgroups: CgroupPlacement())
    }

    init(executable: CellExecutable, isSandboxed: Bool, memoryLimitBytes: UInt64? = nil, cgroups: CgroupPlacement) throws {
        self.executable = executable
        self.isSandboxed = isSandboxed
        func compile(_ name: String) throws(SeccompError) -> Int32 { isSandboxed ? try SeccompProgram.embedded(name).compile() : -1 }
        earlyFilter = try compile("early")
        steadyFilter = try compile("steady")
        steadyJitlessFilter = try compile("steady-jitless")
        self.cgroups = cgroups
        self.memoryLimitBytes = Mutex(memoryLimitBytes)
    }

    /// What cells that are started from now on may hold; those that run have limits of their own (`CellProcess.setMemoryLimit`).
    public func setMemoryLimit(_ bytes: UInt64) { memoryLimitBytes.withLock { $0 = bytes } }

    deinit { for filter in [earlyFilter, steadyFilter, steadyJitlessFilter] where filter >= 0 { close(filter) } }

    /// Starts a cell; it seals itself and says READY on its socket. Returns when the executable runs, after a few milliseconds.
    /// - Parameters:
    ///   - name: for its cgroup.
    ///   - jit: whether memory may become executable.
    ///   - priority: what the kernel gives it beside others.
    ///   - environment: further variables, `NAME=value`.
    public func launch(name: String, jit: Bool, priority: CellPriority = .cell, environment: [String] = []) throws(SandboxFailure)
        -> CellProcess
    {
        var sockets: [Int32] = [-1, -1]
        var pipe: [Int32] = [-1, -1]
        let socketError = clinux_socketpair(&sockets)
        guard socketError == 0 else { throw SandboxFailure(stage: "make a socket pair", errorNumber: socketError) }
        let pipeError = clinux_pipe(&pipe)
        guard pipeError == 0 else {
            sockets.forEach { close($0) }
            throw SandboxFailure(stage: "make a pipe", errorNumber: pipeError)
        }
        defer {
            close(sockets[1])
            close(pipe[1])
        }
        let group = cgroups.group(
            name: "\(name)-\(launchCount.add(1, ordering: .relaxed).newValue)", memoryLimitBytes: memoryLimitBytes.withLock { $0 })
        do throws(SandboxFailure) {
            let (pid, pidfd) = try spawn(
                group, socket: sockets[1], diagnostics: pipe[1], jit: jit, nice: priority.value, environment: environment)
            return CellProcess(pid: pid, pidfd: pidfd, socket: sockets[0], diagnostics: pipe[0], isSandboxed: isSandboxed, group: group)
        } catch {
            close(sockets[0])
            close(pipe[0])
            group.remove()
            throw error
        }
    }

    private func spawn(
        _ group: Cgroup, socket: Int32, diagnostics: Int32, jit: Bool, nice: Int32, environment: [String]
    ) throws(SandboxFailure) -> (pid: pid_t, pidfd: Int32) {
        let folders = Set(executable.libraries.map { $0.prefix(upTo: $0.lastIndex(of: "/")!) }).sorted()
        let argv = CStrings([executable.path] + (isSandboxed ? [] : ["--insecure"]))
        let envp = CStrings(
            [
                // The backtracer would start a process; memory pools per thread would only cost memory.
                "SWIFT_BACKTRACE=enable=no", "TZ=UTC", "LC_ALL=C", "MALLOC_ARENA_MAX=2",
                "LD_LIBRARY_PATH=\(folders.joined(separator: ":"))",
            ] + environment)
        let files = CStrings(Array(Set([executable.path] + executable.libraries)).sorted())
        let isRoot = geteuid() == 0
        let cgroup = group.openVersion2()
        defer { if cgroup >= 0 { close(cgroup) } }
        var options = clinux_spawn_options(
            executable: argv.first, arguments: argv.pointer, environment: envp.pointer, files: files.constant, socket: socket,
            diagnostics: diagnostics, filter_early: earlyFilter, filter_steady: jit ? steadyFilter : steadyJitlessFilter, cgroup: cgroup,
            outside_uid: isRoot ? Self.unprivilegedID : geteuid(), outside_gid: isRoot ? Self.unprivilegedID : getegid(),
            is_root: isRoot, is_sandboxed: isSandboxed, nice: nice)
        var pid: pid_t = 0
        var pidfd: Int32 = -1
        var failure = clinux_failure()
        let status = clinux_spawn(
            &options, { pid, context in Unmanaged<Cgroup>.fromOpaque(context!).takeUnretainedValue().add(pid) },
            Unmanaged.passUnretained(group).toOpaque(), &pid, &pidfd, &failure)
        guard status == 0 else { throw SandboxFailure(failure) }
        return (pid, pidfd)
    }
}

/// Strings for C, freed with this.
private final class CStrings {
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointer = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { (pointer + index).initialize(to: strdup(string)) }
        (pointer + count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }

    var first: UnsafePointer<CChar>? { pointer[0].map { UnsafePointer($0) } }
    var constant: UnsafePointer<UnsafePointer<CChar>?> { UnsafeRawPointer(pointer).assumingMemoryBound(to: UnsafePointer<CChar>?.self) }
}
