import CLinux
import Engine
import Glibc

@Sendable func accounts() {
    let tenant = FixtureTenant(
        """
        let kept;
        export const cases = [() => { kept = new ArrayBuffer(8 << 20); return kept.byteLength; }, () => { kept = undefined; return 'dropped'; }];
        """)
    tenant.start()
    sayLine(tenant.isolate.memory.text)
    tenant.call(0)
    sayLine(tenant.isolate.memory.text)
    tenant.call(1)
    tenant.isolate.trim()
    sayLine(tenant.isolate.memory.text)
}

@Sendable func nursery() {
    let tenant = FixtureTenant("export const cases = [() => { for (let i = 0; i < 100000; i++) ({ i }); return 'garbage'; }];")
    tenant.start()
    for _ in 0..<3 { tenant.call(0) }
    sayLine("little \(tenant.isolate.memory.pageBytes < 2_560_000)")
}

@Sendable func bufferQuota() {
    let tenant = FixtureTenant(
        """
        const all = [];
        export const cases = [
          () => { try { for (;;) all.push(new ArrayBuffer(1 << 20)); } catch (error) { return error.name + ' ' + (all.length > 20 && all.length < 64); } },
          () => { all.push(new Uint8Array(64)); try { new ArrayBuffer(1 << 20); } catch (error) { return error.name; } },
          ({ ops }) => { try { ops.make(1 << 20); } catch (error) { return error.name; } },
          () => { all.length = 0; return 'dropped'; },
          () => new ArrayBuffer(16 << 20).byteLength,
        ];
        """)
    tenant.start()
    for index in 0..<4 { tenant.call(Double(index)) }
    tenant.isolate.trim()
    sayLine(tenant.call(4).text)
    sayLine(tenant.isolate.memory.isOverLimit ? "over its limit" : "within its limit")
}

@Sendable func wasmMemories() {
    let tenant = FixtureTenant(
        """
        const memory = new WebAssembly.Memory({ initial: 1 });
        export const cases = [
          () => { try { for (;;) memory.grow(16); } catch (error) { const pages = memory.buffer.byteLength >> 16; return error.name + ' ' + (pages > 256 && pages < 1024); } },
          () => { try { return new WebAssembly.Memory({ initial: 1024 }) && 'made'; } catch (error) { return error.name; } },
        ];
        """)
    tenant.start()
    let before = tenant.isolate.memory.pageBytes
    tenant.call(0)
    sayLine(
        "counted \(tenant.isolate.memory.pageBytes - before > 16 << 20), within the limit \(tenant.isolate.memory.pageBytes <= 64 << 20)")
    tenant.call(1)
}

@Sendable func nearHeapLimit() {
    do {
        let hog = FixtureTenant(
            "const all = []; export const cases = [() => { for (;;) try { all.push({ text: 'x' + all.length }); } catch {} }, () => 'again'];",
            memoryLimitBytes: 32 << 20)
        hog.start()
        sayLine(hog.call(0).text)
        sayLine(hog.isolate.memory.text)
        // Never used again.
        sayLine(hog.call(1).text)
    }
    let other = FixtureTenant("export const cases = [() => 'the next one']")
    other.start()
    other.call()
    sayLine("isolates \(V8.processMemory.isolateCount)")
}

/// Sources in ASCII are shared: isolates do not pay for them.
@Sendable func sharedTexts() {
    let text = "export const cases = [() => 'ran']; /*" + String(repeating: "x", count: 4 << 20) + "*/"
    let bundle = FixtureBundle(text)
    let tenant = FixtureTenant(bundle)
    tenant.start()
    tenant.call()
    sayLine("below the text's size \(tenant.isolate.memory.pageBytes < 4 << 20)")
}

// MARK: Turns

@Sendable func termination() {
    let tenant = FixtureTenant(
        "export const cases = [() => { for (;;) try { for (;;); } catch {} finally { continue; } }, () => 'again'];")
    tenant.start()
    tenant.prepareCall(0)
    while !tenant.resume(while: { $0.isolate.terminate() }) {}
    sayLine(tenant.outcome.text)
    sayLine(tenant.isolate.memory.text)
    sayLine(tenant.call(1).text)
}

@Sendable func terminationInMicrotasks() {
    let tenant = FixtureTenant(
        "export const cases = [() => { (function again() { Promise.resolve().then(again); })(); return new Promise(() => {}); }];")
    tenant.start()
    tenant.prepareCall(0)
    while !tenant.resume(while: { $0.isolate.terminate() }) {}
    sayLine(tenant.outcome.text)
}

/// Suspended in the midst of a loop, the turn goes on, each time on another thread, and its result is that of an undisturbed one.
@Sendable func preemption() {
    let main =
        """
        const work = () => { let sum = 0; const map = new Map();
          for (let i = 0; i < 3000000; i++) { sum = (sum * 31 + i) % 1000003; if (i % 1000 === 0) map.set('k' + i, [i, { sum }]); }
          return sum + map.size; };
        export const cases = [work];
        """
    let alone = FixtureTenant(main)
    alone.start()
    alone.call(0)
    let tenant = FixtureTenant(main)
    tenant.start()
    var suspensions = 0
    tenant.prepareCall(0, request: 7)
    var requests: Set<UInt64> = []
    while !tenant.resumeElsewhere(while: { $0.isolate.preempt() }) {
        suspensions += 1
        requests.insert(tenant.currentRequest)
    }
    sayLine("suspended \(suspensions > 0), \(tenant.outcome.text), for \(requests.sorted())")
}

/// Its first execution is interpreted, the next ones are compiled.
@Sendable func preemptionOfRegularExpressions() {
    let tenant = FixtureTenant("const expression = /(a+)+b/; export const cases = [() => expression.test('a'.repeat(22))];")
    tenant.start()
    for _ in 0..<3 {
        var suspensions = 0
        tenant.prepareCall(0)
        while !tenant.resumeElsewhere(while: { $0.isolate.preempt() }) { suspensions += 1 }
        sayLine("suspended \(suspensions > 1), \(tenant.outcome.text)")
    }
}

@Sendable func latePreemption() {
    let tenant = FixtureTenant("export const cases = [() => { let sum = 0; for (let i = 0; i < 1e6; i++) sum += i; return sum; }];")
    tenant.start()
    tenant.isolate.preempt()
    tenant.prepareCall(0)
    var suspensions = 0
    while !tenant.resume() { suspensions += 1 }
    sayLine("suspended \(suspensions) times")
}

/// Functions are optimised after forty budgets of bytecode, and not after three, or one where they are small: a call of these takes 200 and 1,000 bytes.
@Sendable func optimising() {
    let tenant = FixtureTenant(
        """
        const optimised = 1 << 4;
        const calls = (f) => { let n = 0; while (!(%GetOptimizationStatus(f) & optimised) && n < 20000) f(n++); return n; };
        const said = (n) => n < 250 ? 'early' : n < 20000 ? 'later' : 'never';
        const small = (x) => { let s = x; for (let i = 0; i < 10; i++) s += i; return s; };
        const large = (x) => {
          let s = x;
          for (let i = 0; i < 10; i++) { s = (s * 3 + i) % 1009; s ^= i; s -= 7; s = (s * 5 + i) % 1013; s ^= i; s -= 9; s = (s * 7 + i) % 1019; s ^= x; s += 3; }
          return s;
        };
        // Where the builtin is called, it takes a text as well; where it is inlined for numbers, the function falls back.
        const products = (x) => { let y = 0; for (let i = 0; i < 300; i++) y = (Math.imul(y, x) + 1) | 0; return y; };
        const inlined = (f, other) => { calls(f); f(other); return %GetOptimizationStatus(f) & optimised ? 'called' : 'inlined'; };
        // The compiler follows it from one to the next, as far as its stack goes.
        let bound = (x) => x;
        for (let i = 0; i < 20000; i++) bound = bound.bind(null);
        const follows = (x) => { let sum = 0; for (let i = 0; i < 3; i++) sum += bound(x); return sum; };
        export const cases = [() => said(calls(small)), () => said(calls(large)), () => inlined(products, '7'), () => { calls(follows); return follows(1); }];
        """)
    tenant.start()
    for index in 0..<4 { tenant.call(Double(index)) }
}

@Sendable func frozenClock() {
    let tenant = FixtureTenant(
        "export const cases = [({ ops }) => { const first = Date.now(); for (let i = 0; i < 3e6; i++); return [first, Date.now(), +new Date(), ops.clock()].join(); }];"
    )
    tenant.start()
    tenant.call(0)
    tenant.timeMilliseconds = 2_000_000.5
    tenant.call(0)
}

/// Whose code runs is known across awaits, and of a rejection that nobody handles.
@Sendable func requests() {
    let tenant = FixtureTenant(
        """
        const waiting = [];
        export const cases = [
          async ({ ops }) => { const before = ops.request(); await new Promise((resolve) => { waiting.push(resolve); }); return before + ' ' + ops.request(); },
          () => { for (const resolve of waiting) resolve(); return 'resolved'; },
          () => { Promise.reject(new Error('nobody')); return 'rejected'; },
          () => { const promise = Promise.reject(1); Promise.resolve().then(() => promise.catch(() => {})); return 'handled in time'; },
        ];
        """)
    tenant.start()
    tenant.call(0, request: 11)
    tenant.call(0, request: 12)
    tenant.call(1, request: 13)
    tenant.call(2, request: 14)
    tenant.call(3, request: 15)
}

/// An event whose bytes do not fit in the tenant's limit is an exception of that turn.
@Sendable func eventOverQuota() {
    let tenant = FixtureTenant("export const cases = [() => 'called']", memoryLimitBytes: 8 << 20)
    tenant.start()
    sayLine(tenant.callWithBytes(count: 16 << 20).text)
    sayLine(tenant.call(0).text)
}

/// Isolates map the base's pages in place of their own, before and after they have run, and again and again; each sees its own writes only.
@Sendable func sharedPages() {
    let file = memoryFile()
    sayLine("taken \(V8.takeCommonPages(of: baseSnapshot, memoryFile: file))")
    let before = readAll(file)
    let source = """
        const text = 'it is ' + NUMBER; globalThis.mine = NUMBER;
        Array.prototype.map.changed = NUMBER;
        const shapes = Array.from({ length: 3000 }, (_, i) => ({ ['p' + (i % 500)]: i, common: i + NUMBER }));
        const sum = () => { let total = 0; for (const shape of shapes) total += shape.common; return total; };
        const hot = (n) => { let x = 0; for (let i = 0; i < n; i++) x = (x * 31 + i) | 0; return x; };
        export const cases = [
          () => [text, mine, [].map.changed, sum(), hot(300000), /(a+)b/.exec('aaab')[1], JSON.stringify(new Date(0))].join(' '),
        ];
        """
    let tenants = (0..<6).map { index in
        let tenant = FixtureTenant(source.split(separator: "NUMBER", omittingEmptySubsequences: false).joined(separator: "\(index)"))
        // Some before they run, some only then.
        if index % 2 == 0 { sayShared(tenant) }
        tenant.start()
        return tenant
    }
    for _ in 0..<3 {
        for tenant in tenants {
            tenant.call()
            tenant.isolate.share()
            tenant.call()
            tenant.isolate.trim()
            tenant.isolate.share()
        }
    }
    sayLine("unchanged \(readAll(file) == before), a page or more \(before.count >= 4096)")
}

/// The builtins' code and what V8's caches do not use are a good part of an isolate.
private func sayShared(_ tenant: borrowing FixtureTenant) { sayLine("shares \(tenant.isolate.share() > 300 << 10)") }

/// Isolates that come after others take up the memory that these leave, and find nothing in it.
@Sendable func freedPages() {
    _ = V8.takeCommonPages(of: baseSnapshot, memoryFile: memoryFile())
    let limit = 6 << 20
    V8.keepFreedPages(upTo: limit)
    // Numbers whose bits are found again; they are not in the source as such.
    let source = """
        const number = new Float64Array(new BigUint64Array([0x5ec7e75ec7e75ec7n]).buffer)[0];
        const kept = Array.from({ length: 40000 }, (_, i) => [number, number, number, i / 2]);
        export const cases = [() => kept.reduce((sum, list) => sum + list[3], 0)];
        """
    func use(sharing: Bool) {
        let tenant = FixtureTenant(source)
        tenant.start()
        tenant.call()
        sayLine("there \(occurrences(of: 0x5ec7_e75e_c7e7_5ec7) > 100_000)")
        // As what lies idle is before it goes.
        if sharing {
            tenant.isolate.trim()
            sayShared(tenant)
        }
    }
    for round in 0..<4 {
        use(sharing: round % 2 == 1)
        let kept = V8.processMemory.poolBytes
        sayLine("kept \(kept > 0 && kept <= limit)")
        sayLine("emptied \(occurrences(of: 0x5ec7_e75e_c7e7_5ec7) < 16)")
        let next = FixtureTenant("export const cases = [() => 'next']")
        sayLine("taken up \(V8.processMemory.poolBytes < kept)")
        next.start()
        next.call()
    }
    V8.giveBackUnusedPages()
    sayLine("wanted \(V8.processMemory.poolBytes > 0)")
    V8.giveBackUnusedPages()
    sayLine("given back \(V8.processMemory.poolBytes == 0)")
    use(sharing: false)
}

/// How many words of what this process can write have this value.
private func occurrences(of word: UInt64) -> Int {
    guard let maps = fopen("/proc/self/maps", "r") else { die("no list of mappings") }
    defer { fclose(maps) }
    var regions: [Range<UInt>] = []
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), maps) != nil {
        let fields = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }.split(separator: " ")
        let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        if fields[1].hasPrefix("rw") { regions.append(bounds[0]..<bounds[1]) }
    }
    return regions.reduce(0) { count, region in
        guard let start = UnsafeRawPointer(bitPattern: region.lowerBound) else { return count }
        let words = UnsafeRawBufferPointer(start: start, count: region.count).bindMemory(to: UInt64.self)
        return count + words.reduce(0) { $0 + ($1 == word ? 1 : 0) }
    }
}

private func memoryFile() -> Int32 {
    let file = clinux_memfd("pages")
    guard file >= 0 else { die("no memory file: \(errno)") }
    return file
}

private func readAll(_ file: Int32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4 << 20)
    let count = pread(file, &bytes, bytes.count, 0)
    return Array(bytes.prefix(max(count, 0)))
}

/// The version stands in a blob's header with 64 bytes, where the read-only section lies comes after it (V8's src/snapshot/snapshot.cc).
@Sendable func readOnlySections() {
    let base = [UInt8](baseSnapshot)
    let version = Array(V8.version.utf8)
    guard let at = (0...32).first(where: { base[$0...].starts(with: version) }) else { return sayLine("no version") }
    func number(_ index: Int) -> Int { (0..<4).reduce(0) { $0 | Int(base[at + 64 + 4 * index + $1]) << (8 * $1) } }
    let (start, end) = (number(0), number(1))
    sayLine("section \(start > at && start < end && end < base.count)")
    func fits(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { V8.fits($0, beside: baseSnapshot) } }
    func changed(_ index: Int) -> [UInt8] {
        var bytes = base
        bytes[index] ^= 1
        return bytes
    }
    sayLine("itself \(fits(base))")
    sayLine("changed in it \([start, (start + end) / 2, end - 1].map { fits(changed($0)) })")
    sayLine("changed behind it \([end, base.count - 1].map { fits(changed($0)) })")
    sayLine("elsewhere, longer, of another version \([at + 64, at + 68, at].map { fits(changed($0)) })")
    sayLine("cut off \([0, 1, at + 64, at + 71, start, end - 1].map { fits(Array(base.prefix($0))) })")
}
