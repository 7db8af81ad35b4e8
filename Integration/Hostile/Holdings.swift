import Foundation
import Glibc

/// What a daemon and the processes below it hold of the machine.
struct Holdings: Sendable {
    /// Memory that processes may keep for reuse, in all.
    static let memorySlackBytes = 192 << 20

    var processes: Int
    var descriptors: Int
    var cgroups: Int
    var mounts: Int
    /// By process.
    var resident: [pid_t: Int]
    private var residentBytes: Int { resident.values.reduce(0, +) }

    init(of pid: pid_t) {
        let below = Self.descendants(of: pid)
        processes = below.count
        descriptors = Self.entries("/proc/\(pid)/fd").count
        cgroups = Self.cgroups(of: pid)
        mounts = Self.mounts(of: pid)
        resident = Dictionary(uniqueKeysWithValues: ([pid] + below).map { ($0, Self.residentBytes(of: $0)) })
    }

    /// What there is more of than before, in words; empty when there is nothing.
    func excess(over before: Holdings) -> String {
        var found: [String] = []
        for (name, field) in [
            ("processes", \Holdings.processes), ("descriptors", \.descriptors), ("cgroups", \.cgroups), ("mounts", \.mounts),
        ] where self[keyPath: field] > before[keyPath: field] {
            found.append("\(self[keyPath: field]) \(name), \(before[keyPath: field]) before")
        }
        if residentBytes > before.residentBytes + Self.memorySlackBytes {
            let largest = resident.max { $0.value < $1.value }.map { "\(Self.name(of: $0.key)) \($0.value >> 20)" } ?? ""
            found.append("\(residentBytes >> 20) MiB resident, \(before.residentBytes >> 20) before; most of it: \(largest)")
        }
        return found.joined(separator: "; ")
    }

    // MARK: What the kernel says

    static func entries(_ folder: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] }

    private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    /// All processes that descend from `pid`.
    static func descendants(of pid: pid_t) -> [pid_t] {
        var children: [pid_t: [pid_t]] = [:]
        for entry in entries("/proc").compactMap({ pid_t($0) }) {
            // "pid (name) state parent …"; a name may hold anything, also parentheses.
            let fields = text("/proc/\(entry)/stat").split(separator: ")").last?.split(separator: " ") ?? []
            if fields.count > 1, let parent = pid_t(fields[1]) { children[parent, default: []].append(entry) }
        }
        var found: [pid_t] = []
        var next = [pid]
        while let parent = next.popLast() {
            found += children[parent] ?? []
            next += children[parent] ?? []
        }
        return found
    }

    private static func name(of pid: pid_t) -> String { text("/proc/\(pid)/comm").trimmingCharacters(in: .newlines) }

    static func residentBytes(of pid: pid_t) -> Int {
        let line = text("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }

    static func mounts(of pid: pid_t) -> Int { text("/proc/\(pid)/mountinfo").split(separator: "\n").count }

    /// Of this process, before the first daemon was started.
    static let mountsAtStart = mounts(of: getpid())

    /// Groups that bear the daemon's process id in their name.
    static func cgroups(of pid: pid_t) -> Int {
        let names = FileManager.default.enumerator(atPath: "/sys/fs/cgroup")?.lazy.compactMap { $0 as? String } ?? [].lazy.compactMap { $0 }
        return names.count { ($0 as NSString).lastPathComponent.hasPrefix("cloister-\(pid)-") }
    }
}
