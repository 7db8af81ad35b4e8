import Foundation
import Synchronization

/// Folders and control groups that go before this process does, also when a signal ends it. Any thread.
final class Leftovers: Sendable {
    /// This process's.
    static let shared = Leftovers()

    /// How often a control group is tried whose last processes the kernel still takes apart, and the pause between, in seconds.
    private static let (attempts, pause) = (50, 0.02)

    private let paths = Mutex<Set<String>>([])

    /// Before it is made, so that no moment is left in which nobody knows it.
    func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    /// Removes it now, where it is there, with all that is in it.
    func remove(_ path: String) {
        if FileManager.default.fileExists(atPath: path + "/cgroup.procs") {
            Self.removeGroup(path)
        } else {
            try? FileManager.default.removeItem(atPath: path)
        }
        paths.withLock { _ = $0.remove(path) }
    }

    func removeAll() { for path in paths.withLock({ $0 }) { remove(path) } }

    /// With those below it; its files are the kernel's, and go with it.
    private static func removeGroup(_ path: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        where FileManager.default.fileExists(atPath: "\(path)/\(name)/cgroup.procs") { removeGroup("\(path)/\(name)") }
        var left = Self.attempts
        while rmdir(path) != 0, errno == EBUSY, left > 0 {
            left -= 1
            Thread.sleep(forTimeInterval: Self.pause)
        }
    }
}
