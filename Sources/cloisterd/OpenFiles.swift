import Glibc

/// The process's limit of open files, of which each client connection takes one.
enum OpenFiles {
    /// What the daemon itself, its cells and the admin API may need.
    private static let reserved = 1_024

    /// Raises the limit as far as the system allows.
    /// - Returns: how many connections fit, at most `connections`.
    static func makeRoom(connections: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return connections }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        let files = Int(clamping: limit.rlim_cur)
        return min(connections, max(files - reserved, files / 2))
    }
}
