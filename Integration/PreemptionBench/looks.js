// Endless code in which V8 looks at interrupts: the time from a request to the switch is bounded by how often. `internal.ops.ready()` says that
// what should not be measured is over; a case without it is measured from its first instruction, in all of its tiers.
const numbers = (count) => Array.from({ length: count }, (_, i) => (i * 7919) % count);
const records = (count) => Array.from({ length: count }, (_, i) => ({ id: i, name: 'name ' + i, tags: ['a', 'b'], nested: { value: i / 3 } }));
const wasm = (bytes) => new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)));
// (func (export "f") (loop br 0))
const endless = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 3, 64, 12, 0, 11, 11,
];
// (memory 1) (func (export "f") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0)))
const filling = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0, 10, 20, 1, 18, 0, 3, 64, 65, 0, 65, 1, 65, 128, 128, 4,
  252, 11, 0, 12, 0, 11, 11,
];
// (func (export "f")), called from JavaScript
const empty = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 4, 1, 2, 0, 11];

/// So that no result is dead code.
let sink;
/// An endless loop of a builtin that does not look, but is short.
const repeat = (prepare, body) => (internal) => {
  const data = prepare();
  internal.ops.ready();
  for (;;) sink = body(data);
};

export const cases = {
  // Loops.
  loop: () => { for (;;); },
  arithmetic: () => { let x = 1; for (;;) x = (x * 31 + 7) % 1000003; },
  'nested loops': () => { let x = 0; for (;;) for (let i = 0; i < 100; i++) for (let j = 0; j < 100; j++) x ^= i * j; },
  'array walk': () => { const all = numbers(1000); let x = 0; for (;;) for (const value of all) x += value; },
  'typed array walk': () => { const all = new Float64Array(1 << 16); for (;;) for (let i = 0; i < all.length; i++) all[i] += i; },
  finally: () => { let x = 0; for (;;) try { for (;;) if (++x % 100 === 0) throw x; } finally { continue; } },
  'throw and catch': () => { for (;;) try { throw new Error('again'); } catch {} },
  'catch all': () => { for (;;) try { for (;;); } catch {} },
  'for in': () => { const all = { a: 1, b: 2, c: 3 }; let x = 0; for (;;) for (const key in all) x += all[key]; },
  'large switch': () => { let x = 0; for (;;) switch (x = (x + 1) % 8) { case 0: case 3: x += 2; break; case 5: x -= 1; break; default: x ^= 1; } },
  // Calls.
  'getter recursion': () => { let n = 0; const all = { get a() { return ++n % 1000 ? this.a : n; } }; for (;;) all.a; },
  'toString recursion': () => { let n = 0; const all = { toString() { return ++n % 500 ? `${this}` : 'end'; } }; for (;;) `${all}`; },
  fibonacci: () => { const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2)); for (;;) fib(30); },
  closures: () => { let x = 0; const add = (n) => (m) => { x += n + m; }; for (;;) add(1)(2); },
  generator: () => { let x = 0; for (const value of (function* () { for (let i = 0; ; i++) yield i; })()) x += value; },
  proxy: () => { const all = new Proxy({}, { get: (_, key) => key.length }); let x = 0; for (;;) x += all.abc; },
  'promise chain': () => { (function again() { Promise.resolve().then(again); })(); },
  await: async () => { let x = 0; for (;;) x += await 1; },
  'async generator': async () => { for await (const _ of (async function* () { for (;;) yield 1; })()); },
  callbacks: repeat(() => numbers(10000), (all) => all.map((x) => x + 1).filter((x) => x % 3).reduce((x, y) => x + y, 0)),
  'sort with callback': repeat(() => numbers(100000), (all) => [...all].sort((a, b) => b - a)),
  'typed array sort with callback': repeat(() => Float64Array.from(numbers(100000)), (all) => all.slice().sort((a, b) => b - a)),
  'replace with callback': repeat(() => 'a1b22c333'.repeat(10000), (text) => text.replace(/[0-9]+/g, (digits) => digits.length)),
  'Array.from with callback': repeat(() => numbers(100000), (all) => Array.from(all, (x) => x + 1)),
  // Allocation.
  objects: () => { let last; for (;;) last = { a: 1, b: [last && last.a] }; },
  concatenation: () => { for (;;) { let text = ''; for (let i = 0; i < 10000; i++) text += i; } },
  'Map building': () => { for (;;) { const all = new Map(); for (let i = 0; i < 100000; i++) all.set('k' + i, i); } },
  'Set building': () => { for (;;) { const all = new Set(); for (let i = 0; i < 100000; i++) all.add(i); } },
  'array building': () => { for (;;) { const all = []; for (let i = 0; i < 100000; i++) all.push(i); } },
  // Regular expressions.
  'backtracking, first execution': () => { for (let i = 0; ; i++) new RegExp(`(a+)+b${i}`).test('a'.repeat(24)); },
  'backtracking, one execution': () => { for (;;) /(a+)+b/.test('a'.repeat(26)); },
  'backtracking, again': () => { const expression = /(a+)+b/; for (;;) expression.test('a'.repeat(20)); },
  'backtracking, nested': () => { for (;;) /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(26)); },
  'large text': repeat(() => 'xy'.repeat(1 << 20), (text) => /x[^z]*z/.test(text.slice(0, 20000))),
  'short matches': () => { let x = 0; for (;;) x += /(\d+)-(\d+)/.exec('abc 12-34')[1].length; },
  'global match': repeat(() => 'ab1 '.repeat(50000), (text) => { for (const _ of text.matchAll(/[a-z]+\d/g)); }),
  // JSON.
  'JSON.stringify': repeat(() => records(20000), (all) => JSON.stringify(all)),
  'JSON.stringify of numbers': repeat(() => numbers(1000000), (all) => JSON.stringify(all)),
  'JSON.stringify with toJSON': repeat(() => Array.from({ length: 1000 }, () => ({ toJSON() { return 1; } })), (all) => JSON.stringify(all)),
  'JSON.parse with reviver': repeat(() => JSON.stringify(records(1000)), (text) => JSON.parse(text, (_, value) => value)),
  // WebAssembly.
  'Wasm loop': () => wasm(endless).exports.f(),
  'Wasm loop of memory.fill': () => wasm(filling).exports.f(),
  'Wasm calls': () => { const { f } = wasm(empty).exports; for (;;) f(); },
  // Builtins that do not look, short, in a loop that does.
  'fill of 1 MB': repeat(() => new Uint8Array(1 << 20), (all) => all.fill(1)),
  'includes in 10,000': repeat(() => numbers(10000), (all) => all.includes(-1)),
  'indexOf in 100 KB': repeat(() => 'ab'.repeat(50000), (text) => text.indexOf('bb')),
  'sort of 1,000': repeat(() => numbers(1000), (all) => [...all].sort()),
  'typed array sort of 1,000': repeat(() => Float64Array.from(numbers(1000)), (all) => all.slice().sort()),
  'join of 1,000': repeat(() => numbers(1000), (all) => all.join()),
  'spread of 10,000': repeat(() => numbers(10000), (all) => [...all, ...all]),
  'JSON.parse of 10 KB': repeat(() => JSON.stringify(records(150)), (text) => JSON.parse(text)),
  'replaceAll in 10 KB': repeat(() => 'ab'.repeat(5000), (text) => text.replaceAll('a', 'cc')),
  'split of 10 KB': repeat(() => 'ab,'.repeat(3000), (text) => text.split(',')),
  'Object.assign of 100': repeat(() => Object.fromEntries(numbers(100).map((x) => ['k' + x, x])), (all) => Object.assign({}, all)),
  'BigInt of 1,000 digits': repeat(() => 7n ** 1183n, (x) => (x * x) / (x - 1n)),
  'structuredClone of 100': (internal) => { const all = records(100); internal.ops.ready(); for (;;) internal.structuredClone(all, []); },
  'Math and Date': () => { let x = 0; for (;;) x += Math.sin(x) + new Date().getTime() + parseInt('12', 10); },
  // With a star: those that say when they are ready.
  names: () => Object.keys(cases).filter((name) => name !== 'names').map((name) => (/ready\(\)/.test(cases[name]) ? '*' : '') + name).join(';'),
};
