import Testing

@testable import Sandbox

/// The compiled filters say what the programs' texts say, argument by argument.
@Suite struct SeccompFilterTests {
    private func check(_ name: String, _ body: (SeccompProgram, FilterMachine) throws -> Void) throws {
        let program = try SeccompProgram.embedded(name)
        try body(program, try #require(FilterMachine(descriptor: try program.compile())))
    }

    /// What the text means for a call: the rule that matches, else the default. A killing rule goes before others.
    private func meaning(_ program: SeccompProgram, _ call: String, _ arguments: [UInt64]) -> SeccompAction {
        let matching = program.rules.filter { rule in
            rule.call == call
                && rule.conditions.allSatisfy { condition in
                    let value = arguments[Int(condition.argument)]
                    switch condition.comparison {
                    case .equal: return value == condition.value
                    case .notEqual: return value != condition.value
                    case .masked(let mask): return value & mask == condition.value
                    }
                }
        }.map(\.action)
        return matching.contains(.kill) ? .kill : matching.first ?? program.defaultAction
    }

    /// Arguments for which a rule's conditions hold, and for each condition some for which it alone does not.
    private func samples(_ rule: SeccompRule) -> [[UInt64]] {
        var good = [UInt64](repeating: 0, count: 6)
        for condition in rule.conditions where condition.comparison != .notEqual { good[Int(condition.argument)] = condition.value }
        for condition in rule.conditions where condition.comparison == .notEqual { good[Int(condition.argument)] = ~condition.value }
        var samples = [good]
        for condition in rule.conditions {
            for bit in 0..<64 {
                var other = good
                other[Int(condition.argument)] ^= 1 << UInt64(bit)
                samples.append(other)
            }
        }
        return samples
    }

    @Test(arguments: ["early", "steady", "steady-jitless"]) func everyRuleHoldsForItsArgumentsAndForNoOthers(name: String) throws {
        try check(name) { program, filter in
            for rule in program.rules {
                let number = SeccompProgram.number(of: rule.call)
                guard number >= 0 else { continue }
                #expect(meaning(program, rule.call, samples(rule)[0]) == rule.action, "\(name):\(rule.line)")
                for arguments in samples(rule) {
                    let result = filter.answer(number: Int(number), arguments)
                    let expected = SeccompProgram.code(meaning(program, rule.call, arguments))
                    #expect(result == expected, "\(name):\(rule.line) \(rule.call) \(arguments)")
                }
            }
        }
    }

    @Test(arguments: ["early", "steady", "steady-jitless"]) func everyOtherCallGetsTheDefault(name: String) throws {
        try check(name) { program, filter in
            let named = Set(program.rules.map { SeccompProgram.number(of: $0.call) })
            for number: Int32 in 0..<1024 where !named.contains(number) {
                let result = filter.answer(number: Int(number))
                #expect(result == SeccompProgram.code(program.defaultAction), "\(number)")
            }
        }
    }

    @Test func withoutAJITOnlyMprotectDiffers() throws {
        func rules(_ name: String) throws -> [SeccompRule] {
            try SeccompProgram.embedded(name).rules.filter { $0.call != "mprotect" }.map {
                var rule = $0
                rule.line = 0
                return rule
            }
        }
        #expect(try rules("steady") == rules("steady-jitless"))
    }
}
