import CFilterProbe
import Glibc
import Testing

@testable import Sandbox

/// The kernel answers to the compiled programs as their texts say. SeccompFilterTests ask about every bit of every argument; here is a sample of
/// it, for real: each call in a process of its own under the program.
@Suite struct KernelFilterTests {
    /// Bits of an argument that are turned over: at both ends, around the halves, and where flags lie.
    private static let bits: [UInt64] = [0, 1, 2, 3, 5, 7, 8, 12, 16, 31, 32, 33, 47, 63]
    /// Allowed by their rule, but not to be tried: they do not come back.
    private static let oneWay: Set<String> = ["exit", "exit_group", "rt_sigreturn"]

    private struct Probe {
        var call: String
        var line: Int
        var arguments: [UInt64]
    }

    private func probes(_ rule: SeccompRule) -> [Probe] {
        var good = [UInt64](repeating: 0, count: 6)
        for condition in rule.conditions {
            good[Int(condition.argument)] = condition.comparison == .notEqual ? ~condition.value : condition.value
        }
        var probes = [Probe(call: rule.call, line: rule.line, arguments: good)]
        for condition in rule.conditions {
            for bit in Self.bits {
                var other = good
                other[Int(condition.argument)] ^= 1 << bit
                probes.append(Probe(call: rule.call, line: rule.line, arguments: other))
            }
        }
        return probes
    }

    @Test(arguments: ["early", "steady", "steady-jitless"]) func theKernelAnswersAsTheTextSays(name: String) throws {
        let program = try SeccompProgram.embedded(name)
        let filter = try program.compile()
        defer { close(filter) }
        let machine = try #require(FilterMachine(descriptor: dup(filter)))
        var tried = (killed: 0, returned: 0)
        for rule in program.rules where !Self.oneWay.contains(rule.call) {
            let number = SeccompProgram.number(of: rule.call)
            guard number >= 0 else { continue }
            for probe in probes(rule) {
                let expected = machine.answer(number: Int(number), probe.arguments)
                // Under a program that allows by default, what a rule does not match happens.
                if program.defaultAction == .allow, expected == FilterMachine.allow { continue }
                var error: Int32 = 0
                let answer = cfilterprobe_call(filter, Int64(number), probe.arguments, &error)
                if expected == FilterMachine.kill {
                    #expect(answer == CFILTERPROBE_KILLED, "\(name):\(probe.line) \(probe.call) \(probe.arguments)")
                    tried.killed += 1
                } else {
                    #expect(answer == CFILTERPROBE_RETURNED, "\(name):\(probe.line) \(probe.call) \(probe.arguments): \(answer)")
                    if let expected, expected != FilterMachine.allow {
                        #expect(FilterMachine.error(error) == expected, "\(name):\(probe.line) \(probe.call)")
                    }
                    tried.returned += 1
                }
            }
        }
        #expect(tried.killed > 60 && tried.returned > 0, "\(tried)")
    }

    @Test(arguments: ["early", "steady", "steady-jitless"]) func theKernelKillsWhatNoRuleNames(name: String) throws {
        let program = try SeccompProgram.embedded(name)
        let filter = try program.compile()
        defer { close(filter) }
        let named = Set(program.rules.map { SeccompProgram.number(of: $0.call) })
        // The kernel makes 335 and 336 itself where a probe is set (uretprobe, uprobe), and lets them past all filters.
        for number: Int32 in 0..<480 where number != 335 && number != 336 && !named.contains(number) && program.defaultAction == .kill {
            var error: Int32 = 0
            #expect(cfilterprobe_call(filter, Int64(number), [0, 0, 0, 0, 0, 0], &error) == CFILTERPROBE_KILLED, "\(name): call \(number)")
        }
        #if arch(x86_64)
            // i386's numbers, and x32's: also those of calls that are allowed by their own.
            for number in [0, 1, 3, 4, 11, 20, 39, 120, 202, 270, 384, 436] as [Int64] {
                #expect(cfilterprobe_call_of_i386(filter, number) == CFILTERPROBE_KILLED, "\(name): i386's call \(number)")
                var error: Int32 = 0
                let x32 = cfilterprobe_call(filter, 0x4000_0000 + number, [0, 0, 0, 0, 0, 0], &error)
                #expect(x32 == CFILTERPROBE_KILLED, "\(name): x32's call \(number)")
            }
        #endif
    }
}
