import Testing

/// A bundle's modules, and what becomes of those that cannot be.
@Suite struct ModulesTests {
    private func check(_ name: String, _ expected: [String], _ location: SourceLocation = #_sourceLocation) throws {
        let lines = try EngineFixture.lines(of: name)
        #expect(isAsExpected(lines, expected), "\(lines)", sourceLocation: location)
    }

    @Test func modulesOfEveryKindAreImportedInCyclesTooAndAwaited() throws {
        try check(
            "modules",
            [
                "started", "completed",
                "ab 2 h\u{e9} 0 0,255 [object WebAssembly.Module] w\u{f6}rter side waited cloister:///main.js",
            ])
    }

    @Test func whatOneIsolateHasCompiledAnotherTakesUp() throws {
        try check(
            "code",
            [
                "started", "42", "kept [true, true, false], taken 0", "started", "42", "taken 2", "started", "42", "taken 2", "started",
                "42", "taken of another text 0",
            ])
    }

    @Test func whatCannotBeImportedStopsTheStartAndSaysWhere() throws {
        try check(
            "module-errors",
            [
                "missing.js: threw Error: no module './missing.js' for main.js\u{2026}",
                "syntax.js: threw SyntaxError: Unexpected token ';' |     at syntax.js:2:18",
                "failed: RangeError: at top |     at throws.js:3:9", "throws.js: completed",
                "failed: RangeError: later |     at later.js:2:7", "later.js: completed",
                "uses-syntax.js: threw SyntaxError: Unexpected token ';' |     at syntax.js:2:18",
                "no-export.js: threw SyntaxError: The requested module './fine.js' does not provide an export named 'nothing' |     at no-export.js:1:10",
                "uses-missing.js: threw Error: no module './missing.js' for uses-missing.js\u{2026}",
                "bad.json: threw SyntaxError: bad.json is not JSON: \u{2026}",
                "bad.wasm: threw CompileError: bad.wasm is not WebAssembly: \u{2026}",
                "uses-json.js: threw SyntaxError: bad.json is not JSON: \u{2026}",
                "uses-wasm.js: threw CompileError: bad.wasm is not WebAssembly: \u{2026}",
            ])
    }

    /// Each is tried twice: a failure is not forgotten, and the tenant goes on.
    @Test func importRejectsWithTheSameErrors() throws {
        try check(
            "imports",
            [
                "started",
                "import missing.js", "later Error no module './missing.js' for main.js",
                "import syntax.js", "later SyntaxError Unexpected token ';' (syntax.js:2:18)",
                "import throws.js", "later RangeError at top",
                "import later.js", "later RangeError later",
                "import uses-syntax.js", "later SyntaxError Unexpected token ';' (syntax.js:2:18)",
                "import no-export.js",
                "later SyntaxError The requested module './fine.js' does not provide an export named 'nothing' (no-export.js:1:10)",
                "import fine.js", "later fine",
                "import uses-missing.js", "later Error no module './missing.js' for uses-missing.js",
                "import bad.json", "later SyntaxError bad.json is not JSON: \u{2026}",
                "import bad.wasm", "later CompileError bad.wasm is not WebAssembly: \u{2026}",
                "import uses-json.js", "later SyntaxError bad.json is not JSON: \u{2026}",
                "import uses-wasm.js", "later CompileError bad.wasm is not WebAssembly: \u{2026}",
                "import of something else", "later Error no module 'bare' for main.js",
                "import of something else", "later Error no module '' for main.js",
                "import of something else", "later Error no module '\u{FFFD}\u{FFFD}\u{FFFD}' for main.js",
            ])
    }

    @Test func aMainModuleThatDoesNotStartSaysWhere() throws {
        try check(
            "start-errors",
            [
                "threw SyntaxError: Identifier 'a' has already been declared |     at main.js:2:7",
                "failed: TypeError: Cannot read properties of null (reading 'x') |     at main.js:2:6", "completed",
                "failed: TypeError: rejected |     at main.js:1:22", "completed",
                "failed: undefined", "completed",
                "threw SyntaxError: Invalid or unexpected token |     at main.js:1:8",
            ])
    }
}
