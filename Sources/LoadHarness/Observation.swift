import Foundation

/// What a system under load uses, from the kernel and, of a Cloister daemon, from its admin API.
struct Observation {
    /// The port of the admin API on loopback; nil for a system that has none.
    let adminPort: Int?
    let adminToken: String?
    /// The process whose cells or children are looked at with it; nil: only the cells that the admin API names.
    let pid: Int32?

    /// - Parameters:
    ///   - state: the state folder of the daemon, which has the token for its admin API.
    ///   - pid: nil: the daemon is the parent of its cells.
    /// - Throws: when there should be an admin API that does not answer or refuses.
    init(adminPort: Int?, state: String?, pid: Int32?) throws {
        self.adminPort = adminPort
        guard let adminPort else {
            adminToken = nil
            self.pid = pid
            return
        }
        adminToken = try state.map { try AdminQuery.token(state: $0) }
        let cells = try AdminQuery.cells(port: adminPort, token: adminToken)
        self.pid = pid ?? Self.pids(of: cells).lazy.compactMap(Self.daemon).first
    }

    /// Nil without an admin API, or where it did not answer.
    var cells: [[String: Any]]? { list("/v1/cells") }

    /// Of all cells; nil as `cells`.
    var isolates: Int? { cells?.reduce(0) { $0 + ($1["isolates"] as? Int ?? 0) } }

    func list(_ path: String) -> [[String: Any]]? {
        guard let adminPort, let data = AdminQuery.get(path, port: adminPort, token: adminToken) else { return nil }
        return try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]
    }

    private static func pids(of cells: [[String: Any]]) -> [Int32] { cells.compactMap { ($0["pid"] as? Int).map { Int32($0) } } }

    /// CPU seconds by tenant; nil as `cells`.
    var cpuSecondsByTenant: [String: Double]? {
        guard let tenants = list("/v1/tenants") else { return nil }
        var seconds: [String: Double] = [:]
        for tenant in tenants {
            if let name = tenant["tenant"] as? String { seconds[name] = tenant["cpu_seconds"] as? Double ?? 0 }
        }
        return seconds
    }

    // MARK: Processes

    /// The process, and its cells or its children.
    private func processes(_ cells: [[String: Any]]?) -> [Int32] {
        let cells = Self.pids(of: cells ?? [])
        guard let pid else { return cells }
        return [pid] + (adminPort == nil ? Self.descendants(of: pid) : cells)
    }

    /// The parent of a cell, where this machine's `/proc` shows it under that name.
    private static func daemon(of cell: Int32) -> Int32? {
        let status = (try? String(contentsOfFile: "/proc/\(cell)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("PPid:") }
        guard let parent = line?.split(separator: "\t").last.flatMap({ Int32($0) }),
            let name = try? String(contentsOfFile: "/proc/\(parent)/comm", encoding: .utf8), name == "cloisterd\n"
        else { return nil }
        return parent
    }

    private static func descendants(of pid: Int32) -> [Int32] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        let children = tasks.flatMap { task in
            ((try? String(contentsOfFile: "/proc/\(pid)/task/\(task)/children", encoding: .utf8)) ?? "").split(separator: " ").compactMap {
                Int32($0)
            }
        }
        return children + children.flatMap(descendants)
    }

    /// What its processes have used so far.
    var usage: Usage {
        let cells = cells
        var usage = Usage()
        for pid in processes(cells) { usage.cpuSeconds[pid] = Self.cpuSeconds(of: pid) }
        guard let cells else { return usage }
        usage.counters = [:]
        for field in Usage.counterFields {
            var values: [Int32: UInt64] = [:]
            for cell in cells {
                if let pid = cell["pid"] as? Int, let value = cell[field] as? Int { values[Int32(pid)] = UInt64(value) }
            }
            usage.counters?[field] = values
        }
        return usage
    }

    /// CPU time, user and system.
    private static func cpuSeconds(of pid: Int32) -> Double? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        // utime and stime are the 14th and 15th field; what follows the name begins with the 3rd.
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Memory of the cells or of all processes, in bytes. Proportional: isolates of a process share pages, and each mapping of one is resident.
    /// Nil where the kernel tells of none.
    var cellPSSBytes: UInt64? { Self.pss(processes(cells).dropFirst(pid == nil ? 0 : 1)) }
    var rssBytes: UInt64? { Self.pss(processes(cells)[...]) }
    /// The daemon's own.
    var daemonPSSBytes: UInt64? { pid.flatMap(Self.pss) }

    private static func pss(_ processes: ArraySlice<Int32>) -> UInt64? {
        let known = processes.compactMap(pss)
        return known.isEmpty ? nil : known.reduce(0, +)
    }

    private static func pss(of pid: Int32) -> UInt64? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 << 10 }
    }
}

/// What a system had used at some moment, by process: one that is gone takes nothing away from the others.
struct Usage {
    /// Fields of `/v1/cells` that count up.
    static let counterFields = ["preemptions", "handoffs", "handoff_microseconds", "cold_starts"]

    var cpuSeconds: [Int32: Double] = [:]
    /// By field; nil where there is no admin API, or it did not answer.
    var counters: [String: [Int32: UInt64]]?

    /// - Returns: CPU time since an earlier moment; nil when no process is known.
    func cpuSeconds(since earlier: Usage) -> Double? {
        guard !cpuSeconds.isEmpty else { return nil }
        return cpuSeconds.reduce(0) { $0 + $1.value - (earlier.cpuSeconds[$1.key] ?? 0) }
    }

    func count(_ field: String, since earlier: Usage) -> UInt64? {
        guard let now = counters?[field], let before = earlier.counters else { return nil }
        return now.reduce(0) { $0 + $1.value - min(before[field]?[$1.key] ?? 0, $1.value) }
    }
}
