import CSeccomp
import Glibc

/// Runs a compiled seccomp program as the kernel would: the part of classic BPF that libseccomp emits.
struct FilterMachine {
    static let allow: UInt32 = 0x7fff_0000
    static let kill: UInt32 = 0x8000_0000
    static func error(_ number: Int32) -> UInt32 { 0x0005_0000 | UInt32(number) }

    #if arch(arm64)
        static let architecture: UInt32 = 0xc000_00b7
    #else
        static let architecture: UInt32 = 0xc000_003e
    #endif

    private struct Instruction {
        var code: UInt16
        var jumpTrue: UInt8
        var jumpFalse: UInt8
        var operand: UInt32
    }

    private let instructions: [Instruction]
    var count: Int { instructions.count }

    /// Reads the program out of a descriptor and closes it; nil when it is not a whole number of instructions.
    init?(descriptor: Int32) {
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let size = pread(descriptor, &bytes, bytes.count, 0)
        guard size > 0, size % 8 == 0 else { return nil }
        instructions = bytes[..<size].withUnsafeBytes { buffer in
            stride(from: 0, to: size, by: 8).map { offset in
                Instruction(
                    code: buffer.loadUnaligned(fromByteOffset: offset, as: UInt16.self), jumpTrue: buffer[offset + 2],
                    jumpFalse: buffer[offset + 3], operand: buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
            }
        }
    }

    /// What the program says to a call; nil when it does what this machine does not know.
    func answer(_ call: String, _ arguments: [UInt64] = []) -> UInt32? {
        answer(number: Int(seccomp_syscall_resolve_name(call)), arguments)
    }

    func answer(number call: Int, _ arguments: [UInt64] = [], architecture: UInt32 = Self.architecture) -> UInt32? {
        var data = [UInt32(truncatingIfNeeded: call), architecture, 0, 0]
        for index in 0..<6 {
            let argument = index < arguments.count ? arguments[index] : 0
            data += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
        }
        var accumulator: UInt32 = 0
        var next = 0
        while next < instructions.count {
            let instruction = instructions[next]
            next += 1
            var holds: Bool?
            switch instruction.code {
            case 0x20:
                guard instruction.operand % 4 == 0, instruction.operand < 64 else { return nil }
                accumulator = data[Int(instruction.operand / 4)]
            case 0x54: accumulator &= instruction.operand
            case 0x05: next += Int(instruction.operand)
            case 0x15: holds = accumulator == instruction.operand
            case 0x25: holds = accumulator > instruction.operand
            case 0x35: holds = accumulator >= instruction.operand
            case 0x45: holds = accumulator & instruction.operand != 0
            case 0x06: return instruction.operand
            default: return nil
            }
            if let holds { next += Int(holds ? instruction.jumpTrue : instruction.jumpFalse) }
        }
        return nil
    }
}
