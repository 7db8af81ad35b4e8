// Single calls of builtins in which V8 10.2 does not look at interrupts, each long enough to be told from code that looks; and work of V8 itself.
const numbers = (count) => Array.from({ length: count }, (_, i) => (i * 7919) % count);
const record = '{"id":12345,"name":"a name of some length","tags":["one","two","three"],"nested":{"value":1.5,"flag":true}},';
const json = (bytes) => '[' + record.repeat(bytes / record.length) + '1]';
const section = (kind, bytes) => [kind, ...size(bytes.length), ...bytes];
const size = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...size(value >> 7)]);
/// A module of `count` functions of `length` additions each; the last two bytes are free, so that V8 does not know the module already.
function wasmOf(count, length) {
  const body = [0, 65, 0, ...Array.from({ length }, () => [65, 1, 106]).flat(), 26, 11];
  const header = [0, 97, 115, 109, 1, 0, 0, 0, ...section(1, [1, 96, 0, 0])];
  const code = [...size(count)];
  for (let i = 0; i < count; i++) code.push(...size(body.length), ...body);
  return new Uint8Array([...header, ...section(3, [...size(count), ...Array(count).fill(0)]), 10, ...size(code.length), ...code, 0, 4, 1, 120, 0, 0]);
}
const statements = (count) => Array.from({ length: count }, (_, i) => `x = (x * ${i + 3} + y) % 1000003; if (x > ${i}) y += x;`).join('\n');

/// So that no result is dead code.
let sink;
const repeat = (prepare, body) => (internal) => {
  const data = prepare(internal);
  internal.ops.ready();
  for (;;) sink = body(data);
};

export const cases = {
  'JSON.parse of 1 MB': repeat(() => json(1e6), (text) => JSON.parse(text)),
  'JSON.parse of 10 MB': repeat(() => json(1e7), (text) => JSON.parse(text)),
  'JSON.parse of 50 MB': repeat(() => json(5e7), (text) => JSON.parse(text)),
  sort: repeat(() => numbers(200000), (all) => [...all].sort()),
  'sort of strings': repeat(() => numbers(200000).map(String), (all) => [...all].sort()),
  'typed array sort': repeat(() => Float64Array.from(numbers(1000000)), (all) => all.slice().sort()),
  'typed array fill': repeat(() => new Uint8Array(2e8), (all) => all.fill(1)),
  'array fill': repeat(() => new Array(1e7).fill(0), (all) => all.fill(1)),
  includes: repeat(() => numbers(1e7), (all) => all.includes(-1)),
  // The last hundred thousand; all of them would take days, and nothing could end that.
  'includes in an array-like': repeat(() => ({ length: 2 ** 33 }), (all) => Array.prototype.includes.call(all, 1, 2 ** 33 - 1e5)),
  'reverse of an array-like': repeat(() => ({ length: 1e6 }), (all) => Array.prototype.reverse.call(all)),
  'fill of an array-like': repeat(() => ({ length: 1e5 }), (all) => Array.prototype.fill.call(all, 1)),
  join: repeat(() => numbers(1000000), (all) => all.join()),
  'join of an empty array': repeat(() => new Array(1e7), (all) => all.join()),
  'Array.from': repeat(() => new Set(numbers(1000000)), (all) => Array.from(all)),
  'spread of a string': repeat(() => '.'.repeat(2e6), (text) => [...text]),
  concat: repeat(() => numbers(5e6), (all) => all.concat(all)),
  flat: repeat(() => Array.from({ length: 1000 }, () => numbers(1000)), (all) => all.flat()),
  'replaceAll': repeat(() => 'ab'.repeat(1e6), (text) => text.replaceAll('a', 'cc')),
  'replace by a regular expression': repeat(() => 'ab'.repeat(1e6), (text) => text.replace(/a/g, 'cc')),
  'split': repeat(() => 'ab,'.repeat(1e6), (text) => text.split(',')),
  'indexOf': repeat(() => 'ab'.repeat(5e7), (text) => text.indexOf('bb')),
  'toUpperCase': repeat(() => '\xe9'.repeat(2e7), (text) => text.toUpperCase()),
  normalize: repeat(() => 'e\u0301'.repeat(1e6), (text) => text.normalize()),
  'flattening of a string': repeat(() => 'x'.repeat(1e8), (text) => (text + Math.random()).charCodeAt(0)),
  'Object.assign': repeat(() => Object.fromEntries(numbers(200000).map((x) => ['k' + x, x])), (all) => Object.assign({}, all)),
  'Object.keys': repeat(() => Object.fromEntries(numbers(300000).map((x) => ['k' + x, x])), (all) => Object.keys(all)),
  'Map from a Map': repeat(() => new Map(numbers(500000).map((x) => [x, x])), (all) => new Map(all)),
  'BigInt multiply': repeat(() => 7n ** 1200000n, (x) => x * x),
  'BigInt divide': repeat(() => [7n ** 600000n, 3n ** 500000n], ([x, y]) => x / y),
  'BigInt to text': repeat(() => 7n ** 200000n, (x) => x.toString()),
  'BigInt from text': repeat(() => '7'.repeat(300000), (text) => BigInt(text)),
  structuredClone: (internal) => { const all = numbers(500000).map((x) => ({ x })); internal.ops.ready(); for (;;) internal.structuredClone(all, []); },
  'Wasm compile': repeat(() => wasmOf(500, 500), (bytes) => {
    if (++bytes[bytes.length - 1] === 0) bytes[bytes.length - 2]++;
    return new WebAssembly.Module(bytes);
  }),
  'compile of a large function': repeat(() => statements(10000), (text) => new Function('x', 'y', `${text} return x + ${Math.random()};`)(1, 2)),
  'large function made hot': repeat(() => statements(150), (text) => {
    const f = new Function('x', 'y', `for (let i = 0; i < 3000; i++) { ${text} } return x + ${Math.random()};`);
    for (let i = 0; i < 3; i++) f(1, 2);
  }),
  'collection of 100 MB': repeat(() => ({ all: numbers(1500000).map((x) => ({ x, y: [x] })), spare: [] }), (data) => {
    data.spare = Array.from({ length: 100000 }, (_, i) => ({ i }));
  }),
  // With a star: those that say when they are ready.
  names: () => Object.keys(cases).filter((name) => name !== 'names').map((name) => (/ready\(\)/.test(cases[name]) ? '*' : '') + name).join(';'),
};
