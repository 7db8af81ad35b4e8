test('values are cloned deeply, with their kinds and circles', () => {
  const value = {
    date: new Date(5), regexp: /a/gi, map: new Map([[1, { a: 1 }]]), set: new Set(['x']), bytes: new Uint8Array([1, 2]), nested: [1, [2]],
    big: 10n, nothing: undefined, nan: NaN, boxed: new Number(3), error: new RangeError('r'),
  };
  value.self = value;
  const copy = structuredClone(value);
  assert(copy !== value && copy.self === copy && copy.map !== value.map);
  assertEquals([copy.date.getTime(), String(copy.regexp), copy.map.get(1).a, copy.set.has('x'), [...copy.bytes], copy.nested], [
    5, '/a/gi', 1, true, [1, 2], [1, [2]],
  ]);
  assert(copy.big === 10n && 'nothing' in copy && Number.isNaN(copy.nan) && copy.boxed instanceof Number);
  assert(copy.error instanceof RangeError && copy.error.message === 'r');
});
test('what cannot be cloned is a DataCloneError', () => {
  for (const value of [() => {}, Symbol('s'), { f() {} }, new WeakMap(), new Proxy({}, {})]) {
    const error = assertThrows(() => structuredClone(value), 'DataCloneError');
    assertEquals(error.code, 25);
  }
});
test('an object of the runtime is not taken for a plain one', () => {
  class Mine extends Headers {}
  for (const value of [new URL('http://a/'), new Headers(), new Mine(), new Response('x'), new AbortController(), new ReadableStream(), new Blob(['x'])]) {
    assertThrows(() => structuredClone(value), 'DataCloneError');
  }
  // Of classes whose names nobody has used.
  const { readable, writable } = new TransformStream();
  const controllers = [];
  new ReadableStream({ start(controller) { controllers.push(controller); } });
  new ReadableStream({ type: 'bytes', start(controller) { controllers.push(controller); } });
  new WritableStream({ start(controller) { controllers.push(controller); } });
  new TransformStream({ start(controller) { controllers.push(controller); } });
  const unnamed = [
    crypto, crypto.subtle, readable.getReader(), writable.getWriter(), new Response('x').body.getReader({ mode: 'byob' }), ...controllers,
    new ReadableStream().values(), new Headers({ a: '1' }).entries(), new URLSearchParams('a=1').keys(), new TextDecoder(), performance,
    navigator,
  ];
  for (const value of unnamed) assertThrows(() => structuredClone(value), 'DataCloneError', /a .* cannot be cloned/);
  assertEquals(structuredClone(new DOMException('m', 'AbortError')).name, 'AbortError');
  assertEquals(structuredClone(Object.create(null, { a: { value: 1, enumerable: true } })).a, 1);
});
test('an exception of the tenant\'s getter comes through as it is', () => {
  const thrown = new Error('mine');
  try {
    structuredClone({ get a() { throw thrown; } });
    assert(false);
  } catch (error) {
    assert(error === thrown);
  }
});
test('an ArrayBuffer is transferred, others and doubles are refused', () => {
  const buffer = new Uint8Array([1, 2, 3]).buffer;
  const copy = structuredClone({ buffer }, { transfer: [buffer] });
  assertEquals([buffer.byteLength, copy.buffer.byteLength], [0, 3]);
  assertThrows(() => structuredClone(1, { transfer: [buffer] }), 'DataCloneError');
  assertThrows(() => structuredClone(1, { transfer: [{}] }), 'DataCloneError');
  assertThrows(() => structuredClone(1, { transfer: [1] }), TypeError);
  assertThrows(() => structuredClone(1, { transfer: 1 }), TypeError);
  const other = new ArrayBuffer(1);
  assertThrows(() => structuredClone(1, { transfer: [other, other] }), 'DataCloneError');
  assertEquals(other.byteLength, 1);
});
test('DOMException is cloned', () => {
  const copy = structuredClone(new DOMException('m', 'AbortError'));
  assert(copy instanceof DOMException);
  assertEquals([copy.name, copy.message], ['AbortError', 'm']);
});
test('an argument is asked for', () => {
  assertThrows(() => structuredClone(), TypeError, /1 argument required/);
  assertEquals(structuredClone(undefined), undefined);
  assertEquals(structuredClone(1, null), 1);
});
test('a compiled WebAssembly module is cloned', () => {
  const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  const { list: [first, second] } = structuredClone({ list: [module, module] });
  assert(first instanceof WebAssembly.Module && first !== module && first === second);
  assert(new WebAssembly.Instance(first) instanceof WebAssembly.Instance);
  assertThrows(() => structuredClone(new WebAssembly.Memory({ initial: 1 })), 'DataCloneError', /Memory/);
});
