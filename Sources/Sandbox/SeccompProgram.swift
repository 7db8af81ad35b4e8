/// What a rule does with a call.
public enum SeccompAction: Equatable, Sendable {
    case allow
    /// Ends the process with SIGSYS.
    case kill
    /// The call fails with an errno.
    case error(Int32)
}

/// A condition on one argument of a call.
public struct SeccompCondition: Equatable, Sendable {
    /// How an argument is compared.
    public enum Comparison: Equatable, Sendable {
        case equal
        case notEqual
        /// The bits of the mask equal the value.
        case masked(UInt64)
    }
    /// 0 to 5.
    public var argument: UInt32
    /// All of the argument's 64 bits, or those of a mask.
    public var comparison: Comparison
    /// Has no bits outside of a mask.
    public var value: UInt64
}

/// One line of a program.
public struct SeccompRule: Equatable, Sendable {
    /// What becomes of the call: another than the program's default.
    public var action: SeccompAction
    /// The call's name, as libseccomp knows it.
    public var call: String
    /// All must hold.
    public var conditions: [SeccompCondition]
    /// Why it is there; no rule is without one.
    public var reason: String
    /// Where it stands in the program's text, from 1.
    public var line: Int
}

/// What is wrong in a program; prints as `FILE:LINE:COLUMN: message`.
public struct SeccompError: Error, CustomStringConvertible, Equatable {
    /// Whole, as it is printed; without line and column where all of the file is meant.
    public var description: String

    /// - Parameters:
    ///   - line: from 1; 0 when the whole file is meant.
    ///   - column: from 1, in bytes.
    init(_ program: String, line: Int = 0, column: Int = 1, _ message: String) {
        description = "policies/seccomp/\(program).seccomp:" + (line > 0 ? "\(line):\(column): " : " ") + message
    }
}

/// A seccomp program as data: the text of a file under `policies/seccomp/`, read and checked.
public struct SeccompProgram: Equatable, Sendable {
    /// The file's name without its ending.
    public var name: String
    /// For calls that no rule is about.
    public var defaultAction: SeccompAction
    /// In order of the text; no two have the same call and conditions.
    public var rules: [SeccompRule]
}
