/// Request ids as people see them.
public enum RequestID {
    /// Sixteen hexadecimal digits, as in `x-request-id`, refusals and logs.
    public static func text(_ id: UInt64) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    }
}
