/// Where the admin API listens: on loopback or on a socket file, never on a network. Whoever reaches it may drain the daemon.
public enum AdminAddress: Sendable, Equatable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Reads `HOST:PORT` or `unix:PATH`.
    /// - Throws: `AdminAddressError`, which says what is wrong with `text`.
    public init(parsing text: String) throws(AdminAddressError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            // sun_path holds 108 bytes with its final zero.
            guard (1...107).contains(path.utf8.count) else {
                throw AdminAddressError(text: text, problem: "a path of 1 to 107 bytes must follow unix:")
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw AdminAddressError(text: text, problem: "it is neither HOST:PORT nor unix:PATH")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard Self.isLoopback(host) else {
            throw AdminAddressError(text: text, problem: "only loopback (127.0.0.1, ::1, localhost) or unix:PATH is allowed")
        }
        self = .tcp(host: host, port: Int(port))
    }

    /// As `init(parsing:)` reads it, with IPv6 in brackets.
    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether only this machine can reach it: `localhost`, `::1` or an address of 127.0.0.0/8. Other names are not looked up.
    public static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// An address that the admin API cannot have.
public struct AdminAddressError: Error, CustomStringConvertible {
    /// What should have been an address.
    public var text: String
    /// What is wrong with it; does not repeat `text`.
    public var problem: String
    /// Both, as a command prints them.
    public var description: String { "admin address \"\(text)\": \(problem)" }
}
