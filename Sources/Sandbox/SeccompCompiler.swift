import CLinux
import CSeccomp
import Glibc

extension SeccompProgram {
    /// The BPF instructions for this machine's architecture, in a sealed memory file; the caller closes it. Calls that the architecture does
    /// not have are left out; calls of other architectures (and x32's numbers) end the process.
    public func compile() throws(SeccompError) -> Int32 {
        guard let context = seccomp_init(Self.code(defaultAction)) else { throw SeccompError(name, "libseccomp: no memory") }
        defer { seccomp_release(context) }
        guard seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, Self.code(.kill)) == 0 else {
            throw SeccompError(name, "libseccomp: other architectures")
        }
        // A binary tree instead of a list: hot calls pay a handful of comparisons. Older libraries do without.
        _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        for rule in rules {
            let number = Self.number(of: rule.call)
            guard number != -1 else { throw SeccompError(name, line: rule.line, "unknown call '\(rule.call)'") }
            // Negative: known, but not on this architecture.
            guard number >= 0 else { continue }
            let comparisons = rule.conditions.map(Self.comparison)
            // Exact: libseccomp may otherwise widen what it cannot express.
            let status = seccomp_rule_add_exact_array(context, Self.code(rule.action), number, UInt32(comparisons.count), comparisons)
            guard status == 0 else {
                throw SeccompError(name, line: rule.line, "the rule for '\(rule.call)': \(String(cString: strerror(-status)))")
            }
        }
        return try export(context)
    }

    /// The call's number here; -1 when there is no such call, less when this architecture does not have it.
    static func number(of call: String) -> Int32 { seccomp_syscall_resolve_name(call) }

    private func export(_ context: scmp_filter_ctx) throws(SeccompError) -> Int32 {
        let file = clinux_memfd("cloister-seccomp")
        guard file >= 0 else { throw SeccompError(name, "memfd_create: \(String(cString: strerror(errno)))") }
        let exported = -seccomp_export_bpf(context, file)
        // Every cell inherits this file: none may change what the next one installs.
        let status = exported == 0 ? clinux_memfd_seal(file) : exported
        guard status == 0 else {
            close(file)
            throw SeccompError(name, "writing its instructions: \(String(cString: strerror(status)))")
        }
        return file
    }

    /// The kernel's values (linux/seccomp.h): an errno in the low 16 bits.
    static func code(_ action: SeccompAction) -> UInt32 {
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
