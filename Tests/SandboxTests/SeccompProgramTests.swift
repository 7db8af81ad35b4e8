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
              errno EPERM clone when arg0 &0x10000== 0x0 and arg5 != 7 and arg2 == 18446744073709551615 -- threads -- only
            """)
        #expect(program.name == "p")
        #expect(program.defaultAction == .kill)
        #expect(
            program.rules == [
                SeccompRule(action: .allow, call: "read", conditions: [], reason: "it reads", line: 5),
                SeccompRule(action: .error(2), call: "openat", conditions: [], reason: "nothing is there", line: 6),
                SeccompRule(
                    action: .error(1), call: "clone",
                    conditions: [
                        SeccompCondition(argument: 0, comparison: .masked(0x10000), value: 0),
                        SeccompCondition(argument: 5, comparison: .notEqual, value: 7),
                        SeccompCondition(argument: 2, comparison: .equal, value: .max),
                    ], reason: "threads -- only", line: 7),
            ])
    }

    @Test(arguments: ["ENOSYS": 38, "EPERM": 1, "EACCES": 13, "ENOENT": 2] as [String: Int32])
    func everyErrnoHasItsNumber(name: String, number: Int32) throws {
        #expect(try read("default kill\nerrno \(name) read -- x").rules.map(\.action) == [.error(number)])
    }

    @Test(arguments: [
        ("default", "1:8: 'allow' or 'kill' is expected"),
        ("default errno", "1:9: 'allow' or 'kill' is expected"),
        ("default kill now", "1:14: nothing may follow the default action"),
        ("default kill\n\ndefault kill", "3:1: there is a default already"),
        ("default kill\npermit read -- x", "2:1: 'allow', 'kill' or 'errno NAME' is expected"),
        ("default kill\n  errno EIO read -- x", "2:9: errno needs one of EACCES, ENOENT, ENOSYS, EPERM"),
        ("default kill\nerrno", "2:6: errno needs one of EACCES, ENOENT, ENOSYS, EPERM"),
        ("default kill\n# c\nallow", "3:6: a call's name is expected"),
        ("default kill\nallow -- x", "2:7: a call's name is expected"),
        ("default kill\nallow Read -- x", "2:7: a call's name has only a-z, 0-9 and _"),
        ("default kill\nallow read", "2:11: 'when', 'and' or '-- reason' is expected"),
        ("default kill\nallow read --", "2:14: a rule needs a reason after '--'"),
        ("default kill\nallow read if arg0 == 1 -- x", "2:12: 'when', 'and' or '-- reason' is expected"),
        ("default kill\nallow read when -- x", "2:17: 'arg0' to 'arg5' is expected"),
        ("default kill\nallow read when arg6 == 1 -- x", "2:17: 'arg0' to 'arg5' is expected"),
        ("default kill\nallow read when fd == 1 -- x", "2:17: 'arg0' to 'arg5' is expected"),
        ("default kill\nallow read when arg == 1 -- x", "2:17: 'arg0' to 'arg5' is expected"),
        ("default kill\nallow read when arg0 == 1 and -- x", "2:31: 'arg0' to 'arg5' is expected"),
        ("default kill\nallow read when arg0 == -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == one -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == -1 -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == +1 -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == 0x -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == 0x+1 -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == 0xg -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 == 18446744073709551616 -- x", "2:25: a number is expected"),
        ("default kill\nallow read when arg0 < 1 -- x", "2:22: '==', '!=' or '&MASK==' is expected"),
        ("default kill\nallow read when arg0 &x== 1 -- x", "2:22: '==', '!=' or '&MASK==' is expected"),
        ("default kill\nallow read when arg0 &1== 2 -- x", "2:27: the value has bits outside the mask: it can never be equal"),
        ("default kill\nallow read -- x\nallow read -- y", "3:1: the same rule for 'read' stands above"),
        ("default kill\nkill read -- x", "2:1: the rule for 'read' says what the default says"),
    ])
    func whatIsWrongIsToldWithItsPlace(text: String, message: String) {
        let error = #expect(throws: SeccompError.self) { try read(text) }
        #expect(error?.description == "policies/seccomp/p.seccomp:\(message)")
    }

    @Test func aProgramWithoutADefaultIsRefused() {
        let error = #expect(throws: SeccompError.self) { try read("allow read -- x") }
        #expect(error?.description == "policies/seccomp/p.seccomp: no default action")
    }

    @Test func aCallThatLibseccompDoesNotKnowIsRefused() throws {
        let program = try read("default kill\nallow no_such_call -- x")
        let error = #expect(throws: SeccompError.self) { try program.compile() }
        #expect(error?.description == "policies/seccomp/p.seccomp:2:1: unknown call 'no_such_call'")
    }

    @Test func anUnknownProgramIsRefused() {
        let error = #expect(throws: SeccompError.self) { try SeccompProgram.embedded("none") }
        #expect(error?.description == "policies/seccomp/none.seccomp: no such program")
    }
}
