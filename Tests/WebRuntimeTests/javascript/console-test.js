const { inspect } = fixture.internal;
const logged = (...values) => {
  console.log(...values);
  return takeLogs()[0][1];
};
const trap = () => { throw new Error('the tenant\'s code ran'); };

test('each method writes at its level', () => {
  console.debug('d');
  console.log('l');
  console.info('i');
  console.warn('w');
  console.error('e');
  assertEquals(takeLogs(), [[0, 'd'], [1, 'l'], [2, 'i'], [3, 'w'], [4, 'e']]);
});
test('values are shown as in the field', () => {
  for (const [value, text] of [
    ['text', 'text'], [1, '1'], [-0, '-0'], [10n, '10n'], [true, 'true'], [null, 'null'], [undefined, 'undefined'], [Symbol('s'), 'Symbol(s)'],
    [{}, '{}'], [{ a: 1, 'b-c': 'x' }, "{ a: 1, 'b-c': 'x' }"], [{ [Symbol('k')]: 1 }, '{ [Symbol(k)]: 1 }'], [[], '[]'],
    [[1, 'a', [2]], "[ 1, 'a', [ 2 ] ]"], [[1, , 3], '[ 1, <1 empty item>, 3 ]'], [new Array(5), '[ <5 empty items> ]'],
    [Object.assign([1], { x: 2 }), '[ 1, x: 2 ]'], [["it's"], '[ "it\'s" ]'], [['a\n"b"'], '[ \'a\\n"b"\' ]'],
    [new Map([['a', { b: 1 }]]), "Map(1) { 'a' => { b: 1 } }"], [new Set([1, 'x']), "Set(2) { 1, 'x' }"], [new WeakMap(), 'WeakMap { <items unknown> }'],
    [new Date(0), '1970-01-01T00:00:00.000Z'], [new Date(NaN), 'Invalid Date'], [/a+/gi, '/a+/gi'],
    [function f() {}, '[Function: f]'], [() => {}, '[Function: (anonymous)]'], [class A {}, '[class A]'], [async () => {}, '[AsyncFunction: (anonymous)]'],
    [Object.assign(function f() {}, { x: 1 }), '[Function: f] { x: 1 }'],
    [new (class Point { x = 1; #y = 2; })(), 'Point { x: 1 }'], [Object.create(null), '[Object: null prototype] {}'],
    [new Uint8Array([1, 2]), 'Uint8Array(2) [ 1, 2 ]'], [new ArrayBuffer(3), 'ArrayBuffer { byteLength: 3 }'],
    [new Number(3), '[Number: 3]'], [new String('ab'), "[String: 'ab']"], [Object(Symbol('b')), '[Symbol: Symbol(b)]'],
    [Promise.resolve(1), 'Promise { 1 }'], [new Promise(() => {}), 'Promise { <pending> }'],
    [{ get a() { return trap(); }, set b(value) {}, get c() { return trap(); }, set c(value) {} }, '{ a: [Getter], b: [Setter], c: [Getter/Setter] }'],
    [new URL('http://h/?a=1'), "URL { href: 'http://h/?a=1' }"], [new URLSearchParams('a=1'), "URLSearchParams { a: '1' }"],
    [Math, 'Math {}'], [JSON, 'JSON {}'],
  ]) assertEquals(logged(value), text);
});
test('nesting is shown to a depth, circles are named', () => {
  const circle = { name: 'c' };
  circle.self = circle;
  assertEquals(inspect(circle), "{ name: 'c', self: [Circular] }");
  assertEquals(inspect({ a: { a: { a: { a: { a: { a: 1 } } } } } }), '{ a: { a: { a: { a: { a: [Object] } } } } }');
  const shared = { x: 1 };
  assertEquals(inspect([shared, shared]), '[ { x: 1 }, { x: 1 } ]', 'shared is not circular');
});
test('long values are broken into lines', () => {
  assertEquals(inspect({ first: 'a'.repeat(40), second: 'b'.repeat(40) }), `{\n  first: '${'a'.repeat(40)}',\n  second: '${'b'.repeat(40)}'\n}`);
});
test('size is bounded', () => {
  assertMatch(inspect(new Array(1e6).fill(7)), /, 7,\n  7, [^]*\.\.\. 999900 more items\n\]$/);
  assert(inspect('x'.repeat(1e6)).length < 20_000);
  assert(inspect(Array.from({ length: 100 }, () => 'y'.repeat(5000))).length < 40_000);
  const wide = {};
  for (let index = 0; index < 1000; index++) wide['key' + index] = index;
  assertMatch(inspect(wide), /\.\.\. 900 more properties/);
  let deep = {};
  for (let index = 0; index < 100_000; index++) deep = { deep };
  assert(inspect(deep).length < 200);
  console.log('z'.repeat(100_000));
  assert(takeLogs()[0][1].length < 10_000);
});
test('inspecting never runs the tenant\'s code', () => {
  const hostile = new Proxy({ x: 1 }, new Proxy({}, { get: trap }));
  assertEquals(logged(hostile), '{ x: 1 }');
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assertEquals(logged(proxy), '<Revoked Proxy>');
  let layers = {};
  for (let index = 0; index < 10_000; index++) layers = new Proxy(layers, {});
  assertEquals(logged(layers), '<Proxy>');
  assertEquals(logged({ toString: trap, toJSON: trap, valueOf: trap, [Symbol.toPrimitive]: trap, inspect: trap }).includes('toString'), true);
  class Tagged { get [Symbol.toStringTag]() { return trap(); } }
  Object.defineProperty(Tagged.prototype, 'constructor', { get: trap });
  assertEquals(logged(new Tagged()), 'Tagged {}');
  const map = new Map([[1, 2]]);
  map.forEach = map[Symbol.iterator] = map.entries = trap;
  assertMatch(logged(map), /^Map\(1\) \{/);
  const array = [1, 2];
  array[Symbol.iterator] = array.map = array.join = trap;
  assertMatch(logged(array), /^\[\s+1,\s+2,/);
  const buffer = new Uint8Array(1);
  Object.defineProperty(buffer, 'length', { get: trap });
  assertMatch(logged(buffer), /^Uint8Array\(1\)/);
  const regexp = /x/g;
  Object.defineProperty(regexp, 'flags', { get: trap });
  Object.defineProperty(regexp, 'source', { get: trap });
  assertMatch(logged(regexp), /^\/x\/g/);
  const func = () => {};
  Object.defineProperty(func, 'name', { get: trap });
  func.toString = trap;
  assertMatch(logged(func), /^\[Function: \(anonymous\)\]/);
});
test('errors are shown with stack, cause and properties, without running getters', () => {
  assertMatch(logged(new TypeError('bad')), /^TypeError: bad\n    at /);
  const error = new Error('outer', { cause: new RangeError('inner') });
  error.code = 'E1';
  assertMatch(logged(error), /^Error: outer\n[^]*code: 'E1'[^]*\[cause\]: RangeError: inner\n/);
  assertMatch(logged(new AggregateError([new Error('one')], 'many')), /^AggregateError: many[^]*\[errors\]: \[\s+Error: one/);
  class Custom extends Error { constructor(message) { super(message); this.name = 'Custom'; } }
  assertMatch(logged(new Custom('mine')), /^Custom: mine\n    at /);
  const changed = new Error('before');
  changed.message = 'after';
  assertMatch(logged(changed), /^Error: after\n    at /);
  const hostile = new Error('x');
  for (const key of ['stack', 'message', 'name', 'cause']) Object.defineProperty(hostile, key, { get: trap });
  assertMatch(logged(hostile), /^Error/);
  assertMatch(logged(new DOMException('gone', 'AbortError')), /^AbortError: gone/);
  Error.prepareStackTrace = trap;
  try {
    assertMatch(logged(new Error('prepared')), /^Error: prepared/);
  } finally {
    delete Error.prepareStackTrace;
  }
});
test('describeError never throws and shows what was thrown', () => {
  const { describeError, describeErrorBriefly } = fixture.internal;
  assertEquals(describeError('text'), 'text');
  assertEquals(describeError(undefined), 'undefined');
  assertEquals(describeError({ a: 1 }), '{ a: 1 }');
  assertEquals(describeErrorBriefly(new TypeError('t')), 'TypeError: t');
  const long = 'n'.repeat(1e6);
  for (const error of [Object.assign(new Error('m'), { name: long }), new DOMException(long, long)]) {
    assert(describeErrorBriefly(error).length < 3000, 'a long name is cut');
  }
  const named = { [Symbol.toStringTag]: long };
  assert(fixture.internal.className(named).length < 200 && fixture.internal.describeKind(named).length < 200, 'a class has a short name');
  assertEquals(describeError(new Proxy(new Error('p'), { get: trap, getPrototypeOf: trap })).split('\n')[0], 'Error: p');
});
test('format specifiers', () => {
  for (const [given, text] of [
    [['%s and %s', 'a', 'b'], 'a and b'], [['%d %i %f', '4.5', '4.5', '4.5x'], '4.5 4 4.5'], [['%d', 'x'], 'NaN'], [['%d', 5n], '5n'],
    [['%i', {}], 'NaN'], [['%o', [1]], '[ 1 ]'], [['%O', { a: 1 }], '{ a: 1 }'], [['%j', { a: 1 }], '{ a: 1 }'], [['%cred', 'color: red'], 'red'],
    [['100%', 'x'], '100% x'], [['%%s', 'x'], '%s x'], [['%s'], '%s'], [['%s', 'a', 'b', { c: 1 }], 'a b { c: 1 }'], [['%x %s', 'a'], '%x a'],
    [['%s', { toString: trap }], '{ toString: [Function: trap] }'], [['%s', Symbol('s')], 'Symbol(s)'], [['%d', Symbol('s')], 'NaN'],
    [['%d', { valueOf: trap }], 'NaN'], [['a%', 1], 'a% 1'], [[], ''], [[1, 'a', { b: 2 }], '1 a { b: 2 }'],
  ]) assertEquals(logged(...given), text, JSON.stringify(given, (_, value) => (typeof value === 'bigint' ? 'big' : value)));
});
test('group indents, every line of it', () => {
  console.group('one');
  console.groupCollapsed();
  console.log('a\nb');
  console.groupEnd();
  console.warn('c');
  console.groupEnd();
  console.groupEnd();
  console.log('d');
  for (let index = 0; index < 1000; index++) console.group();
  console.log('deep');
  for (let index = 0; index < 1000; index++) console.groupEnd();
  const texts = takeLogs().map(([, text]) => text);
  assertEquals(texts.slice(0, 4), ['one', '    a\n    b', '  c', 'd']);
  assert(texts[4].length < 100);
});
test('count, countReset, assert', () => {
  console.count();
  console.count();
  console.count('x');
  console.countReset();
  console.count();
  console.countReset('never');
  console.assert(true, 'no');
  console.assert(false);
  console.assert(false, 'why %s', 'x');
  console.assert(0, { a: 1 });
  assertEquals(takeLogs(), [
    [2, 'default: 1'], [2, 'default: 2'], [2, 'x: 1'], [2, 'default: 1'], [3, "Count for 'never' does not exist"], [4, 'Assertion failed'],
    [4, 'Assertion failed: why x'], [4, 'Assertion failed: { a: 1 }'],
  ]);
});
test('time, timeLog, timeEnd on the clock of turns', async () => {
  console.time('t');
  console.time('t');
  await nextTurn(30);
  console.timeLog('t', 'so far');
  await nextTurn(12);
  console.timeEnd('t');
  console.timeEnd('t');
  assertEquals(takeLogs(), [[3, "Timer 't' already exists"], [2, 't: 30 ms so far'], [2, 't: 42 ms'], [3, "Timer 't' does not exist"]]);
});
test('table', () => {
  console.table([{ a: 1, b: 'x' }, { a: 2, c: true }]);
  console.table(['p', 'q']);
  console.table([{ a: 1, b: 2 }], ['b']);
  console.table('text');
  assertEquals(takeLogs().map(([, text]) => text), [
    "| (index) | a | b   | c    |\n|---------|---|-----|------|\n| 0       | 1 | 'x' |      |\n| 1       | 2 |     | true |",
    "| (index) | Values |\n|---------|--------|\n| 0       | 'p'    |\n| 1       | 'q'    |",
    '| (index) | b |\n|---------|---|\n| 0       | 2 |', 'text',
  ]);
});
test('trace, dir, dirxml, clear', () => {
  console.trace('here');
  console.dir({ a: 1 }, { depth: 0 });
  console.dirxml('x', 1);
  console.clear();
  const logs = takeLogs();
  assertMatch(logs[0][1], /^Trace: here\n    at .*test\.js/);
  assertEquals(logs.slice(1), [[1, '{ a: 1 }'], [1, 'x 1']]);
});
test('console is a namespace whose methods need no this', () => {
  const { log } = console;
  log('free');
  assertEquals(takeLogs(), [[1, 'free']]);
  assertEquals(Object.prototype.toString.call(console), '[object console]');
  assert(Object.keys(console).includes('table'));
});
test('labels are strings, and converting them is the tenant\'s affair', () => {
  console.count({ toString() { return 'made'; } });
  assertEquals(takeLogs(), [[2, 'made: 1']]);
});
test("console's prototype is an empty object of its own", () => {
  const prototype = Object.getPrototypeOf(console);
  assert(prototype !== Object.prototype && Object.getPrototypeOf(prototype) === Object.prototype);
  assertEquals(Reflect.ownKeys(prototype).length, 0);
});
