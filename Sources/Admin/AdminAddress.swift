import Glibc
import Policy

extension AdminAddress {
    /// Takes the socket file away, if it is one: nobody listens there any more. Any other file stays.
    public func removeSocket() {
        guard case .unix(let path) = self else { return }
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
    }

    /// Whether a Host field names this machine's loopback, with or without port. Any other name in it means that a page in a browser had its
    /// own name resolved to loopback (DNS rebinding).
    static func isLoopbackAuthority(_ authority: String) -> Bool {
        if authority.hasPrefix("[") { return authority == "[::1]" || authority.hasPrefix("[::1]:") }
        let host = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)[0]
        return isLoopback(host.lowercased())
    }
}
