import CLinux
import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite struct EmbeddedProgramsTests {
    private static let names = ["early", "steady", "steady-jitless"]

    private func machine(_ name: String) throws -> FilterMachine {
        try #require(FilterMachine(descriptor: try SeccompProgram.embedded(name).compile()))
    }

    @Test func theBinaryCarriesTheFilesOfTheRepositoryAndNoOther() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let folder = root.appendingPathComponent("policies/seccomp")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(Set(files) == Set(Self.names.map { "\($0).seccomp" }))
        #expect(clinux_program_count() == Self.names.count)
        #expect(clinux_program(clinux_program_count()) == nil)
        for name in Self.names {
            let text = try String(contentsOf: folder.appendingPathComponent("\(name).seccomp"), encoding: .utf8)
            #expect(try SeccompProgram.embedded(name) == SeccompProgram(name: name, text: text))
        }
    }

    @Test(arguments: names)
    func everyRuleHasAReasonAndStandsOnce(name: String) throws {
        let rules = try SeccompProgram.embedded(name).rules
        for (index, rule) in rules.enumerated() {
            #expect(rule.reason.count >= 3, "\(rule.call)")
            let isRepeated = rules[..<index].contains { $0.call == rule.call && $0.conditions == rule.conditions }
            #expect(!isRepeated, "\(rule.call) stands twice")
        }
    }

    @Test(arguments: names)
    func noRuleSaysWhatTheDefaultSays(name: String) throws {
        let program = try SeccompProgram.embedded(name)
        #expect(program.rules.allSatisfy { $0.action != program.defaultAction })
    }

    @Test func theDefaultsAreTheRightWayRound() throws {
        #expect(try SeccompProgram.embedded("early").defaultAction == .allow)
        #expect(try SeccompProgram.embedded("steady").defaultAction == .kill)
        #expect(try SeccompProgram.embedded("steady-jitless").defaultAction == .kill)
    }

    @Test(arguments: names)
    func aCompiledProgramFitsTheKernelsLimit(name: String) throws {
        let machine = try machine(name)
        #expect((20...4_096).contains(machine.count), "\(machine.count) instructions")
    }

    @Test(arguments: names)
    func callsOfOtherArchitecturesEndTheProcess(name: String) throws {
        let machine = try machine(name)
        // i386 and 32-bit ARM.
        for architecture in [0x4000_0003, 0x4000_0028] as [UInt32] {
            for call in 0..<500 { #expect(machine.answer(number: call, [3, 3, 3], architecture: architecture) == FilterMachine.kill) }
        }
        #if arch(x86_64)
            for call in 0..<500 { #expect(machine.answer(number: 0x4000_0000 + call, [3, 3, 3]) == FilterMachine.kill) }
        #endif
    }

    @Test(arguments: ["steady", "steady-jitless"])
    func aServingCellUsesItsSocketAndNoOtherDescriptor(name: String) throws {
        let machine = try machine(name)
        for descriptor in 0..<64 as Range<UInt64> {
            let isSocket = descriptor == 3
            #expect(machine.answer("recvfrom", [descriptor]) == (isSocket ? FilterMachine.allow : FilterMachine.kill))
            #expect(machine.answer("sendto", [descriptor]) == (isSocket ? FilterMachine.allow : FilterMachine.kill))
            #expect(machine.answer("write", [descriptor]) == (descriptor == 2 ? FilterMachine.allow : FilterMachine.kill))
        }
        // Nothing out of band (MSG_OOB is 1); MSG_DONTWAIT, and MSG_NOSIGNAL for what is sent.
        for call in ["recvfrom", "sendto"] {
            #expect(machine.answer(call, [3, 0, 0, 0x40]) == FilterMachine.allow)
            #expect(machine.answer(call, [3, 0, 0, 0x41]) == FilterMachine.kill)
        }
        #expect(machine.answer("sendto", [3, 0, 0, 0x4040]) == FilterMachine.allow)
        #expect(machine.answer("exit") == FilterMachine.kill)
        // 3 in the lower half only.
        #expect(machine.answer("sendto", [1 << 32 | 3]) == FilterMachine.kill)
    }

    @Test(arguments: ["steady", "steady-jitless"])
    func aServingCellStartsOpensAndSignalsNothing(name: String) throws {
        let machine = try machine(name)
        #expect(machine.answer("openat") == FilterMachine.error(ENOENT))
        let calls = [
            "execve", "execveat", "clone", "clone3", "socket", "connect", "kill", "tgkill", "ptrace", "mount",
            "unshare", "setns", "bpf", "io_uring_setup", "ioctl", "prctl", "read", "memfd_create",
            "process_vm_readv", "seccomp",
        ]
        for call in calls { #expect(machine.answer(call) == FilterMachine.kill, "\(call)") }
    }

    @Test(arguments: ["steady", "steady-jitless"])
    func memoryIsNeverMappedExecutableOrShared(name: String) throws {
        let machine = try machine(name)
        let call = "mmap"
        #expect(machine.answer(call, [0, 4_096, 3, 0x22]) == FilterMachine.allow)
        for access in [4, 5, 6, 7] as [UInt64] { #expect(machine.answer(call, [0, 4_096, access, 0x22]) == FilterMachine.kill) }
        #expect(machine.answer(call, [0, 4_096, 3, 0x21]) == FilterMachine.kill)
    }

    @Test func onlyACellWithAJITMakesMemoryExecutable() throws {
        let (jit, jitless) = (try machine("steady"), try machine("steady-jitless"))
        for access in 0..<8 as Range<UInt64> {
            #expect(jit.answer("mprotect", [0, 4_096, access]) == FilterMachine.allow)
            let wanted = access & 4 == 0 ? FilterMachine.allow : FilterMachine.kill
            #expect(jitless.answer("mprotect", [0, 4_096, access]) == wanted)
        }
    }

    @Test func aStartingCellMakesThreadsButNoProcesses() throws {
        let machine = try machine("early")
        #expect(machine.answer("clone", [0x3d_0f00]) == FilterMachine.allow)
        #expect(machine.answer("clone", [17]) == FilterMachine.kill)
        #expect(machine.answer("clone3") == FilterMachine.error(ENOSYS))
        for call in ["execve", "socket", "mount", "ptrace", "bpf"] {
            #expect(machine.answer(call) == FilterMachine.kill, "\(call)")
        }
        #expect(machine.answer("seccomp") == FilterMachine.allow)
    }
}
