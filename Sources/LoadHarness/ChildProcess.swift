import Foundation
import Synchronization

/// A process that the harness starts, with those that it starts itself: all of them are in a group of their own and end with `end`. Any thread.
///
/// Foundation's `Process` waits until whoever has inherited a certain descriptor is gone, for ever when a peer's children outlive it.
public final class ChildProcess: Sendable {
    private struct Running {
        var pids: [pid_t] = []
        var isEnding = false
    }
    /// The processes that run, for `endAll`.
    private static let running = Mutex(Running())

    /// A signal has come: nothing is started or written any more.
    static var isEnding: Bool { running.withLock { $0.isEnding } }

    /// What `sh` does for a process that begins in a control group: it enters that itself, and its starter, which measures, is never in it.
    private static let entering = #"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#

    private static let endingSignals = [SIGINT, SIGTERM, SIGHUP]

    /// Also the number of its process group.
    public let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - executable: a path.
    ///   - errors: the file that standard error goes to; nil: nowhere. Standard output goes nowhere.
    ///   - group: the folder of the control group that it begins in, or it ends at once; nil: this process's.
    /// - Throws: when it cannot be started.
    public init(_ executable: String, _ arguments: [String], errors: String? = nil, group: String? = nil) throws {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, errors ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawnattr_setpgroup(&attributes, 0)
        // What is ignored here (`endWithSignals`) or held back by the calling thread is not there.
        var (handled, blocked) = (sigset_t(), sigset_t())
        sigemptyset(&blocked)
        sigemptyset(&handled)
        for number in Self.endingSignals { sigaddset(&handled, number) }
        posix_spawnattr_setsigdefault(&attributes, &handled)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let command = group.map { ["/bin/sh", "-c", ChildProcess.entering, "sh", $0, executable] } ?? [executable]
        var words: [UnsafeMutablePointer<CChar>?] = (command + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        // Under the lock, or `endAll` could miss it.
        let error = Self.running.withLock { running in
            guard !running.isEnding else { return ECANCELED }
            let error = posix_spawn(&pid, command[0], &actions, &attributes, &words, environ)
            if error == 0 { running.pids.append(pid) }
            return error
        }
        guard error == 0 else { throw SpawnedDaemon.Failure(description: "\(executable): \(String(cString: strerror(error)))") }
        self.pid = pid
    }

    /// Once it has ended it is reaped here, and what it has left in its group is killed.
    public var isRunning: Bool {
        status.withLock { status in
            guard status == nil else { return false }
            var ended: Int32 = 0
            guard waitpid(pid, &ended, WNOHANG) == pid else { return true }
            status = ended
            // What it left behind has no other name any more than the group's.
            kill(-pid, SIGKILL)
            Self.running.withLock { $0.pids.removeAll { $0 == pid } }
            return false
        }
    }

    /// Asks it to end, and makes it after some seconds.
    public func end(withinSeconds seconds: Double = 5) {
        guard isRunning else { return }
        kill(pid, SIGTERM)
        Self.wait(seconds) { !isRunning }
        if isRunning { kill(-pid, SIGKILL) }
        Self.wait(seconds) { !isRunning }
        // The memory of a hundred processes takes the kernel a while, which whoever is measured next would pay for. No longer: a group is there for as long
        // as nobody has asked for its last member's status.
        Self.wait(1) { kill(-pid, 0) != 0 }
    }

    private static func wait(_ seconds: Double, until isOver: () -> Bool) {
        let end = Date().addingTimeInterval(seconds)
        while !isOver(), Date() < end { Thread.sleep(forTimeInterval: 0.02) }
    }

    /// Ends all that run and removes what they leave, before this process ends. Not in a signal handler: on a thread of its own.
    private static func endAll() {
        let pids = running.withLock { running in
            running.isEnding = true
            return running.pids
        }
        for pid in pids { kill(pid, SIGTERM) }
        wait(5) { !pids.contains { waitpid($0, nil, WNOHANG) == 0 } }
        for pid in pids { kill(-pid, SIGKILL) }
        wait(1) { !pids.contains { waitpid($0, nil, WNOHANG) == 0 } }
        Leftovers.shared.removeAll()
    }

    /// From now on a signal that ends this process ends what it has started first, and removes what that had made for it.
    public static func endWithSignals() {
        for number in endingSignals {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                endAll()
                signal(number, SIG_DFL)
                // To the process: this thread takes no signals.
                kill(getpid(), number)
            }
            source.activate()
            // For good.
            _ = Unmanaged.passRetained(source as AnyObject)
        }
    }
}
