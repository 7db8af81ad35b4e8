// Sources that are evaluated on first use come after the tenant's code: here it has changed what it could before that.
const fail = () => { throw new Error('polluted'); };
const saved = [];
const change = (object, key, value = fail) => {
  saved[saved.length] = [object, key, Object.getOwnPropertyDescriptor(object, key)];
  Object.defineProperty(object, key, { __proto__: null, value, writable: true, configurable: true });
};
const { defineProperty } = Object;
const restore = () => {
  for (let index = saved.length - 1; index >= 0; index--) defineProperty(saved[index][0], saved[index][1], saved[index][2]);
};

test('lazy globals do not trust what the tenant changed before their first use', async () => {
  const { raw, parts } = { raw: new TextEncoder().encode('a=1'), parts: ['abc'] };
  const results = [];
  change(TextDecoder.prototype, 'decode');
  change(Object.getPrototypeOf(Uint8Array.prototype), 'set');
  change(Object.getPrototypeOf(Uint8Array.prototype), 'subarray');
  change(Object.getPrototypeOf(Uint8Array.prototype), 'indexOf');
  change(Map.prototype, 'get');
  change(WeakMap.prototype, 'get');
  change(WeakMap.prototype, 'set');
  change(Array.prototype, 'push');
  change(String.prototype, 'indexOf');
  change(Function.prototype, 'call');
  change(globalThis, 'Uint8Array');
  change(globalThis, 'Promise');
  change(globalThis, 'Response', Response);
  change(Object, 'create');
  change(Object, 'setPrototypeOf');
  change(Reflect, 'ownKeys');
  try {
    const blob = new Blob(parts, { type: 'x/y' });
    results[0] = blob.size;
    const data = new FormData();
    data.append('file', blob);
    results[1] = new Response(data).headers.get('content-type').startsWith('multipart/form-data');
    const stream = new TextDecoderStream();
    const writer = stream.writable.getWriter();
    writer.write(raw);
    writer.close();
    results[2] = stream.readable.getReader();
    results[3] = new Response(new Blob(parts).stream()).text();
    results[4] = ReadableStream.from(parts).tee()[0].getReader();
  } finally {
    restore();
  }
  assertEquals(results.slice(0, 2), [3, true]);
  assertEquals((await results[2].read()).value, 'a=1');
  assertEquals(await results[3], 'abc');
  assertEquals((await results[4].read()).value, 'abc');
});
test('a lazy global is a plain one after its first use', () => {
  const { value, enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(globalThis, 'Blob');
  assertEquals([typeof value, enumerable, writable, configurable], ['function', false, true, true]);
  assert('get' in Object.getOwnPropertyDescriptor(globalThis, 'CountQueuingStrategy'));
});
