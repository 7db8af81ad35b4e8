import Foundation
import Glibc
import IntegrationHarness
import LoadHarness
import Testing

/// Looks at what tenants hold, for tests of that.
protocol MemoryWatcher {}

extension MemoryWatcher {
    /// What `/v1/tenants` says of a tenant's snapshot, once it is known.
    func snapshot(_ tenant: String, of daemon: TestDaemon) throws -> (state: String, reason: String) {
        try eventually("the snapshot of \(tenant)") {
            let report = try daemon.list("/v1/tenants").first { $0["tenant"] as? String == tenant }
            guard let state = report?["snapshot"] as? String, state != "none", state != "building" else { return nil }
            return (state, report?["snapshot_reason"] as? String ?? "")
        }
    }

    func state(_ tenant: String, of daemon: TestDaemon) throws -> [String: Any] {
        try daemon.list("/v1/isolates").first { $0["tenant"] as? String == tenant } ?? [:]
    }

    func evict(_ tenant: String, of daemon: TestDaemon) throws {
        #expect(try daemon.admin("/v1/evict?tenant=\(tenant)", method: "POST").status == 200)
        _ = try eventually("\(tenant) to be evicted") {
            ["warm", "cold"].contains(try state(tenant, of: daemon)["state"] as? String) ? true : nil
        }
    }

    func count(_ metric: String, of daemon: TestDaemon) throws -> Double { try daemon.metric("\(metric)") }
}

extension EndToEndTests {
    /// Snapshots, limits of memory, and memory that comes back.
    @Suite(.serialized) struct MemoryTests: MemoryWatcher {
        /// Every revival is one from a snapshot, for tests of those.
        static let fromSnapshots = "revival: snapshot\n"

        @Test func startsAreMeasuredOfTheKindsTheyAreSaidToBe() async throws {
            let daemon = TestDaemon.binaries.appendingPathComponent("cloisterd").path
            let rows = try await StartComparison(daemon: daemon, peers: [], rounds: 1).run { _ in }
            #expect(rows.map(\.system) == ["cloister, snapshot", "cloister, kept code", "cloister, source"])
            #expect(rows.allSatisfy { $0.small_ms.count == 1 && $0.large_ms.count == 1 })
        }

        @Test func aTenantComesBackFromItsSnapshotAsItWasAfterItsModulesWereEvaluated() throws {
            let source = """
                import { table, later, Holder, count } from './lib.js';
                import text from './note.txt';
                let requests = 0;
                class Private { #secret = 41; reveal() { return this.#secret + 1; } }
                const one = new Private(), seen = new WeakMap([[one, 'weak']]), sequence = (function* () { yield 1; yield 2; })();
                sequence.next();
                const settled = Promise.resolve('settled');
                export default { async fetch(request, env) {
                  requests++;
                  return Response.json([requests, table.get('k7').n, await later, new Holder().of(3), one.reveal(), seen.get(one),
                    sequence.next().value, await settled, /a(b+)/.exec('abbb')[1], text.trim(), env.GREETING, count(),
                    (await import('./lazy.js')).name, import.meta.url, [1, 2, 3].at(-1), Object.hasOwn({ a: 1 }, 'a')]);
                } };
                """
            let tenant = TestTenant(
                "app", source, policy: "vars: { GREETING: hello }",
                files: [
                    "lib.js": """
                    export const table = new Map(Array.from({ length: 500 }, (_, n) => ['k' + n, { n }]));
                    export const later = new Promise((done) => Promise.resolve().then(() => done('later')));
                    export class Holder { static #kept = 10; of(n) { return Holder.#kept * n; } }
                    let counted = 0;
                    export const count = () => ++counted;
                    """, "lazy.js": "export const name = 'lazy';", "note.txt": "a note\n",
                ])
            let daemon = try TestDaemon([tenant], configuration: Self.fromSnapshots)
            defer { daemon.end() }
            let first = try daemon.get("app")
            #expect(first.status == 200, "\(first.text)")
            #expect(try snapshot("app", of: daemon).state == "kept")
            for _ in 0..<3 {
                try evict("app", of: daemon)
                #expect(try state("app", of: daemon)["state"] as? String == "warm")
                #expect(try daemon.get("app").text == first.text)
                #expect(try state("app", of: daemon)["state"] as? String == "hot")
            }
            #expect(try count("cloister_revival_duration_seconds_count", of: daemon) == 3)
            #expect(try count("cloister_cold_start_duration_seconds_count", of: daemon) == 1)
        }

        /// Without a snapshot a tenant comes back from its source, which is not compiled again.
        @Test func whatWasCompiledOfATenantWithoutASnapshotIsKept() throws {
            let source = """
                const at = Date.now(), twice = (n) => n * 2;
                export default { fetch: () => new Response(`${at > 0} ${twice(21)}`) };
                """
            let daemon = try TestDaemon([TestTenant("clock", source)])
            defer { daemon.end() }
            #expect(try daemon.get("clock").text == "true 42")
            #expect(try snapshot("clock", of: daemon).state == "refused")
            #expect(try state("clock", of: daemon)["code_bytes"] as? Int == 0)
            for _ in 0..<3 {
                try evict("clock", of: daemon)
                let cold = try state("clock", of: daemon)
                #expect(cold["state"] as? String == "cold" && cold["code_bytes"] as? Int ?? 0 > 0, "\(cold)")
                #expect(try daemon.get("clock").text == "true 42")
            }
            #expect(try count("cloister_cold_start_duration_seconds_count", of: daemon) == 4)
        }

        @Test func answersThatWaitForTheirClientsCountAsTheTenantsMemory() throws {
            let source = """
                let calls = 0;
                const text = 'x'.repeat(16 << 20);
                export default { fetch(request) {
                  calls += 1;
                  return new Response(request.url.endsWith('large') ? text : `${calls}`);
                } };
                """
            let daemon = try TestDaemon([TestTenant("large", source, policy: "limits: { memory_mb: 64, wall_ms: 600000 }")])
            defer { daemon.end() }
            var clients = try (0..<8).map { _ in try daemon.connect() }
            var answers: [Int: Int] = [:]
            for client in clients {
                client.setReceiveBuffer(8192)
                try client.request("large.localhost", "/large")
                let head = try client.readHead()
                answers[head.status, default: 0] += 1
                if head.status == 503 { #expect(head.headers["cloister-error"] == "memory_limit") }
            }
            #expect(answers[200] ?? 0 >= 1 && answers[503] ?? 0 >= 3 && answers.values.reduce(0, +) == 8, "\(answers)")
            // The isolate goes on, and has the room again when they have left.
            #expect(try daemon.get("large").text == "9")
            clients = []
            _ = try eventually("room for another") { try daemon.get("large", "/large").status == 200 ? true : nil }
        }

        /// A module that takes no time to evaluate comes back from its source, with an isolate made ahead: no less of a revival.
        @Test func aSmallTenantComesBackByWhatIsQuicker() throws {
            let daemon = try TestDaemon([.plain("small")])
            defer { daemon.end() }
            #expect(try daemon.get("small").text == "small")
            #expect(try snapshot("small", of: daemon).state == "kept")
            for _ in 0..<10 {
                try evict("small", of: daemon)
                #expect(try daemon.get("small").text == "small")
            }
            // Where none was ready it came from its snapshot.
            #expect(try count(#"cloister_revivals_total{from="source"}"#, of: daemon) > 0)
            #expect(try count("cloister_revival_duration_seconds_count", of: daemon) == 10)
            #expect(try count("cloister_cold_start_duration_seconds_count", of: daemon) == 1)
        }

        @Test func whatTopLevelCodeSeesOfTheLanguageIsWhatHandlersSee() throws {
            let source = """
                const names = () => {
                  const seen = new Set(), found = [];
                  const walk = (value, path) => {
                    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
                    seen.add(value);
                    for (const key of Reflect.ownKeys(value)) {
                      const name = path + '.' + String(key);
                      if (/^\\.(Atomics|WebAssembly)/.test(name)) continue;
                      found.push(name);
                      const property = Reflect.getOwnPropertyDescriptor(value, key);
                      if ('value' in property) walk(property.value, name);
                    }
                    walk(Object.getPrototypeOf(value), path + '.__proto__');
                  };
                  walk(globalThis, '');
                  return found;
                };
                const top = new Set(names());
                const stack = (() => { try { null.x; } catch (error) { return typeof error.stack; } })();
                export default { fetch() {
                  const now = names();
                  return Response.json({ size: now.length > 1000, added: now.filter((name) => !top.has(name)),
                    gone: [...top].filter((name) => !now.includes(name)), stack });
                } };
                """
            let daemon = try TestDaemon([TestTenant("names", source)], configuration: Self.fromSnapshots)
            defer { daemon.end() }
            let expected = #"{"size":true,"added":[],"gone":[],"stack":"string"}"#
            #expect(try daemon.get("names").text == expected)
            #expect(try snapshot("names", of: daemon).state == "kept")
            try evict("names", of: daemon)
            let revived = try daemon.get("names").text
            // Functions that stand in while V8 builds a snapshot are found under one name, V8's own under several.
            let added = try #require(
                (JSONSerialization.jsonObject(with: Data(revived.utf8)) as? [String: Any])?["added"] as? [String], "\(revived)")
            #expect(added.allSatisfy { $0.hasSuffix(".length") || $0.hasSuffix(".name") }, "\(added)")
            #expect(revived.contains(#""gone":[],"stack":"string""#), "\(revived)")
        }

        @Test func whatCannotBeKeptInASnapshotIsServedFromItsSourceAndTheReasonIsShown() throws {
            func handler(_ value: String) -> String { "export default { fetch() { return new Response(String(\(value))); } };" }
            let cases: [(name: String, source: String, answer: String, reason: String)] = [
                ("clock", "const born = Date.now() > 0; " + handler("born"), "true", "looks at the clock"),
                ("chance", "const drawn = Math.random() < 2; " + handler("drawn"), "true", "uses Math.random"),
                ("frozen", "Object.freeze(Array.prototype); " + handler("Object.isFrozen([].__proto__)"), "true", "freezes or seals"),
                ("changed", "Object.hasOwn = () => 'mine'; " + handler("Object.hasOwn()"), "mine", "changes 'hasOwn'"),
                ("wasm", "const there = typeof WebAssembly; " + handler("there"), "object", "uses WebAssembly"),
                ("intl", "const format = new Intl.NumberFormat('en'); " + handler("format.format(1234)"), "1,234", "an Intl object"),
                (
                    "getter", "Object.defineProperty(globalThis, 'Intl', { get() { for (;;); } }); " + handler("'runs'"), "runs", ""
                ),
            ]
            let daemon = try TestDaemon(cases.map { TestTenant($0.name, $0.source) } + [.plain("neighbour")])
            defer { daemon.end() }
            #expect(try daemon.get("neighbour").text == "neighbour")
            let cells = try daemon.cells()
            for (name, _, answer, reason) in cases {
                #expect(try daemon.get(name).text == answer)
                let found = try snapshot(name, of: daemon)
                #expect(found.state == "refused" || reason.isEmpty, "\(name): \(found)")
                #expect(reason.isEmpty || found.reason.contains(reason), "\(name): \(found.reason)")
                try evict(name, of: daemon)
                #expect(try daemon.get(name).text == answer)
            }
            #expect(try daemon.cells() == cells, "no cell was lost")
        }

        @Test func timersAndRandomnessAtTopLevelAreErrorsOfTheStart() throws {
            let daemon = try TestDaemon([
                TestTenant("timer", "setTimeout(() => {}, 1); export default { fetch() { return new Response(); } };"),
                TestTenant("random", "crypto.randomUUID(); export default { fetch() { return new Response(); } };"),
                TestTenant("fetches", "await fetch('http://a.test/'); export default { fetch() { return new Response(); } };"),
            ])
            defer { daemon.end() }
            for name in ["timer", "random", "fetches"] { #expect(try daemon.get(name).code == "startup_failed", "\(name)") }
            _ = try daemon.waitForLog { $0["message"]?.contains("top level") == true }
        }

        /// The base's pages are mapped from one file, and code's are executable only where there is any.
        @Test func isolatesShareTheBasesPages() throws {
            let tenants = (0..<3).flatMap { [TestTenant.plain("j\($0)"), .plain("i\($0)", policy: "cordon: hostile\njit: false")] }
            let daemon = try TestDaemon(tenants)
            defer { daemon.end() }
            for _ in 0..<2 { for tenant in tenants { #expect(try daemon.get(tenant.name).text == tenant.name) } }
            for pid in try daemon.cells() {
                // To its end: the kernel gives a few kilobytes at a time.
                let maps = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/\(pid)/maps")).readToEnd() ?? Data()
                let mappings = String(decoding: maps, as: UTF8.self).split(separator: "\n")
                    .filter { $0.contains("/memfd:pages") }.map { $0.split(separator: " ")[1] }
                // Three tenants, and those that are made ahead.
                #expect(mappings.count { $0 == "rw-p" } >= 3, "\(mappings)")
                let isJitless = try daemon.list("/v1/cells")
                    .contains { $0["pid"] as? Int == Int(pid) && ($0["cell"] as? String ?? "").contains("jitless") }
                #expect(mappings.count { $0 == "r-xp" } >= (isJitless ? 0 : 3), "\(mappings)")
                #expect(!mappings.contains { $0.contains("s") || isJitless && $0.contains("x") }, "\(mappings)")
            }
        }

        @Test func memoryComesBackWhenAllAreEvicted() throws {
            let count = Int(ProcessInfo.processInfo.environment["CLOISTER_MEMORY_TENANTS"] ?? "") ?? 60
            let rounds = Int(ProcessInfo.processInfo.environment["CLOISTER_MEMORY_ROUNDS"] ?? "") ?? 4
            // The same code for all, and so one snapshot.
            let source = "export default { fetch(request) { return new Response(new URL(request.url).host); } };"
            // Plain LRU brings nobody back ahead, though all come regularly here.
            let daemon = try TestDaemon((0..<count).map { TestTenant("t\($0)", source) }, configuration: "eviction: lru\ndrain_s: 5\n")
            defer { daemon.end() }
            func visitAll() throws {
                let connection = try daemon.connect()
                for index in 0..<count {
                    try connection.request("t\(index).localhost")
                    #expect(try connection.readResponse().text == "t\(index).localhost")
                }
            }
            func evictAll(cold: Bool = false) throws {
                #expect(try daemon.admin(cold ? "/v1/evict?cold=true" : "/v1/evict", method: "POST").status == 200)
                _ = try eventually("all to be evicted") {
                    let left = try daemon.list("/v1/isolates")
                    return cold && !left.isEmpty || left.contains { $0["state"] as? String == "hot" } ? nil : true
                }
                // The cell gives memory back at its next look, once a second.
                Thread.sleep(forTimeInterval: 2.5)
            }
            func cellBytes() throws -> Double {
                try daemon.cells().reduce(0) { sum, pid in
                    // One that has just been replaced has gone.
                    guard let text = try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8) else { return .infinity }
                    let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
                    return sum + (Double(line?.split(separator: " ")[1] ?? "") ?? 0) * 1024
                }
            }
            // One has come and gone: the cell has touched its own code.
            #expect(try daemon.get("t0").status == 200)
            try evictAll(cold: true)
            let empty = try eventually("the cell") { try cellBytes() > 0 ? try cellBytes() : nil }
            // The first round is the start: the library's heap and V8's own tables have grown to what they need, snapshots are there.
            try visitAll()
            _ = try eventually(seconds: 120, "no snapshot to be under way") {
                try daemon.list("/v1/tenants").contains { $0["snapshot"] as? String == "building" } ? nil : true
            }
            try evictAll()
            let before = try cellBytes()
            print("the cell: \(Int(empty) >> 10) KiB before \(count) tenants came, \(Int(before) >> 10) when they were evicted first")
            for round in 1...rounds {
                try visitAll()
                let full = try cellBytes()
                try evictAll()
                #expect(full > before + Double(count) * 300_000, "round \(round): all were there")
                // What is to be disposed of and what is made ahead takes its time on a busy machine; what stays never goes.
                _ = try eventually("round \(round): memory to be near \(Int(before)) bytes again, as before") {
                    try cellBytes() < before * 1.05 + 2_000_000 ? true : nil
                }
                print("round \(round): \(Int(full) >> 10) KiB with all, \(Int(try cellBytes()) >> 10) after")
                // Without bundles and snapshots as well. What is in use of the C library's heap lies among what is free, and keeps some pages of it,
                // 12 KiB a tenant: a cell that all have left half a minute ago is replaced.
                guard round == rounds || rounds > 4 else { continue }
                try evictAll(cold: true)
                _ = try eventually(seconds: 120, "round \(round): memory to be near \(Int(empty)) bytes, as before anybody came") {
                    let bytes = try cellBytes()
                    return bytes > 0 && bytes < empty * 1.05 ? true : nil
                }
                print("round \(round): \(Int(try cellBytes()) >> 10) KiB when all are cold, \(Int(empty) >> 10) before anybody came")
            }
        }

        /// Beside a tenant that holds nothing each kind shows what another holds, and only that one does.
        @Test(arguments: [
            ("heap_bytes", "Array(1e6).fill({})", 7 << 20),
            ("heap_bytes", "new WebAssembly.Memory({ initial: 160 })", 10 << 20),
            ("array_buffer_bytes", "new Uint8Array(10e6).fill(1)", 10_000_000),
            ("native_bytes", "Array.from({ length: 200 }, () => new Intl.DateTimeFormat('en', { dateStyle: 'full' }))", 4 << 20),
        ])
        func bytesAreToldByKind(kind: String, expression: String, least: Int) throws {
            let daemon = try TestDaemon([
                TestTenant(
                    "holder", "let kept; export default { fetch() { kept ??= \(expression); return new Response('kept'); } };",
                    policy: "snapshot: off\nlimits: { memory_mb: 512, cpu_ms: 30000, wall_ms: 60000 }"),
                .plain("other"),
            ])
            defer { daemon.end() }
            #expect(try daemon.get("holder").text == "kept")
            #expect(try daemon.get("other").status == 200)
            let (holder, other) = (try state("holder", of: daemon), try state("other", of: daemon))
            for each in ["heap_bytes", "array_buffer_bytes", "native_bytes"] {
                let more = try #require(holder[each] as? Int) - #require(other[each] as? Int)
                #expect(each == kind ? more >= least : more < least / 2, "\(each): \(holder), \(other)")
            }
        }

        @Test func aDamagedSnapshotIsBuiltAnew() throws {
            let daemon = try TestDaemon([.plain("app")], configuration: Self.fromSnapshots)
            defer { daemon.end() }
            #expect(try daemon.get("app").text == "app")
            #expect(try snapshot("app", of: daemon).state == "kept")
            let folder = daemon.folder.appendingPathComponent("state/tenants")
            let file = folder.appendingPathComponent(try #require(FileManager.default.contentsOfDirectory(atPath: folder.path).first))
            var data = try Data(contentsOf: file)
            data[data.count / 2] ^= 1
            try data.write(to: file)
            // Another cell has to read it.
            #expect(try daemon.admin("/v1/cells/replace", method: "POST").status == 200)
            #expect(try daemon.get("app").text == "app")
            #expect(try count("cloister_cold_start_duration_seconds_count", of: daemon) == 2, "it came from its source")
            _ = try eventually("another to be built") {
                try count(#"cloister_snapshot_builds_total{outcome="built"}"#, of: daemon) == 2 ? true : nil
            }
            #expect(try snapshot("app", of: daemon).state == "kept")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
            try evict("app", of: daemon)
            #expect(try state("app", of: daemon)["state"] as? String == "warm")
            #expect(try daemon.get("app").text == "app")
            #expect(try count("cloister_revival_duration_seconds_count", of: daemon) == 1)
        }

        /// Thousands of revivals of different snapshots in one cell, four isolates at a time, each answer checked. CLOISTER_REVIVALS=100000
        /// for the long run (scripts/soak-revive).
        @Test func manyRevivalsOfDifferentSnapshotsInOneCellAllAnswerRight() throws {
            let count = Int(ProcessInfo.processInfo.environment["CLOISTER_REVIVALS"] ?? "") ?? 1_500
            let kinds = 12
            let tenants = (0..<kinds).map { kind in
                TestTenant(
                    "t\(kind)",
                    """
                    const kind = \(kind), list = Array.from({ length: \(50 + kind * 40) }, (_, i) => ({ i, text: 'item ' + i * kind }));
                    const byText = new Map(list.map((item) => [item.text, item])), pattern = /(\\d+)$/, symbol = Symbol('s\(kind)');
                    class Base { static made = 0; #own; constructor(own) { Base.made++; this.#own = own; } get own() { return this.#own; } }
                    const held = list.map((item) => new Base(item.i)), settled = Promise.resolve(kind);
                    const closures = list.map((item) => () => item.i * \(kind + 1));
                    export default { async fetch() {
                      let sum = 0;
                      for (const item of list) sum += byText.get(item.text).i + Number(pattern.exec(item.text)[1]) + held[item.i].own + closures[item.i]();
                      // More than the young generation holds, and now and then what only a full collection takes.
                      const garbage = []; for (let i = 0; i < 20000; i++) garbage.push({ i, s: 'x' + i });
                      for (let i = 0; i < 4; i++) new Array(1 << 18).fill(i);
                      return Response.json([kind, await settled, Base.made, symbol.description, sum, garbage.length]);
                    } };
                    """, policy: "limits: { cpu_ms: 10000, cpu_quota_ms_per_s: 100000 }")
            }
            let daemon = try TestDaemon(
                tenants, configuration: Self.fromSnapshots + "isolates_per_cell: 4\ncells_per_cordon: 1\ndrain_s: 5\n", workers: 2)
            defer { daemon.end() }
            var expected: [String] = []
            for kind in 0..<kinds {
                expected.append(try daemon.get("t\(kind)").text)
                #expect(try snapshot("t\(kind)", of: daemon).state == "kept")
            }
            let right = expected
            let tally = Tally()
            @Sendable func revivals() throws -> Double { try daemon.metric("cloister_revival_duration_seconds_count") }
            onThreads(2) { thread in
                guard let connection = try? daemon.connect() else { return tally.add("no connection") }
                // Some find their isolate still there: the metric says how many came back.
                for round in 0..<count {
                    // The two take different tenants, so that each finds its own evicted.
                    let kind = (round * 2 + thread) % kinds
                    try? connection.request("t\(kind).localhost")
                    tally.add((try? connection.readResponse().text) == right[kind] ? "right" : "wrong")
                    if round % 100 == 99, (try? revivals()) ?? .infinity >= Double(count) { break }
                }
            }
            #expect(tally["wrong"] == 0 && tally["no connection"] == 0, "\(tally.description)")
            #expect(try revivals() >= Double(count), "\(tally.description)")
            #expect(try self.count("cloister_cells_lost_total", of: daemon) == 0)
        }

        /// It lies on the disk until a cell gets it, and is the same then.
        @Test func codeThatNobodyCallsTakesNoMemoryOfTheDaemon() throws {
            let (count, bytes) = (40, 6_000_000)
            let tenants = (0..<count).map { number in
                TestTenant(
                    "t\(number)", "export { default } from './code.js';",
                    files: [
                        "code.js": "export default { fetch() { return new Response('\(number)'); } };\n//"
                            + String(repeating: "x", count: bytes)
                    ])
            }
            let daemon = try TestDaemon(tenants)
            defer { daemon.end() }
            let status = try String(contentsOfFile: "/proc/\(daemon.pid)/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
            let kibibytes = try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
            #expect(kibibytes < count * bytes / 1024 / 2, "\(line)")
            for number in [0, 7, count - 1] { #expect(try daemon.get("t\(number)").text == "\(number)") }
            let kept = try eventually("the look, once a second") {
                let kept = try daemon.metric("cloister_bundle_bytes{place=\"disk\"}")
                return kept > 0 ? kept : nil
            }
            #expect(kept > Double(count * bytes))
            // What is there after a restart is not written again, and what has changed takes the place of what was.
            let files = try daemon.stateFiles("bundles")
            #expect(files.count == count)
            daemon.signal(SIGTERM)
            try daemon.write(TestTenant("t7", "export default { fetch() { return new Response('new'); } };"))
            try daemon.restart()
            #expect(try daemon.stateFiles("bundles").intersection(files).count == count - 1)
            for (number, text) in [(0, "0"), (7, "new")] { #expect(try daemon.get("t\(number)").text == text) }
        }
    }
}
