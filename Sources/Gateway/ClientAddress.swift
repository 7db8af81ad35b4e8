import Glibc
import NIOCore

/// Who is counted as one client: an IPv4 address, or the 64 bits of an IPv6 network, of which one customer has all.
struct ClientAddress: Hashable {
    private let family: UInt8
    private let bits: UInt64

    /// nil for anything but an internet address.
    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let address):
            family = 4
            bits = UInt64(UInt32(bigEndian: address.address.sin_addr.s_addr))
        case .v6(let address):
            let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
            // An IPv4 client of a listener for both (::ffff:a.b.c.d).
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            family = isMapped ? 4 : 6
            bits = (isMapped ? bytes[12...] : bytes[..<8]).reduce(0) { $0 << 8 | UInt64($1) }
        default: return nil
        }
    }
}

/// What all connections of one client address share.
final class ClientRecord {
    let address: ClientAddress
    var connections = 0
    /// Thousandths of requests that may still come, as of the last tick.
    var allowance: Int
    /// Thousandths that it has after a pause.
    private let fullAllowance: Int

    init(_ address: ClientAddress, requestsPerSecond: Int) {
        self.address = address
        fullAllowance = requestsPerSecond == 0 ? .max : max(requestsPerSecond, 1) * 1_000
        allowance = fullAllowance
    }

    /// Whether one more request may come; takes it off the allowance.
    @inline(__always)
    func takeRequest() -> Bool {
        allowance -= 1_000
        if allowance >= 0 { return true }
        allowance += 1_000
        return false
    }

    /// A second's worth is the most that is saved up.
    func refill(milliseconds: Int64, requestsPerSecond: Int) {
        allowance = min(fullAllowance, allowance + Int(milliseconds) * requestsPerSecond)
    }

    var isFull: Bool { allowance == fullAllowance }
}
