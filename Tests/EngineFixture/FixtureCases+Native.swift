import Engine
import Glibc

/// What is cloned is written to a buffer first, which is the tenant's.
@Sendable func clones() {
    let tenant = FixtureTenant(
        """
        const text = 'x'.repeat(1 << 20);
        const said = (f) => { try { return String(f()); } catch (error) { return error.message; } };
        const clone = (internal, value) => internal.structuredClone(value, []);
        export const cases = [
          (internal) => said(() => clone(internal, new Array(400).fill(text)).length),
          (internal) => { let sum = 0; for (let i = 0; i < 100; i++) sum += clone(internal, new Array(8).fill(text)).length; return sum; },
          (internal) => { for (let i = 0; i < 100; i++) said(() => clone(internal, [text, text, () => {}])); return said(() => clone(internal, [() => {}])); },
          (internal) => {
            for (let i = 0; i < 100; i++) said(() => clone(internal, [text, text, { get x() { throw new Error('own'); } }]));
            return said(() => clone(internal, { get x() { throw new Error('own'); } }));
          },
          (internal) => { const moved = new ArrayBuffer(8 << 20); return internal.structuredClone([moved, text], [moved])[0].byteLength + moved.byteLength; },
        ];
        """)
    tenant.start()
    let before = peakBytes()
    tenant.call(0)
    sayLine("refused in time \(peakBytes() - before < 128 << 20)")
    for index in 1..<5 { tenant.call(Double(index)) }
    tenant.isolate.trim()
    sayLine(tenant.isolate.memory.text)
}

/// The message names the value, and is as long as a string can be.
@Sendable func longCloneError() {
    let tenant = FixtureTenant(
        """
        export const cases = [
          (internal) => { try { internal.structuredClone(Symbol('x'.repeat(536870888 - 40)), []); } catch (error) { return error.message; } },
        ];
        """, memoryLimitBytes: 4000 << 20)
    tenant.start()
    tenant.call()
}

/// Modules of 4 MiB, each of other bytes: V8 copies those, and has one of what is the same.
private let wasmModules = """
    const bytes = new Uint8Array(4 << 20);
    bytes.set([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, 0xf3, 0xff, 0xff, 0x01, 1, 0x78]);
    const made = (number) => { new DataView(bytes.buffer).setUint32(100, number); return new WebAssembly.Module(bytes); };
    """

@Sendable func wasmBytes() {
    let main =
        wasmModules + """
            const kept = [];
            export const cases = [
              () => { for (let i = 0; i < 4; i++) kept.push(made(i)); return 'four'; },
              () => { kept.length = 0; for (let i = 0; i < 100; i++) made(i); return 'a hundred that nobody keeps'; },
              () => { for (let i = 0; i < 100; i++) kept.push(made(i)); return 'a hundred'; },
            ];
            """
    sayNative(main)
}

@Sendable func intlObjects() {
    sayNative(
        """
        const kept = [];
        const made = () => new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'long' });
        export const cases = [
          () => { for (let i = 0; i < 200; i++) kept.push(made()); return 'four'; },
          () => { kept.length = 0; for (let i = 0; i < 5000; i++) made(); return 'a hundred that nobody keeps'; },
          () => { for (let i = 0; i < 5000; i++) kept.push(made()); return 'a hundred'; },
        ];
        """)
}

/// A tenant that keeps a few, lets many go, and keeps many.
private func sayNative(_ main: String) {
    do {
        let tenant = FixtureTenant(main)
        tenant.start()
        let before = tenant.isolate.memory.nativeBytes
        tenant.call(0)
        sayLine("counted \(tenant.isolate.memory.nativeBytes - before > 8 << 20)")
        sayLine(tenant.call(1).text)
        tenant.isolate.trim()
        // But for what ICU has read for all.
        sayLine("given back \(tenant.isolate.memory.nativeBytes - before < 2 << 20), over \(tenant.isolate.memory.isOverLimit)")
        sayLine(tenant.call(2).text)
        let memory = tenant.isolate.memory
        sayLine("over \(memory.isOverLimit), in time \(memory.bytes < 96 << 20)")
    }
    let next = FixtureTenant("export const cases = [() => new Intl.NumberFormat('en').format(1000)]")
    next.start()
    next.call()
}

/// Two tenants with the same module; one goes, with its account.
@Sendable func sameWasm() {
    let main = wasmModules + "let kept; export const cases = [() => { kept = made(7); return kept instanceof WebAssembly.Module; }];"
    do {
        let second = FixtureTenant(main)
        do {
            let first = FixtureTenant(main)
            first.start()
            first.call()
            second.start()
            second.call()
            sayLine("each \(first.isolate.memory.nativeBytes >> 20) \(second.isolate.memory.nativeBytes >> 20)")
        }
        second.call()
    }
    let third = FixtureTenant(main)
    third.start()
    third.call()
    sayLine("anew \(third.isolate.memory.nativeBytes >> 20)")
}

@Sendable func longSpecifier() {
    let tenant = FixtureTenant(
        """
        const attempt = async (name) => { try { await import(name); } catch (error) { return error.message; } };
        export const cases = [() => attempt('./' + 'x'.repeat(32 << 20)), () => attempt('./' + 'x'.repeat(60000)).then((said) => said.slice(0, 20))];
        """)
    tenant.start()
    let before = peakBytes()
    tenant.call(0)
    sayLine("not copied \(peakBytes() - before < 16 << 20)")
    tenant.call(1)
}

/// The most that this process had in memory.
private func peakBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss << 10
}
