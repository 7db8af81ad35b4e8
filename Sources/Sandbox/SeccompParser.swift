import CLinux
import Glibc

extension SeccompProgram {
    /// The programs that this binary carries: `early`, `steady`, `steady-jitless`.
    public static func embedded(_ name: String) throws(SeccompError) -> SeccompProgram {
        for index in 0..<clinux_program_count() {
            let program = clinux_program(index)!.pointee
            guard String(cString: program.name) == name else { continue }
            let text = String(decoding: UnsafeRawBufferPointer(start: program.text, count: program.length), as: UTF8.self)
            return try SeccompProgram(name: name, text: text)
        }
        throw SeccompError(name, "no such program")
    }

    /// Reads a program's text: `default ACTION` once, then a rule a line, `ACTION CALL [when argN OP VALUE [and ...]] -- reason`. `#` begins
    /// a comment line.
    public init(name: String, text: String) throws(SeccompError) {
        var rules: [SeccompRule] = []
        var defaultAction: SeccompAction?
        var lineNumber = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            lineNumber += 1
            var words = SeccompLine(line, number: lineNumber, program: name)
            guard let first = words.peek, !first.hasPrefix("#") else { continue }
            if first == "default" {
                guard defaultAction == nil else { throw words.error("there is a default already") }
                _ = words.next()
                defaultAction = try words.plainAction()
                guard words.peek == nil else { throw words.error("nothing may follow the default action") }
            } else {
                let rule = try words.rule()
                // The same rule twice is a slip; libseccomp would say nothing.
                let isTwice = rules.contains { $0.call == rule.call && $0.conditions == rule.conditions }
                guard !isTwice else { throw SeccompError(name, line: lineNumber, "the same rule for '\(rule.call)' stands above") }
                rules.append(rule)
            }
        }
        guard let defaultAction else { throw SeccompError(name, "no default action") }
        for rule in rules where rule.action == defaultAction {
            throw SeccompError(name, line: rule.line, "the rule for '\(rule.call)' says what the default says")
        }
        self.init(name: name, defaultAction: defaultAction, rules: rules)
    }
}

/// The words of a line, taken one after another.
private struct SeccompLine {
    private let program: String
    private let number: Int
    private let line: Substring
    private var words: ArraySlice<Substring>
    /// Where the next word stands; the line's end when there is none.
    private var place: Substring.Index { words.first?.startIndex ?? line.endIndex }

    init(_ line: Substring, number: Int, program: String) {
        self.program = program
        self.number = number
        self.line = line
        words = line.split(separator: " ")[...]
    }

    var peek: Substring? { words.first }

    mutating func next() -> Substring? { words.popFirst() }

    /// An error at `word`, or at the next word.
    func error(_ message: String, at word: Substring? = nil) -> SeccompError {
        let column = line.utf8.distance(from: line.startIndex, to: word?.startIndex ?? place) + 1
        return SeccompError(program, line: number, column: column, message)
    }

    mutating func plainAction() throws(SeccompError) -> SeccompAction {
        switch peek {
        case "allow": words.removeFirst(); return .allow
        case "kill": words.removeFirst(); return .kill
        default: throw error("'allow' or 'kill' is expected")
        }
    }

    private static let errorNumbers: [String: Int32] = ["ENOSYS": ENOSYS, "EPERM": EPERM, "EACCES": EACCES, "ENOENT": ENOENT]

    mutating func action() throws(SeccompError) -> SeccompAction {
        guard peek == "errno" else {
            guard peek == "allow" || peek == "kill" else { throw error("'allow', 'kill' or 'errno NAME' is expected") }
            return try plainAction()
        }
        _ = next()
        guard let name = peek, let number = Self.errorNumbers[String(name)] else {
            throw error("errno needs one of \(Self.errorNumbers.keys.sorted().joined(separator: ", "))")
        }
        _ = next()
        return .error(number)
    }

    mutating func rule() throws(SeccompError) -> SeccompRule {
        let action = try action()
        guard let call = peek, call != "--", call != "when" else { throw error("a call's name is expected") }
        guard call.utf8.allSatisfy({ $0 == 0x5F || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }) else {
            throw error("a call's name has only a-z, 0-9 and _")
        }
        _ = next()
        var conditions: [SeccompCondition] = []
        if peek == "when" {
            repeat {
                _ = next()
                conditions.append(try condition())
            } while peek == "and"
        }
        guard peek == "--" else { throw error("'when', 'and' or '-- reason' is expected") }
        _ = next()
        let reason = words.joined(separator: " ")
        guard !reason.isEmpty else { throw error("a rule needs a reason after '--'") }
        return SeccompRule(action: action, call: String(call), conditions: conditions, reason: reason, line: number)
    }

    private mutating func condition() throws(SeccompError) -> SeccompCondition {
        guard let name = peek, name.hasPrefix("arg"), name.utf8.count == 4, let argument = UInt32(name.dropFirst(3)), argument < 6 else {
            throw error("'arg0' to 'arg5' is expected")
        }
        _ = next()
        let comparison: SeccompCondition.Comparison
        if peek == "==" {
            comparison = .equal
        } else if peek == "!=" {
            comparison = .notEqual
        } else if let word = peek, word.hasPrefix("&"), word.hasSuffix("=="), let mask = Self.value(word.dropFirst().dropLast(2)) {
            comparison = .masked(mask)
        } else {
            throw error("'==', '!=' or '&MASK==' is expected")
        }
        _ = next()
        guard let word = peek, let value = Self.value(word) else { throw error("a number is expected") }
        if case .masked(let mask) = comparison, value & ~mask != 0 {
            throw error("the value has bits outside the mask: it can never be equal")
        }
        _ = next()
        return SeccompCondition(argument: argument, comparison: comparison, value: value)
    }

    /// Decimal, or hexadecimal after 0x; no sign.
    private static func value(_ text: Substring) -> UInt64? {
        guard let first = text.utf8.first, (0x30...0x39).contains(first) else { return nil }
        let digits = text.dropFirst(2)
        return text.hasPrefix("0x") ? (digits.hasPrefix("+") ? nil : UInt64(digits, radix: 16)) : UInt64(text)
    }
}
