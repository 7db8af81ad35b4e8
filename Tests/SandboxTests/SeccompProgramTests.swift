import Testing

@testable import Sandbox

@Suite struct SeccompProgramTests {
    private func read(_ text: String) throws -> SeccompProgram { try SeccompProgram(name: "p", text: text) }

    @Test func everyPartOfARuleIsRead() throws {
        let program = try read(
            """
            # a comment

              # one that is indented
            default kill
            allow read -- it reads
            errno ENOENT openat -- nothing is   there
              kill clone when arg0 &0x10000== 0x0 and arg5 != 7 and arg2 == 18446744073709551615 -- threads -- only
            """)
        #expect(program.name == "p")
        #expect(program.defaultAction == .kill)
        #expect(
            program.rules == [
                SeccompRule(action: .allow, call: "read", conditions: [], reason: "it reads"),
                SeccompRule(action: .error(2), call: "openat", conditions: [], reason: "nothing is there"),
                SeccompRule(
                    action: .kill, call: "clone",
                    conditions: [
                        SeccompCondition(argument: 0, comparison: .masked(0x10000), value: 0),
                        SeccompCondition(argument: 5, comparison: .notEqual, value: 7),
                        SeccompCondition(argument: 2, comparison: .equal, value: .max),
                    ], reason: "threads -- only"),
            ])
    }

    @Test(arguments: ["ENOSYS": 38, "EPERM": 1, "EACCES": 13, "ENOENT": 2] as [String: Int32])
    func everyErrnoHasItsNumber(name: String, number: Int32) throws {
        #expect(try read("default kill\nerrno \(name) read -- x").rules.map(\.action) == [.error(number)])
    }

    @Test(arguments: [
        ("default", "1: 'default allow' or 'default kill' is expected, once"),
        ("default errno", "1: 'default allow' or 'default kill' is expected, once"),
        ("default kill now", "1: 'default allow' or 'default kill' is expected, once"),
        ("default kill\n\ndefault kill", "3: 'default allow' or 'default kill' is expected, once"),
        ("default kill\npermit read -- x", "2: unknown action 'permit'"),
        ("default kill\nerrno EIO read -- x", "2: errno needs one of EACCES, ENOENT, ENOSYS, EPERM"),
        ("default kill\nerrno", "2: errno needs one of EACCES, ENOENT, ENOSYS, EPERM"),
        ("default kill\n# c\nallow", "3: a call's name is missing"),
        ("default kill\nallow -- x", "2: a call's name is missing"),
        ("default kill\nallow read", "2: a rule needs a reason after '--'"),
        ("default kill\nallow read --", "2: a rule needs a reason after '--'"),
        ("default kill\nallow read if arg0 == 1 -- x", "2: 'when' or '--' is expected, not 'if'"),
        ("default kill\nallow read when -- x", "2: 'when' without a condition"),
        ("default kill\nallow read when arg6 == 1 -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when fd == 1 -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg == 1 -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg0 == -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg0 == one -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg0 == 0xg -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg0 == 18446744073709551616 -- x", "2: a condition is 'argN OP VALUE', N from 0 to 5"),
        ("default kill\nallow read when arg0 < 1 -- x", "2: unknown operator '<'"),
        ("default kill\nallow read when arg0 &x== 1 -- x", "2: unknown operator '&x=='"),
    ])
    func whatIsWrongIsToldWithItsLine(text: String, message: String) {
        let error = #expect(throws: SeccompError.self) { try read(text) }
        #expect(error?.description == "p.seccomp:\(message)")
    }

    @Test func aProgramWithoutADefaultIsRefused() {
        let error = #expect(throws: SeccompError.self) { try read("allow read -- x") }
        #expect(error?.description == "p.seccomp: no default action")
    }

    @Test func aCallThatLibseccompDoesNotKnowIsRefused() throws {
        let program = try read("default kill\nallow no_such_call -- x")
        let error = #expect(throws: SeccompError.self) { try program.compile() }
        #expect(error?.description == "p.seccomp: unknown call 'no_such_call'")
    }

    @Test func anUnknownProgramIsRefused() {
        let error = #expect(throws: SeccompError.self) { try SeccompProgram.embedded("none") }
        #expect(error?.description == "none.seccomp: no such program")
    }
}
