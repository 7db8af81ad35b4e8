import Foundation
import IntegrationHarness
import Testing

/// What happens when processes die or stop, and when the machine runs out of something: real daemons with the sandbox on, one test at a time.
///
/// `CLOISTER_FAULTS` says how many faults the random run injects, `CLOISTER_SEED` which run it is; both are printed.
@Suite(.serialized) struct FaultTests {
    /// Nobody is moved or suspended: what is tested here are the faults, not what they bring upon tenants.
    static let patient = "drain_s: 5\ncell_start_s: 10\ncell_silence_s: 2\nquarantine_after: 0\nquarantine_cells: 0\nsuspend_after: 0\n"
    /// Within this time after a fault everybody is served again.
    static let recoverySeconds = 30.0
}

/// Seeded randomness (SplitMix64).
struct FaultRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// What the kernel tells of processes.
enum Processes {
    /// The children of a process, and those of them that have ended and were not collected.
    static func children(of pid: pid_t) -> (all: [pid_t], ended: [pid_t]) {
        var all: [pid_t] = []
        var ended: [pid_t] = []
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            // "pid (name) state parent …"; a name may hold anything, also parentheses.
            guard let child = pid_t(entry), let text = try? String(contentsOfFile: "/proc/\(entry)/stat", encoding: .utf8),
                let fields = text.split(separator: ")").last?.split(separator: " "), fields.count > 1, pid_t(fields[1]) == pid
            else { continue }
            all.append(child)
            if fields[0] == "Z" { ended.append(child) }
        }
        return (all, ended)
    }

    static func descriptors(of pid: pid_t) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []).count
    }

    static func isThere(_ pid: pid_t) -> Bool { kill(pid, 0) == 0 || errno == EPERM }

    /// The soft limits that can be set here, as /proc and `prlimit` name them.
    enum Limit: String {
        case descriptors = "nofile"
        case addresses = "as"
        case data = "data"

        var line: String {
            switch self {
            case .descriptors: "Max open files"
            case .addresses: "Max address space"
            case .data: "Max data size"
            }
        }
    }

    /// Sets a soft limit of a running process, and gives back what it was; nil where the kernel does not let us.
    @discardableResult
    static func limit(_ pid: pid_t, _ limit: Limit, to soft: String) -> String? {
        guard let limits = try? String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8),
            let line = limits.split(separator: "\n").first(where: { $0.hasPrefix(limit.line) }),
            let old = line.dropFirst(limit.line.count).split(separator: " ").first
        else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["prlimit", "--pid", "\(pid)", "--\(limit.rawValue)=\(soft):"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(old) : nil
    }
}
