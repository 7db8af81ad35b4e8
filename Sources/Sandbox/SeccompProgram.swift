import CLinux
import CSeccomp
import Glibc

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
    public enum Comparison: Equatable, Sendable {
        case equal
        case notEqual
        /// The bits of the mask equal the value.
        case masked(UInt64)
    }
    public var argument: UInt32
    public var comparison: Comparison
    public var value: UInt64
}

/// One line of a program.
public struct SeccompRule: Equatable, Sendable {
    public var action: SeccompAction
    public var call: String
    /// All must hold.
    public var conditions: [SeccompCondition]
    /// Why it is there; no rule is without one.
    public var reason: String
}

/// What is wrong in a program's text; prints as `FILE:LINE: message`.
public struct SeccompError: Error, CustomStringConvertible, Equatable {
    public var description: String
    init(_ program: String, line: Int, _ message: String) { description = "\(program).seccomp:\(line): \(message)" }
    init(_ program: String, _ message: String) { description = "\(program).seccomp: \(message)" }
}

/// A seccomp program as data: the text of a file under `policies/seccomp/`, read and checked.
public struct SeccompProgram: Equatable, Sendable {
    public var name: String
    public var defaultAction: SeccompAction
    public var rules: [SeccompRule]

    /// The programs that this binary carries.
    public static func embedded(_ name: String) throws(SeccompError) -> SeccompProgram {
        for index in 0..<clinux_program_count() {
            let program = clinux_program(index)!.pointee
            guard String(cString: program.name) == name else { continue }
            let text = String(decoding: UnsafeRawBufferPointer(start: program.text, count: program.length), as: UTF8.self)
            return try SeccompProgram(name: name, text: text)
        }
        throw SeccompError(name, "no such program")
    }

    /// Reads a program's text.
    public init(name: String, text: String) throws(SeccompError) {
        self.name = name
        rules = []
        var defaultAction: SeccompAction?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let number = index + 1
            let trimmed = line.split(separator: " ", omittingEmptySubsequences: true)
            guard let first = trimmed.first, !first.hasPrefix("#") else { continue }
            if first == "default" {
                guard trimmed.count == 2, defaultAction == nil, let action = Self.plainAction(trimmed[1]) else {
                    throw SeccompError(name, line: number, "'default allow' or 'default kill' is expected, once")
                }
                defaultAction = action
                continue
            }
            rules.append(try Self.rule(trimmed, name, number))
        }
        guard let defaultAction else { throw SeccompError(name, "no default action") }
        self.defaultAction = defaultAction
    }

    private static func plainAction(_ word: Substring) -> SeccompAction? {
        switch word {
        case "allow": .allow
        case "kill": .kill
        default: nil
        }
    }

    private static let errorNumbers: [String: Int32] = ["ENOSYS": ENOSYS, "EPERM": EPERM, "EACCES": EACCES, "ENOENT": ENOENT]

    private static func rule(_ words: [Substring], _ name: String, _ line: Int) throws(SeccompError) -> SeccompRule {
        var words = words[...]
        let action: SeccompAction
        let word = words.removeFirst()
        if word == "errno" {
            guard let number = words.popFirst().flatMap({ errorNumbers[String($0)] }) else {
                throw SeccompError(name, line: line, "errno needs one of \(errorNumbers.keys.sorted().joined(separator: ", "))")
            }
            action = .error(number)
        } else if let plain = plainAction(word) {
            action = plain
        } else {
            throw SeccompError(name, line: line, "unknown action '\(word)'")
        }
        guard let call = words.popFirst(), call != "--" else { throw SeccompError(name, line: line, "a call's name is missing") }
        guard let dash = words.firstIndex(of: "--"), dash + 1 < words.endIndex else {
            throw SeccompError(name, line: line, "a rule needs a reason after '--'")
        }
        let reason = words[(dash + 1)...].joined(separator: " ")
        return SeccompRule(
            action: action, call: String(call), conditions: try conditions(words[..<dash], name, line), reason: reason)
    }

    private static func conditions(_ words: ArraySlice<Substring>, _ name: String, _ line: Int) throws(SeccompError) -> [SeccompCondition] {
        guard let first = words.first else { return [] }
        guard first == "when" else { throw SeccompError(name, line: line, "'when' or '--' is expected, not '\(first)'") }
        var conditions: [SeccompCondition] = []
        for part in words.dropFirst().split(separator: "and") {
            let part = Array(part)
            guard part.count == 3, part[0].hasPrefix("arg"), let argument = UInt32(part[0].dropFirst(3)), argument < 6,
                let value = number(part[2])
            else { throw SeccompError(name, line: line, "a condition is 'argN OP VALUE', N from 0 to 5") }
            let comparison: SeccompCondition.Comparison
            if part[1] == "==" {
                comparison = .equal
            } else if part[1] == "!=" {
                comparison = .notEqual
            } else if part[1].hasPrefix("&"), part[1].hasSuffix("=="), let mask = number(part[1].dropFirst().dropLast(2)) {
                comparison = .masked(mask)
            } else {
                throw SeccompError(name, line: line, "unknown operator '\(part[1])'")
            }
            conditions.append(SeccompCondition(argument: argument, comparison: comparison, value: value))
        }
        guard !conditions.isEmpty else { throw SeccompError(name, line: line, "'when' without a condition") }
        return conditions
    }

    private static func number(_ text: some StringProtocol) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    // MARK: Compiling

    /// The BPF instructions for this machine's architecture, written to a memory file; the caller closes it. Calls that the architecture does not
    /// have are left out; calls of other architectures (and x32's numbers) end the process.
    public func compile() throws(SeccompError) -> Int32 {
        guard let context = seccomp_init(code(defaultAction)) else { throw SeccompError(name, "libseccomp: no memory") }
        defer { seccomp_release(context) }
        guard seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, code(.kill)) == 0 else {
            throw SeccompError(name, "libseccomp: other architectures")
        }
        // A binary tree instead of a list: hot calls pay a handful of comparisons. Older libraries do without.
        _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        for rule in rules {
            let number = seccomp_syscall_resolve_name(rule.call)
            guard number != -1 else { throw SeccompError(name, "unknown call '\(rule.call)'") }
            // Negative: known, but not on this architecture.
            guard number >= 0, rule.action != defaultAction else { continue }
            let comparisons = rule.conditions.map(Self.comparison)
            let status = seccomp_rule_add_array(context, code(rule.action), number, UInt32(comparisons.count), comparisons)
            guard status == 0 else { throw SeccompError(name, "the rule for '\(rule.call)': \(String(cString: strerror(-status)))") }
        }
        let file = clinux_memfd("cloister-seccomp")
        guard file >= 0 else { throw SeccompError(name, "memfd_create: \(String(cString: strerror(errno)))") }
        let status = seccomp_export_bpf(context, file)
        guard status == 0 else {
            close(file)
            throw SeccompError(name, "libseccomp: \(String(cString: strerror(-status)))")
        }
        return file
    }

    private func code(_ action: SeccompAction) -> UInt32 {
        switch action {
        case .allow: 0x7fff_0000
        case .kill: 0x8000_0000
        case .error(let number): 0x0005_0000 | UInt32(number)
        }
    }

    private static func comparison(_ condition: SeccompCondition) -> scmp_arg_cmp {
        switch condition.comparison {
        case .equal: scmp_arg_cmp(arg: condition.argument, op: SCMP_CMP_EQ, datum_a: condition.value, datum_b: 0)
        case .notEqual: scmp_arg_cmp(arg: condition.argument, op: SCMP_CMP_NE, datum_a: condition.value, datum_b: 0)
        case .masked(let mask): scmp_arg_cmp(arg: condition.argument, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: condition.value)
        }
    }
}
