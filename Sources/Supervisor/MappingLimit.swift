/// How many isolates a process can have by the kernel's limit of its mappings (`vm.max_map_count`): without one more, V8 cannot go on.
enum MappingLimit {
    /// An isolate has 16 when it begins (docs/decisions/0026-isolates-share-pages.md), and two or three a chunk of compiled code.
    static let mappingsPerIsolate = 20
    /// Libraries, threads, and the stacks of suspended turns with a guard each.
    static let otherMappings = 9_000
    /// The kernel's own, where it does not tell.
    private static let usualLimit = 65_530

    static func isolates(mappings: Int) -> Int { max((mappings - otherMappings) / mappingsPerIsolate, 1) }

    /// On this machine.
    static let isolates = isolates(
        mappings: MachineMemory.number(MachineMemory.text("/proc/sys/vm/max_map_count")).map { Int(clamping: $0) } ?? usualLimit)
}
