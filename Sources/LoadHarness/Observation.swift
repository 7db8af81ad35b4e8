import Foundation

/// What a system under load uses, from the kernel and, of a Cloister daemon, from its admin API.
struct Observation {
    /// The port of the admin API on loopback; nil for a system that has none.
    var adminPort: Int?
    var adminToken: String?
    /// The process whose children are looked at with it; nil: only what the admin API says.
    var pid: Int32?

    /// The process, its cells or its children.
    var processes: [Int32] {
        let cells = adminPort == nil ? [] : cells.compactMap { ($0["pid"] as? Int).map { Int32($0) } }
        guard let pid else { return cells }
        return [pid] + (adminPort == nil ? Self.descendants(of: pid) : cells)
    }

    var cells: [[String: Any]] { list("/v1/cells") }

    func list(_ path: String) -> [[String: Any]] {
        guard let adminPort, let data = AdminQuery.get(path, port: adminPort, token: adminToken) else { return [] }
        return (try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]) ?? []
    }

    func sum(_ field: String) -> UInt64 { cells.reduce(0) { $0 + UInt64($1[field] as? Int ?? 0) } }

    /// CPU seconds by tenant.
    var cpuSecondsByTenant: [String: Double] {
        var seconds: [String: Double] = [:]
        for tenant in list("/v1/tenants") {
            if let name = tenant["tenant"] as? String { seconds[name] = tenant["cpu_seconds"] as? Double ?? 0 }
        }
        return seconds
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

    /// CPU time of all its processes, user and system, in seconds.
    var cpuSeconds: Double {
        processes.reduce(0) { sum, pid in
            let fields =
                (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.split(separator: ")").last?.split(separator: " ") ?? []
            // utime and stime are the 14th and 15th field; the list begins with the 3rd.
            return sum + (fields.count > 12 ? (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0) : 0)
                / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// Memory of the cells or of all processes, in bytes. Proportional: isolates of a process share pages, and each mapping of one is resident.
    var cellPSSBytes: UInt64 { processes.dropFirst(pid == nil ? 0 : 1).reduce(0) { $0 + Self.field("Pss:", of: $1) } }
    var rssBytes: UInt64 { processes.reduce(0) { $0 + Self.field("Pss:", of: $1) } }

    static func field(_ name: String, of pid: Int32) -> UInt64 {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return (line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
    }
}
