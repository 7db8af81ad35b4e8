import ArgumentParser

struct Isolates: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What each tenant holds in its cell: hot, trimmed, warm or cold.")
    @OptionGroup var options: AdminOptions

    func run() throws {
        let answer = try options.client().get("/v1/isolates")
        if options.output == .json { return print(answer.text, terminator: "") }
        func mebibytes(_ bytes: UInt64) -> String { fixed(Double(bytes) / 1_048_576) }
        printTable(
            [
                "TENANT", "CELL", "STATE", "HEAP MIB", "BUFFERS MIB", "NATIVE MIB", "BUNDLE MIB", "CODE MIB", "SNAPSHOT MIB", "IDLE S",
                "REVIVED IN MS",
                "IN FLIGHT",
            ],
            try answer.decode([IsolateEntry].self).map { isolate in
                [
                    isolate.tenant, isolate.cell, isolate.state, mebibytes(isolate.heapBytes), mebibytes(isolate.arrayBufferBytes),
                    mebibytes(isolate.nativeBytes), mebibytes(isolate.bundleBytes), mebibytes(isolate.codeBytes),
                    mebibytes(isolate.snapshotBytes),
                    fixed(isolate.idleSeconds), fixed(isolate.reviveMilliseconds), "\(isolate.inFlight)",
                ]
            })
    }
}

struct Evict: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End a tenant's isolate if it is idle, or all idle ones. The next request brings it back from its snapshot.")
    @OptionGroup var options: AdminOptions
    @Argument(help: "A tenant's name.") var tenant: String?
    @Flag(help: "All tenants.") var all = false
    @Flag(help: "Have cells forget bundle and snapshot, too; the next request has them read again.") var cold = false

    func validate() throws {
        guard (tenant == nil) == all else { throw ValidationError("name a tenant, or say --all") }
        if let tenant, !isTenantName(tenant) { throw ValidationError("a tenant's name has the letters a to z, digits and -") }
    }

    func run() throws {
        let query = ([tenant.map { "tenant=\($0)" }, cold ? "cold=true" : nil] as [String?]).compactMap { $0 }.joined(separator: "&")
        let answer = try options.client().post("/v1/evict" + (query.isEmpty ? "" : "?\(query)"))
        print(options.output == .json ? answer.text : "evicted \(tenant ?? "all idle isolates")\n", terminator: "")
    }
}

struct Budget: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The memory that all processes may take together, or a new figure for it, which holds until the daemon ends or reloads.")
    @OptionGroup var options: AdminOptions
    @Argument(help: "MiB.") var megabytes: Int?

    func validate() throws {
        guard megabytes.map({ (64...(1 << 24)).contains($0) }) ?? true else {
            throw ValidationError("the budget must be 64 to \(1 << 24) MiB")
        }
    }

    func run() throws {
        let client = try options.client()
        let answer = try megabytes.map { try client.post("/v1/budget?memory_mb=\($0)") } ?? client.get("/v1/budget")
        if options.output == .json { return print(answer.text, terminator: "") }
        let state = try answer.decode(MemoryState.self)
        func mebibytes(_ bytes: UInt64) -> String { fixed(Double(bytes) / 1_048_576) }
        printTable(
            ["BUDGET MIB", "USED MIB", "MACHINE MIB", "AVAILABLE MIB", "PRESSURE", "SNAPSHOT STORE MIB"],
            [
                [
                    mebibytes(state.budgetBytes), mebibytes(state.usedBytes), mebibytes(state.machineBytes),
                    mebibytes(state.availableBytes),
                    fixed(state.pressure), mebibytes(state.snapshotStoreBytes),
                ]
            ])
    }
}

/// Whether the daemon could have a tenant of this name.
func isTenantName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D }
}
