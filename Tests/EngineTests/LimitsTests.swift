import Testing

/// What an isolate may hold, and how its execution ends.
@Suite struct LimitsTests {
    private func check(_ name: String, _ expected: [String], _ location: SourceLocation = #_sourceLocation) throws {
        let lines = try EngineFixture.lines(of: name)
        #expect(isAsExpected(lines, expected), "\(lines)", sourceLocation: location)
    }

    @Test func accountsFollowWhatIsHeld() throws {
        try check(
            "accounts",
            [
                "started", "pages true buffers 0 limit 64 over false", "8388608", "pages true buffers 8 limit 64 over false", "dropped",
                "pages true buffers 0 limit 64 over false",
            ])
    }

    /// With as much room for new objects as V8 begins with by itself it is half a MiB more, 2.7 MiB (as accounted, touched or not).
    @Test func whoOnlyMakesGarbageHoldsLittle() throws {
        try check("nursery", ["started", "garbage", "garbage", "garbage", "little true"])
    }

    /// The smallest are never refused, and the isolate lives on.
    @Test func buffersOverTheQuotaAreARangeError() throws {
        try check(
            "buffers", ["started", "RangeError true", "RangeError", "RangeError", "dropped", "16777216", "completed", "within its limit"])
    }

    @Test func wasmMemoriesAreCountedAndRefusedOverTheLimit() throws {
        try check("wasm-memory", ["started", "RangeError true", "counted true, within the limit true", "RangeError"])
    }

    @Test func whatIsClonedIsWrittenWithinTheLimitAndGivenBack() throws {
        try check(
            "clones",
            [
                "started", "DataCloneError: Data cannot be cloned, out of memory.", "refused in time true", "800",
                "DataCloneError: () => {} could not be cloned.", "own", "8388608", "pages true buffers 0 limit 64 over false",
            ])
    }

    @Test func anErrorOfCloningThatNamesTooLongAValueIsOne() throws {
        try check("long-clone-error", ["started", "DataCloneError: a value cannot be cloned"])
    }

    /// V8 cannot be refused their memory: an isolate that keeps too many ends.
    @Test(arguments: ["wasm-bytes", "intl"]) func whatV8HasFromTheCLibraryIsCounted(name: String) throws {
        try check(
            name,
            [
                "started", "four", "counted true", "a hundred that nobody keeps", "completed", "given back true, over false", "terminated",
                "over true, in time true", "started", "1,000",
            ])
    }

    @Test func theNameOfAModuleIsNotCopiedWhereItIsTooLong() throws {
        try check(
            "long-specifier",
            ["started", "later the name of the module to import is too long", "not copied true", "later no module './xxxxxxx"])
    }

    /// V8 would share it: who came first would be charged for all, and who came second could tell from the time that another has it.
    @Test func compiledModulesAreNotSharedBetweenIsolates() throws {
        try check("same-wasm", ["started", "true", "started", "true", "each 4 4", "true", "started", "true", "anew 4"])
    }

    @Test func anEventThatDoesNotFitIsAnExceptionOfItsTurn() throws {
        try check(
            "event-over-quota", ["started", "threw RangeError: no memory for the event within the tenant's limit", "called", "completed"])
    }

    @Test func goingOverTheHeapLimitEndsTheIsolateAndNoOther() throws {
        try check(
            "near-heap-limit",
            ["started", "terminated", "pages true buffers 0 limit 32 over true", "terminated", "started", "the next one", "isolates 1"])
    }

    @Test func sourcesInASCIIAreShared() throws { try check("texts", ["started", "ran", "below the text's size true"]) }

    @Test func isolatesShareThePagesOfTheBase() throws {
        let lines = try EngineFixture.lines(of: "shared-pages")
        #expect(lines.filter { $0 == "shares true" }.count == 3 && lines.first == "taken true", "\(lines)")
        let hash = lines.compactMap(Self.hash).first ?? ""
        for index in 0..<6 {
            let sum = 2999 * 1500 + 3000 * index
            let said = "it is \(index) \(index) \(index) \(sum) \(hash) aaa \"1970-01-01T00:00:00.000Z\""
            #expect(lines.filter { $0 == said }.count == 6, "\(said) in \(lines)")
        }
        #expect(lines.last == "unchanged true, a page or more true")
    }

    @Test func whatIsolatesLeaveIsTakenUpEmptied() throws {
        // The sum of 0, 0.5 … 19999.5.
        let use = ["started", "399990000", "there true"]
        let rest = ["kept true", "emptied true", "taken up true", "started", "next"]
        try check(
            "freed-pages",
            use + rest + use + ["shares true"] + rest + use + rest + use + ["shares true"] + rest
                + ["wanted true", "given back true"] + use)
    }

    /// What the loop computes, the same for all.
    private static func hash(_ line: String) -> Substring? { line.hasPrefix("it is 0") ? line.split(separator: " ")[6] : nil }

    @Test func terminationCannotBeCaughtAndIsForGood() throws {
        try check("terminate", ["started", "terminated", "pages true buffers 0 limit 64 over false", "terminated"])
    }

    @Test func terminationReachesMicrotasks() throws { try check("terminate-microtasks", ["started", "terminated"]) }
}
