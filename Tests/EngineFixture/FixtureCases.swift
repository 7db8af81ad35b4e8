import Engine
import Glibc

/// By name. What each says is what its test looks at.
let fixtureCases: [String: @Sendable () -> Void] = [
    "isolates": isolates, "reading": reading, "throwing": throwing, "lazy": lazySources, "eval": codeFromStrings, "recursion": recursion,
    "accounts": accounts, "buffers": bufferQuota, "wasm-memory": wasmMemories, "near-heap-limit": nearHeapLimit, "texts": sharedTexts,
    "shared-pages": sharedPages, "freed-pages": freedPages, "nursery": nursery,
    "clones": clones, "long-clone-error": longCloneError, "wasm-bytes": wasmBytes, "intl": intlObjects, "same-wasm": sameWasm,
    "long-specifier": longSpecifier,
    "terminate": termination, "terminate-microtasks": terminationInMicrotasks, "preempt": preemption, "late-preempt": latePreemption,
    "preempt-regexp": preemptionOfRegularExpressions, "optimising": optimising,
    "clock": frozenClock, "requests": requests, "event-over-quota": eventOverQuota,
    "modules": modules, "module-errors": moduleErrors, "imports": dynamicImports, "start-errors": startErrors,
    "code": compiledCode, "read-only": readOnlySections,
]

extension IsolateMemory {
    /// Whole megabytes, so that small changes of V8 do not matter.
    var text: String { "pages \(pageBytes > 0) buffers \(arrayBufferBytes >> 20) limit \(limitBytes >> 20) over \(isOverLimit)" }
}

extension TurnOutcome {
    var text: String {
        switch self {
        case .completed: "completed"
        case .terminated: "terminated"
        case .threw(let message): "threw \(message)"
        }
    }
}

// MARK: Isolates and operations

@Sendable private func isolates() {
    sayLine("before \(V8.processMemory.isolateCount)")
    do {
        let first = FixtureTenant("globalThis.mine = 1; Object.prototype.polluted = 1; export const cases = [() => mine]")
        let second = FixtureTenant("export const cases = [() => typeof mine + ' ' + ({}).polluted]")
        first.start()
        second.start()
        first.call()
        second.call()
        sayLine("during \(V8.processMemory.isolateCount), pages \(V8.processMemory.pageBytes > first.isolate.memory.pageBytes)")
    }
    sayLine("after \(V8.processMemory.isolateCount)")
}

@Sendable private func reading() {
    let tenant = FixtureTenant(
        """
        export const cases = [
          ({ ops }) => ops.kinds(undefined, null, true, 1.5, 'x', new Uint8Array(1), new ArrayBuffer(1), new DataView(new ArrayBuffer(1)), {}, () => {},
            Symbol(), 1n),
          ({ ops }) => [1.5, -3, 2 ** 53, NaN, true, 'a\\u00e9', 'a\\u{1f600}', '\\ud800', new Uint16Array(3).subarray(1), {}, undefined]
            .map((value) => ops.read(value)).join(', '),
          ({ ops }) => ['abcdef', 'ab\\u{1f600}c', 'abc\\u{1f600}', '\\ud800'].map((value) => ops.echo(value)).join(', '),
          ({ ops }) => [ops.make(3).join(), ops.make(0).length, Object.prototype.toString.call(ops.make(1))].join(' '),
          ({ ops }) => { let touched = false; const trap = { get length() { touched = true; }, valueOf() { touched = true; return 1; }, toString() { touched = true; return ''; } };
            ops.read(trap); ops.kinds(new Proxy({}, { get() { touched = true; }, getPrototypeOf() { touched = true; return null; } })); return touched; },
        ];
        """)
    tenant.start()
    for index in 0..<5 { tenant.call(Double(index)) }
}

@Sendable private func throwing() {
    let tenant = FixtureTenant(
        """
        const name = (body) => { try { body(); } catch (error) { return error.constructor.name + ' ' + error.message; } };
        export const cases = [({ ops }) => [0, 1, 2].map((kind) => name(() => ops.fail(kind))).join(', '),
          ({ ops }) => name(() => new ops.fail(0)),
          ({ ops }) => { ops.fail(1); }];
        """)
    tenant.start()
    tenant.call(0)
    tenant.call(1)
    sayLine(tenant.call(2).text)
}

@Sendable private func lazySources() {
    let tenant = FixtureTenant(
        "export const cases = [({ load }) => { const a = load('lazy'), b = load('lazy'); return a === b && a.loads === 1; }, ({ load }) => load('none')]"
    )
    tenant.start()
    tenant.call(0)
    sayLine(tenant.call(1).text)
}

@Sendable private func codeFromStrings() {
    let main =
        "export const cases = [() => { try { return eval('1') + new Function('return 1')() + (async () => {}).constructor('').length; } catch (error) { return error.name; } }]"
    for allowed in [false, true] {
        let tenant = FixtureTenant(main, allowsEval: allowed)
        tenant.start()
        tenant.call()
    }
}

@Sendable private func recursion() {
    let tenant = FixtureTenant(
        """
        const deep = (body) => { try { return deep(body); } catch (error) { body(); return error.name + ' ' + error.message; } };
        export const cases = [({ ops }) => deep(() => { try { ops.kinds(1); JSON.stringify([[[[]]]]); } catch {} }), () => 'goes on'];
        """)
    tenant.start()
    tenant.call(0)
    tenant.call(1)
}

// MARK: Modules

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Sendable private func modules() {
    let bundle = FixtureBundle([
        (
            "main.js",
            bytes(
                """
                import { b } from './a.js';
                import data from './data.json';
                import text from './text.txt';
                import empty from './empty.txt';
                import raw from './raw.bin';
                import module from './empty.wasm';
                import words from './words.js';
                import './side.js';
                export const a = 'a';
                const waited = await new Promise((resolve) => { Promise.resolve().then(() => { resolve('waited'); }); });
                export const cases = [() => [b(), data.list[1], text, empty.length, [...new Uint8Array(raw)], String(module), words, globalThis.side,
                  waited, import.meta.url].join(' ')];
                """)
        ),
        ("a.js", bytes("import { a } from './main.js'; export const b = () => a + 'b';")),
        ("data.json", bytes("{\"list\":[1,2]}")), ("text.txt", bytes("h\u{e9}")), ("empty.txt", []), ("raw.bin", [0, 255]),
        ("empty.wasm", [0, 97, 115, 109, 1, 0, 0, 0]), ("words.js", bytes("export default 'w\u{f6}rter'")),
        ("side.js", bytes("globalThis.side = 'side'")),
    ])
    let tenant = FixtureTenant(bundle)
    sayLine(tenant.start().text)
    tenant.call()
}

/// Files that cannot be imported, each with the statement that tries.
private let badFiles: [(name: String, bytes: [UInt8])] = [
    ("syntax.js", bytes("const a = 1;\nexport const b = ;")), ("throws.js", bytes("const a = 1;\n\n  throw new RangeError('at top');")),
    ("later.js", bytes("await 0;\nthrow new RangeError('later');")), ("uses-syntax.js", bytes("import './syntax.js';")),
    ("no-export.js", bytes("import { nothing } from './fine.js';")), ("fine.js", bytes("export const fine = 1;")),
    ("uses-missing.js", bytes("import './missing.js';")), ("bad.json", bytes("{bad")), ("bad.wasm", bytes("junk")),
    ("uses-json.js", bytes("import './bad.json';")), ("uses-wasm.js", bytes("import './bad.wasm';")),
]

/// The same mistakes as static imports of the main module: nothing starts, and the error says where.
@Sendable private func moduleErrors() {
    for name in ["missing.js"] + badFiles.map(\.name) where name != "fine.js" {
        let tenant = FixtureTenant(FixtureBundle([("main.js", bytes("import './\(name)'; export const cases = [];"))] + badFiles))
        sayLine("\(name): \(tenant.start().text)")
    }
}

/// And as import() in a running tenant: it rejects, a second time too, and the tenant goes on.
@Sendable private func dynamicImports() {
    let names = ["missing.js"] + badFiles.map(\.name)
    let list = names.map { "'./\($0)'" }.joined(separator: ", ")
    let tenant = FixtureTenant(
        FixtureBundle(
            [
                (
                    "main.js",
                    bytes(
                        """
                        const names = [\(list), 'bare', '', '\\ud800'];
                        const attempt = async (name) => {
                          try { return Object.keys(await import(name)).join(); } catch (error) { return error.constructor.name + ' ' + error.message; }
                        };
                        export const cases = names.map((name) => async () => { const first = await attempt(name); return first + (await attempt(name) === first ? '' : ' then something else'); });
                        """)
                )
            ] + badFiles))
    tenant.start()
    for index in 0..<names.count + 3 {
        sayLine(index < names.count ? "import \(names[index])" : "import of something else")
        let outcome = tenant.call(Double(index))
        if outcome != .completed { sayLine(outcome.text) }
    }
}

@Sendable private func startErrors() {
    let mains = [
        "let a = 1;\n  let a = 2;", "export const a = 1;\nnull.x;", "await Promise.reject(new TypeError('rejected'));", "throw undefined;",
        "import './x.js",
    ]
    for main in mains { sayLine(FixtureTenant(main).start().text) }
}

/// Isolates of one bundle, the later ones with what the first has compiled; of another text it is of no use, and harmless.
@Sendable private func compiledCode() {
    let files = [
        ("main.js", "import { late } from './lib.js'; import data from './data.json'; export const cases = [() => late() + data.n]"),
        ("lib.js", "export const late = () => { const inner = () => 40; return inner() + 1; }"), ("data.json", #"{ "n": 1 }"#),
    ].map { (name: $0.0, bytes: Array($0.1.utf8)) }
    let bundle = FixtureBundle(files)
    do {
        let first = FixtureTenant(bundle)
        first.start()
        first.call()
        sayLine("kept \(bundle.keepCode(of: first.isolate).map { $0 > 0 }), taken \(first.isolate.takenCodeCount)")
    }
    for _ in 0..<2 {
        let later = FixtureTenant(bundle)
        later.start()
        later.call()
        sayLine("taken \(later.isolate.takenCodeCount)")
    }
    let others = FixtureBundle(files.map { ($0.name, $0.bytes + Array(" ".utf8)) })
    others.takeCode(from: bundle)
    let other = FixtureTenant(others)
    other.start()
    other.call()
    sayLine("taken of another text \(other.isolate.takenCodeCount)")
}
