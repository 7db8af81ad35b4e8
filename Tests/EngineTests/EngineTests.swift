import Testing

/// Isolates, what operations see of JavaScript, and turns.
@Suite struct EngineTests {
    private func check(_ name: String, _ expected: [String], _ location: SourceLocation = #_sourceLocation) throws {
        let lines = try EngineFixture.lines(of: name)
        #expect(isAsExpected(lines, expected), "\(lines)", sourceLocation: location)
    }

    @Test func aRuntimeSourceThatThrowsIsNamedWithItsPlace() throws {
        #expect(
            try EngineFixture.run(["broken"]) == [
                "the snapshot could not be built: TypeError: a source that throws |     at cloister:broken:2:3"
            ])
    }

    /// V8 has one read-only heap for all isolates of a process: what does not have the same must not get in.
    @Test func aSnapshotWithAnotherReadOnlyHeapDoesNotFit() throws {
        try check(
            "read-only",
            [
                "section true", "itself true", "changed in it [false, false, false]", "changed behind it [true, true]",
                "elsewhere, longer, of another version [false, false, false]", "cut off [false, false, false, false, false, false]",
            ])
    }

    @Test func isolatesShareNothingAndAreCounted() throws {
        try check("isolates", ["before 0", "started", "started", "1", "undefined undefined", "during 2, pages true", "after 0"])
    }

    @Test func operationsReadAnyValueWithoutRunningTheTenantsCode() throws {
        let read = [
            "1.5 false 0 0 true 0 -1", "-3.0 false -3 0 true 0 -1", "9007199254740992.0 false 0 0 true 0 -1", "nan false 0 0 true 0 -1",
            "0.0 true 0 0 true 0 -1", "0.0 false 0 2 true 3 -1", "0.0 false 0 3 false 5 -1", "0.0 false 0 1 false 3 -1",
            "0.0 false 0 0 true 0 4", "0.0 false 0 0 true 0 -1", "0.0 false 0 0 true 0 -1",
        ]
        try check(
            "reading",
            [
                "started", "undefined null bool number string bytes bytes bytes other other other other", read.joined(separator: ", "),
                "5 5 abcde, 2 2 ab, 3 3 abc, 3 1 \u{FFFD}", "7,7,7 0 [object Uint8Array]", "false",
            ])
    }

    @Test func operationsThrowWhatTheySayAndAreNoConstructors() throws {
        try check(
            "throwing",
            [
                "started", "Error thrown by an operation, TypeError thrown by an operation, RangeError thrown by an operation",
                "TypeError ops.fail is not a constructor", "threw TypeError: thrown by an operation |     at main.js:4:22",
            ])
    }

    @Test func aLazySourceRunsOnce() throws {
        try check("lazy", ["started", "true", "threw TypeError: load: no such source\u{2026}"])
    }

    @Test func codeFromStringsNeedsToBeAllowed() throws { try check("eval", ["started", "EvalError", "started", "2"]) }

    @Test func recursionOnAFiberIsARangeErrorAlsoFromWithinOperations() throws {
        try check("recursion", ["started", "RangeError Maximum call stack size exceeded", "goes on"])
    }

    @Test func aTurnThatIsSuspendedGoesOnOnAnyThreadWithTheSameResult() throws {
        let lines = try EngineFixture.lines(of: "preempt")
        try #require(lines.count == 5, "\(lines)")
        #expect(lines[1] == lines[3])
        #expect(lines[4] == "suspended true, completed, for [7]")
    }

    @Test func aRegularExpressionIsSuspendedInterpretedAndCompiled() throws {
        let line = "suspended true, completed"
        try check("preempt-regexp", ["started", "false", line, "false", line, "false", line])
    }

    @Test func aPreemptionThatCameTooLateIsForgotten() throws {
        try check("late-preempt", ["started", "499999500000", "suspended 0 times"])
    }

    @Test func functionsAreOptimisedWhenThatIsWorthItAndBuiltinsInlined() throws {
        try check("optimising", ["started", "later", "later", "inlined", "3"])
    }

    @Test func theClockStandsStillForATurn() throws {
        try check("clock", ["started", "1000000,1000000,1000000,1000000", "2000000,2000000,2000000,2000000.5"])
    }

    @Test func whoseCodeRunsIsKnownAcrossAwaitsAndOfRejections() throws {
        try check(
            "requests",
            [
                "started", "resolved", "later 11 11", "later 12 12", "rejected", "unhandled in request 14: Error: nobody",
                "handled in time",
            ])
    }
}
