import CLinux
import CSeccomp
import Glibc

/// A system call that a seccomp filter has ended a cell for, as the kernel had it.
public struct DeniedCall: Sendable, Equatable {
    /// The call's name. Calls of other architectures have theirs in front: `i386:getpid`.
    public var name: String
    /// The name, or a word for all calls that have none here: what a cell makes up must not make up metrics.
    public var label: String
    /// All six registers that arguments come in, however many the call has.
    public var arguments: [UInt64]
    /// Which thread made it, as the supervisor's namespace numbers it, and its name; cells give their threads names before they are sealed.
    public var thread: pid_t
    /// At most 15 bytes.
    public var threadName: String

    init(architecture: UInt32, number: Int64, arguments: [UInt64], thread: pid_t, threadName: String) {
        self.arguments = arguments
        self.thread = thread
        self.threadName = threadName
        let call = Int32(truncatingIfNeeded: number)
        let isX32 = architecture == Self.x86_64 && number & 0x4000_0000 != 0
        if architecture == seccomp_arch_native(), !isX32 {
            label = Self.resolve(architecture, call) ?? "unknown"
            name = label == "unknown" ? "number \(number)" : label
        } else {
            label = "foreign"
            let family = isX32 ? "x32" : architecture == Self.i386 ? "i386" : "architecture \(architecture)"
            let resolved = isX32 ? Self.resolve(Self.x86_64, call & ~0x4000_0000) : Self.resolve(architecture, call)
            name = "\(family):\(resolved ?? "number \(number)")"
        }
    }

    private static let x86_64: UInt32 = 0xc000_003e
    private static let i386: UInt32 = 0x4000_0003

    private static func resolve(_ architecture: UInt32, _ number: Int32) -> String? {
        guard number >= 0, let text = seccomp_syscall_resolve_num_arch(architecture, number) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}

/// Follows a sealed cell to its end, on a thread of its own, to learn which call has ended it; see watch.c. What it learns does not come from
/// the cell, and the filter's verdict does not depend on it.
final class CellWatch: @unchecked Sendable {
    private static let stackBytes = 128 << 10

    private let pid: pid_t
    private let pidfd: Int32
    private var thread = pthread_t()
    /// Posted when the watch is in place, or could not be put in place.
    private let begun = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    /// Written by the thread: the failure before `begun`, the end before the thread ends.
    private var failure: SandboxFailure?
    private var end = clinux_end()

    /// Begins; returns when all threads of the process are watched. `pidfd` must stay open until `join`.
    init(pid: pid_t, pidfd: Int32) throws(SandboxFailure) {
        self.pid = pid
        self.pidfd = pidfd
        sem_init(begun, 0, 0)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackBytes)
        let status = pthread_create(
            &thread, &attributes,
            { watch in
                Unmanaged<CellWatch>.fromOpaque(watch!).takeUnretainedValue().run()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        guard status == 0 else {
            sem_destroy(begun)
            begun.deallocate()
            throw SandboxFailure(stage: "start a cell's watch", errorNumber: status)
        }
        while sem_wait(begun) != 0 {}
        if let failure {
            pthread_join(thread, nil)
            sem_destroy(begun)
            begun.deallocate()
            throw failure
        }
    }

    private func run() {
        var failure = clinux_failure()
        guard clinux_watch_begin(pid, &failure) == 0 else {
            self.failure = SandboxFailure(failure)
            sem_post(begun)
            return
        }
        sem_post(begun)
        clinux_watch(pid, pidfd, &end)
    }

    /// Waits for the watch's end, which comes with the process's. Once.
    /// - Returns: the call that a filter has ended it for, and the fault that the watch has ended it for.
    func join() -> (denied: DeniedCall?, signal: Int32) {
        pthread_join(thread, nil)
        sem_destroy(begun)
        begun.deallocate()
        guard end.is_denied else { return (nil, end.signal) }
        let arguments = withUnsafeBytes(of: end.arguments) { Array($0.bindMemory(to: UInt64.self)) }
        let name = withUnsafeBytes(of: end.thread_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return (
            DeniedCall(
                architecture: end.architecture, number: end.call, arguments: arguments, thread: end.thread, threadName: name),
            end.signal
        )
    }
}
