const { internal } = fixture;

test('globals are not enumerable, writable and configurable', () => {
  const names = [
    'AbortController', 'AbortSignal', 'CustomEvent', 'DOMException', 'ErrorEvent', 'Event', 'EventTarget', 'Navigator', 'Performance', 'TextDecoder',
    'TextEncoder', 'URL', 'URLSearchParams', 'addEventListener', 'atob', 'btoa', 'clearInterval', 'clearTimeout', 'console', 'dispatchEvent',
    'navigator', 'performance', 'queueMicrotask', 'removeEventListener', 'reportError', 'self', 'setInterval', 'setTimeout', 'structuredClone',
  ];
  for (const name of names) {
    const { configurable, enumerable, writable } = Object.getOwnPropertyDescriptor(globalThis, name);
    assertEquals({ configurable, enumerable, writable }, { configurable: true, enumerable: false, writable: true }, name);
  }
  for (const name of ['CryptoKey', 'SubtleCrypto']) assert(!Object.getOwnPropertyDescriptor(globalThis, name).enumerable);
});
test('interfaces have a tag and enumerable members', () => {
  for (const name of ['AbortController', 'AbortSignal', 'Event', 'EventTarget', 'TextDecoder', 'TextEncoder', 'URL', 'URLSearchParams', 'DOMException']) {
    const { prototype } = globalThis[name];
    assertEquals(prototype[Symbol.toStringTag], name);
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (key !== 'constructor') assert(descriptor.enumerable, `${name}.${key}`);
    }
  }
});
test('interfaces that cannot be constructed say so, and expect no argument', () => {
  const names = [
    'AbortSignal', 'Navigator', 'Performance', 'ReadableByteStreamController', 'ReadableStreamBYOBRequest', 'ReadableStreamDefaultController',
    'TransformStreamDefaultController', 'WritableStreamDefaultController',
  ];
  for (const name of names) {
    assertThrows(() => new globalThis[name](), TypeError, /Illegal constructor/);
    assertEquals(globalThis[name].length, 0, name);
  }
});
test('self, navigator and the clock', () => {
  assert(self === globalThis);
  assertEquals(navigator.userAgent, 'Cloister');
  assertThrows(() => new Navigator(), TypeError);
  assertThrows(() => new Performance(), TypeError);
  assertThrows(() => Object.getOwnPropertyDescriptor(Navigator.prototype, 'userAgent').get.call({}), TypeError);
});
test('shared memory is not there', () => {
  assertEquals(typeof SharedArrayBuffer, 'undefined');
  if (typeof Atomics !== 'undefined') assertThrows(() => Atomics.wait(new Int32Array(1), 0, 0), TypeError);
  // Nor by way of a Wasm memory: one that asks to be shared is not.
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  assertEquals(Object.prototype.toString.call(memory.buffer), '[object ArrayBuffer]');
});
test('a lazy global can be replaced without being made', () => {
  assert('get' in Object.getOwnPropertyDescriptor(globalThis, 'CryptoKey'));
  CryptoKey = 5;
  assertEquals(Object.getOwnPropertyDescriptor(globalThis, 'CryptoKey').value, 5);
});
test('nothing of the runtime is reachable from a tenant', () => {
  assertEquals([typeof internal, typeof ops, typeof primordials, typeof hooks].slice(1), ['undefined', 'undefined', 'undefined']);
});
test('every primordial that a source takes exists', () => {
  let count = 0;
  for (const [, names] of fixture.sources().matchAll(/const \{([^{}]*)\} = internal\.primordials;/g)) {
    for (const name of names.split(/[\s,]+/).filter(Boolean)) {
      count++;
      assert(internal.primordials[name.split(':')[0]] !== undefined, name);
    }
  }
  assert(count > 100, `${count} names`);
  assert(Object.isFrozen(internal.primordials));
});

test('Web IDL integers', () => {
  const { converters } = internal.webidl;
  for (const [kind, value, number] of [
    ['long', 2 ** 31, -(2 ** 31)], ['long', -1.9, -1], ['long', NaN, 0], ['long', Infinity, 0], ['long', '12', 12], ['long', -0, 0],
    ['unsigned long', -1, 2 ** 32 - 1], ['unsigned long', 2 ** 32 + 3, 3], ['unsigned short', 65537, 1], ['octet', 257, 1], ['octet', -1, 255],
    ['unsigned long long', 2 ** 53, 2 ** 53], ['long long', -(2 ** 53), -(2 ** 53)], ['long', { valueOf: () => 7 }, 7], ['long', null, 0],
  ]) assertEquals(converters[kind](value, 'p', 'it'), number, `${kind} ${String(value)}`);
  assertThrows(() => converters.long(1n, 'p', 'it'), TypeError, /p: it is a bigint/);
  assertThrows(() => converters.long(Symbol(), 'p', 'it'), TypeError);
  assertThrows(() => converters['unsigned short'](65536, 'p', 'it', { enforceRange: true }), TypeError, /between 0 and 65535/);
  assertThrows(() => converters.long(NaN, 'p', 'it', { enforceRange: true }), TypeError);
  for (const [value, number] of [[1.5, 2], [2.5, 2], [-1, 0], [300, 255], [NaN, 0]]) {
    assertEquals(converters.octet(value, 'p', 'it', { clamp: true }), number);
  }
});
test('Web IDL strings', () => {
  const { converters } = internal.webidl;
  assertEquals(converters.USVString('a\uD800b\uDC00\uD83D\uDE00'), 'a\uFFFDb\uFFFD\uD83D\uDE00');
  assertEquals(converters.ByteString('\xFF'), '\xFF');
  assertThrows(() => converters.ByteString('\u0100', 'p', 'it'), TypeError, /above U\+00FF/);
  assertThrows(() => converters.DOMString(Symbol('x'), 'p', 'it'), TypeError, /symbol/);
  assertEquals(converters.DOMString({ toString: () => 'made' }), 'made');
  assertEquals(internal.webidl.enumeration('a', ['a', 'b']), 'a');
  assertThrows(() => internal.webidl.enumeration('c', ['a', 'b'], 'p', 'it'), TypeError, /'c', which is not one of a, b/);
});
test('Web IDL sequences, records and dictionaries', () => {
  const { converters, dictionary, record, sequence } = internal.webidl;
  assertEquals(sequence(new Set([1, 2]), converters.DOMString, 'p', 'it'), ['1', '2']);
  assertThrows(() => sequence({}, null, 'p', 'it'), TypeError, /not iterable/);
  assertThrows(() => sequence('ab', null, 'p', 'it'), TypeError);
  assertEquals(record({ b: 1, a: 2 }, converters.DOMString, converters.long), [['b', 1], ['a', 2]]);
  const inherited = Object.create({ no: 1 }, { yes: { value: 1, enumerable: true }, hidden: { value: 2 } });
  assertEquals(record(inherited, converters.DOMString, converters.long), [['yes', 1]]);
  assertEquals(dictionary(null).x, undefined);
  assertThrows(() => dictionary(1, 'p', 'it'), TypeError);
});
test('a polluted Object.prototype and Array.prototype do not reach the runtime', () => {
  const objects = ['get', 'set', 'value', 'writable', 'once', 'capture', 'signal', 'enumerable', 'fatal', 'transfer', 'enforceRange', 'clamp'];
  for (const key of ['get', 'value']) Object.prototype[key] = () => 'polluted';
  Array.prototype[Symbol.iterator] = () => { throw new Error('hijacked'); };
  const savedNext = Object.getPrototypeOf(new Map()[Symbol.iterator]()).next;
  const savedIterator = Array.prototype.values;
  let outcome;
  try {
    Object.getPrototypeOf(new Map()[Symbol.iterator]()).next = () => { throw new Error('hijacked'); };
    const target = new EventTarget();
    let count = 0;
    target.addEventListener('x', () => { count++; });
    target.dispatchEvent(new Event('x'));
    const controller = new AbortController();
    AbortSignal.any({ [Symbol.iterator]: () => ({ done: false, next() { return this.done ? { done: true } : ((this.done = true), { value: controller.signal }); } }) });
    controller.abort();
    console.log({ a: 1 });
    outcome = [count, new URL('/x?y=1', 'http://h').href, btoa('x'), new TextDecoder().decode(new TextEncoder().encode('z')), internal.inspect({ a: { b: 1 } })];
  } catch (error) {
    outcome = error;
  } finally {
    delete Object.prototype.get;
    delete Object.prototype.value;
    Object.defineProperty(Array.prototype, Symbol.iterator, { value: savedIterator, writable: true, configurable: true });
    Object.getPrototypeOf(new Map()[Symbol.iterator]()).next = savedNext;
  }
  assert(!(outcome instanceof Error), outcome.stack);
  assertEquals(outcome, [1, 'http://h/x?y=1', 'eA==', 'z', '{ a: { b: 1 } }']);
  assert(objects.every((key) => !(key in Object.prototype)));
});
