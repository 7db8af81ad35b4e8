const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (string) => new TextEncoder().encode(string);
const all = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const of = (...chunks) => new ReadableStream({
  start(controller) {
    for (const chunk of chunks) controller.enqueue(chunk);
    controller.close();
  },
});

// --------------------------------------------------------------------------------------------------------------- readable

test('chunks come in order, then the end', async () => {
  const reader = of('a', 'b').getReader();
  assertEquals(await reader.read(), { value: 'a', done: false });
  assertEquals(await reader.read(), { value: 'b', done: false });
  assertEquals(await reader.read(), { value: undefined, done: true });
  assertEquals(await reader.closed, undefined);
});
test('pull is called as far as the high-water mark', async () => {
  let pulled = 0;
  const stream = new ReadableStream({ pull(controller) { controller.enqueue(++pulled); } }, { highWaterMark: 3 });
  await nextTurn();
  assertEquals(pulled, 3);
  const reader = stream.getReader();
  await reader.read();
  await nextTurn();
  assertEquals(pulled, 4);
});
test('a locked stream refuses a second reader and to be cancelled', async () => {
  const stream = of('a');
  const reader = stream.getReader();
  assert(stream.locked);
  assertThrows(() => stream.getReader(), TypeError, /locked/);
  await assertRejects(stream.cancel(), TypeError, /locked/);
  reader.releaseLock();
  assert(!stream.locked);
  await assertRejects(reader.read(), TypeError, /released/);
  await assertRejects(reader.closed, TypeError, /released/);
  assertEquals(await all(stream), ['a']);
});
test('a pending read is rejected when its reader is released', async () => {
  const reader = new ReadableStream().getReader();
  const pending = reader.read();
  reader.releaseLock();
  await assertRejects(pending, TypeError, /released/);
});
test('cancel reaches the source with its reason', async () => {
  let reason;
  const stream = new ReadableStream({ cancel(given) { reason = given; } });
  assertEquals(await stream.cancel('why'), undefined);
  assertEquals(reason, 'why');
  assertEquals(await all(stream), []);
});
test('errors of start, pull and cancel', async () => {
  assertThrows(() => new ReadableStream({ start() { throw new RangeError('start'); } }), RangeError, /start/);
  await assertRejects(new ReadableStream({ start: () => Promise.reject(new RangeError('late')) }).getReader().read(), RangeError, /late/);
  await assertRejects(new ReadableStream({ pull() { throw new RangeError('pull'); } }).getReader().read(), RangeError, /pull/);
  await assertRejects(new ReadableStream({ cancel() { throw new RangeError('cancel'); } }).cancel(), RangeError, /cancel/);
});
test('a size that is not one errors the stream and throws', async () => {
  for (const size of [-1, NaN, Infinity]) {
    let thrown;
    const stream = new ReadableStream({
      start(controller) {
        try {
          controller.enqueue('x');
        } catch (error) {
          thrown = error;
        }
      },
    }, { size: () => size });
    assert(thrown instanceof RangeError);
    await assertRejects(stream.getReader().read(), RangeError);
  }
  assertThrows(() => new ReadableStream({}, { highWaterMark: -1 }), RangeError);
  assertThrows(() => new ReadableStream({}, { highWaterMark: NaN }), RangeError);
});
test('leaving a loop cancels, unless that is prevented', async () => {
  let cancelled = 0;
  const make = () => new ReadableStream({ pull(controller) { controller.enqueue('x'); }, cancel() { cancelled++; } });
  for await (const chunk of make()) break;
  assertEquals(cancelled, 1);
  const stream = make();
  for await (const chunk of stream.values({ preventCancel: true })) break;
  assertEquals(cancelled, 1);
  assert(!stream.locked);
});
test('tee gives both branches everything; cancelling both cancels', async () => {
  const [first, second] = of('a', 'b').tee();
  assertEquals(await Promise.all([all(first), all(second)]), [['a', 'b'], ['a', 'b']]);
  let reasons;
  const branches = new ReadableStream({ cancel(given) { reasons = given; } }).tee();
  const done = Promise.all([branches[0].cancel(1), branches[1].cancel(2)]);
  await done;
  assertEquals(reasons, [1, 2]);
});
test('from iterables, sync and async', async () => {
  assertEquals(await all(ReadableStream.from(['a', Promise.resolve('b')])), ['a', 'b']);
  assertEquals(await all(ReadableStream.from((async function* () { yield 1; yield 2; })())), [1, 2]);
  assertEquals(await all(ReadableStream.from('xy')), ['x', 'y']);
  assertEquals(await all(ReadableStream.from(of(1))), [1]);
  for (const value of [null, undefined, 5, {}, { [Symbol.iterator]: 1 }]) assertThrows(() => ReadableStream.from(value), TypeError);
  let returned = false;
  const stream = ReadableStream.from((function* () { try { yield 1; } finally { returned = true; } })());
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  assert(returned);
});

// ------------------------------------------------------------------------------------------------------------------ bytes

test('a reader with its own buffer fills it', async () => {
  const stream = new ReadableStream({ type: 'bytes', start(controller) { controller.enqueue(bytes('hello')); controller.close(); } });
  const reader = stream.getReader({ mode: 'byob' });
  const given = new Uint8Array(3);
  const first = await reader.read(given);
  assertEquals([text(first.value), first.done, given.byteLength], ['hel', false, 0]);
  const second = await reader.read(new Uint8Array(first.value.buffer));
  assertEquals([text(second.value), second.done], ['lo', false]);
  const last = await reader.read(new Uint8Array(second.value.buffer));
  assertEquals([last.value.byteLength, last.done], [0, true]);
});
test('min waits for that many elements, and elements are never split', async () => {
  let controller;
  const stream = new ReadableStream({ type: 'bytes', start(given) { controller = given; } });
  const reader = stream.getReader({ mode: 'byob' });
  const pending = reader.read(new Uint16Array(4), { min: 2 });
  controller.enqueue(new Uint8Array([1, 0, 2]));
  controller.enqueue(new Uint8Array([0, 3]));
  assertEquals([...(await pending).value], [1, 2]);
  const rest = reader.read(new Uint8Array(4));
  assertEquals([...(await rest).value], [3]);
});
test('a source that answers a byob request', async () => {
  const stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const { view } = controller.byobRequest;
      view[0] = 7;
      controller.byobRequest.respond(1);
    },
  });
  const { value } = await stream.getReader({ mode: 'byob' }).read(new Uint8Array(4));
  assertEquals([...value], [7]);
  const allocating = new ReadableStream({
    type: 'bytes', autoAllocateChunkSize: 16,
    pull(controller) {
      controller.byobRequest.view[0] = 8;
      controller.byobRequest.respond(1);
    },
  });
  assertEquals([...(await allocating.getReader().read()).value], [8]);
});
test('what cannot be', async () => {
  assertThrows(() => of('a').getReader({ mode: 'byob' }), TypeError);
  assertThrows(() => new ReadableStream({ type: 'text' }), TypeError);
  assertThrows(() => new ReadableStream({ type: 'bytes' }, { size: () => 1 }), RangeError);
  assertThrows(() => new ReadableStream({ type: 'bytes', autoAllocateChunkSize: 0 }), TypeError);
  assertThrows(() => new ReadableStream(null), TypeError);
  const reader = new ReadableStream({ type: 'bytes' }).getReader({ mode: 'byob' });
  await assertRejects(reader.read(new Uint8Array(0)), TypeError);
  await assertRejects(reader.read(new Uint8Array(1), { min: 0 }), TypeError);
  await assertRejects(reader.read(new Uint8Array(1), { min: 2 }), RangeError);
  await assertRejects(reader.read('text'), TypeError);
  const memory = new WebAssembly.Memory({ initial: 1 });
  await assertRejects(reader.read(new Uint8Array(memory.buffer)), TypeError);
});
test('a chunk that is enqueued is the stream\'s: its buffer is detached', () => {
  const chunk = bytes('abc');
  new ReadableStream({
    type: 'bytes',
    start(controller) {
      controller.enqueue(chunk);
      assertThrows(() => controller.enqueue(chunk), TypeError);
    },
  });
  assertEquals(chunk.byteLength, 0);
});
test('tee of bytes gives copies', async () => {
  const stream = new ReadableStream({ type: 'bytes', start(controller) { controller.enqueue(bytes('abc')); controller.close(); } });
  const [first, second] = stream.tee();
  const one = await first.getReader({ mode: 'byob' }).read(new Uint8Array(8));
  one.value.fill(0);
  assertEquals(text((await second.getReader().read()).value), 'abc');
});

// --------------------------------------------------------------------------------------------------------------- writable

test('writes are one after the other and close comes last', async () => {
  const events = [];
  const stream = new WritableStream({
    async write(chunk) {
      events.push(`begin ${chunk}`);
      await nextTurn();
      events.push(`end ${chunk}`);
    },
    close() { events.push('close'); },
  });
  const writer = stream.getWriter();
  writer.write(1);
  writer.write(2);
  await writer.close();
  assertEquals(events, ['begin 1', 'end 1', 'begin 2', 'end 2', 'close']);
  await assertRejects(writer.write(3), TypeError);
});
test('backpressure shows in ready and desiredSize', async () => {
  let finish;
  const writer = new WritableStream({ write: () => new Promise((resolve) => { finish = resolve; }) }, { highWaterMark: 1 }).getWriter();
  assertEquals(writer.desiredSize, 1);
  await writer.ready;
  writer.write('x');
  assertEquals(writer.desiredSize, 0);
  let isReady = false;
  writer.ready.then(() => { isReady = true; });
  await nextTurn();
  assert(!isReady);
  finish();
  await writer.ready;
  assertEquals(writer.desiredSize, 1);
});
test('abort signals the sink, then rejects what waits', async () => {
  let signal, reason;
  const stream = new WritableStream({
    start(controller) { ({ signal } = controller); },
    write: () => new Promise((resolve) => { signal.addEventListener('abort', resolve); }),
    abort(given) { reason = given; },
  });
  const writer = stream.getWriter();
  await writer.ready;
  const first = writer.write(1);
  const second = writer.write(2);
  await writer.abort('why');
  assertEquals([signal.reason, reason], ['why', 'why']);
  await first;
  await second.then(() => assert(false), (error) => assertEquals(error, 'why'));
});
test('a sink that fails errors the stream', async () => {
  const writer = new WritableStream({ write() { throw new RangeError('full'); } }).getWriter();
  await assertRejects(writer.write(1), RangeError, /full/);
  await assertRejects(writer.closed, RangeError, /full/);
  assertEquals(writer.desiredSize, null);
  assertThrows(() => new WritableStream({ type: 'x' }), RangeError);
});

// ----------------------------------------------------------------------------------------------------- pipes, transforms

test('a pipe carries chunks, the end, and errors both ways', async () => {
  const chunks = [];
  let isClosed = false;
  await of(1, 2, 3).pipeTo(new WritableStream({ write(chunk) { chunks.push(chunk); }, close() { isClosed = true; } }));
  assertEquals([chunks, isClosed], [[1, 2, 3], true]);
  let aborted;
  const failing = new ReadableStream({ pull() { throw new RangeError('source'); } });
  await assertRejects(failing.pipeTo(new WritableStream({ abort(reason) { aborted = reason; } })), RangeError, /source/);
  assert(aborted instanceof RangeError);
  let cancelled;
  const source = new ReadableStream({ pull(controller) { controller.enqueue(1); }, cancel(reason) { cancelled = reason; } });
  await assertRejects(source.pipeTo(new WritableStream({ write() { throw new RangeError('sink'); } })), RangeError, /sink/);
  assert(cancelled instanceof RangeError);
});
test('a pipe can be prevented from closing, and aborted', async () => {
  const sink = new WritableStream();
  await of(1).pipeTo(sink, { preventClose: true });
  await sink.getWriter().ready;
  const controller = new AbortController();
  const piping = new ReadableStream().pipeTo(new WritableStream(), { signal: controller.signal });
  controller.abort(new RangeError('stop'));
  await assertRejects(piping, RangeError, /stop/);
  await assertRejects(of(1).pipeTo(new WritableStream(), { signal: {} }), TypeError);
  await assertRejects(of(1).pipeTo({}), TypeError);
});
test('a pipe does not look at Object.prototype.then', async () => {
  const seen = [];
  let chunks = [];
  const source = of('a', 'b');
  const sink = new WritableStream({ write(chunk) { chunks.push(chunk); } });
  Object.defineProperty(Object.prototype, 'then', { get() { if (this && 'value' in Object(this)) seen.push(this); return undefined; }, configurable: true });
  let piping;
  try {
    piping = source.pipeTo(sink);
    await piping;
  } finally {
    delete Object.prototype.then;
  }
  assertEquals([chunks, seen.length], [['a', 'b'], 0]);
});
test('transforms change, flush and end', async () => {
  const upper = new TransformStream({
    transform(chunk, controller) { controller.enqueue(chunk.toUpperCase()); },
    flush(controller) { controller.enqueue('end'); },
  });
  assertEquals(await all(of('a', 'b').pipeThrough(upper)), ['A', 'B', 'end']);
  assertEquals(await all(of('a').pipeThrough(new TransformStream())), ['a']);
  const stopping = new TransformStream({ transform(chunk, controller) { controller.enqueue(chunk); controller.terminate(); } });
  assertEquals(await all(of(1, 2).pipeThrough(stopping)), [1]);
  const failing = new TransformStream({ transform() { throw new RangeError('bad'); } });
  await assertRejects(all(of(1).pipeThrough(failing)), RangeError, /bad/);
});
test('a transform is told of a cancel, and its cancel may go on', async () => {
  let reason;
  const transform = new TransformStream({ cancel(given) { reason = given; } });
  await transform.readable.cancel('why');
  assertEquals(reason, 'why');
  await assertRejects(transform.writable.getWriter().write(1).catch((error) => { throw new RangeError(error); }), RangeError, /why/);
  let controller;
  const early = new TransformStream({ start(given) { controller = given; } });
  const cancelled = early.readable.cancel('ignored');
  controller.error(new RangeError('thrown'));
  await cancelled;
  await assertRejects(early.writable.getWriter().closed, RangeError, /thrown/);
});
test('text streams keep characters whole', async () => {
  const encoded = await all(of('a\uD83D', '\uDE00b', '\uD800').pipeThrough(new TextEncoderStream()));
  assertEquals(encoded.map(text).join(''), 'a\u{1F600}b\uFFFD');
  const whole = bytes('h\u00e9\u{1F600}');
  const single = of(...[...whole].map((byte) => new Uint8Array([byte])));
  assertEquals((await all(single.pipeThrough(new TextDecoderStream()))).join(''), 'h\u00e9\u{1F600}');
  await assertRejects(all(of(new Uint8Array([0xC3])).pipeThrough(new TextDecoderStream('utf-8', { fatal: true }))), TypeError);
  assertThrows(() => new TextDecoderStream('klingon'), RangeError);
});

// ----------------------------------------------------------------------------------------------------------------- shapes

test('interfaces have their tags, lengths and brands', async () => {
  const shapes = {
    ReadableStream: 0, ReadableStreamDefaultReader: 1, ReadableStreamBYOBReader: 1, WritableStream: 0, WritableStreamDefaultWriter: 1,
    TransformStream: 0, ByteLengthQueuingStrategy: 1, CountQueuingStrategy: 1, TextEncoderStream: 0, TextDecoderStream: 0,
  };
  for (const [name, length] of Object.entries(shapes)) {
    const constructor = globalThis[name];
    assertEquals([constructor.length, constructor.prototype[Symbol.toStringTag]], [length, name], name);
    assert(!Object.getOwnPropertyDescriptor(globalThis, name).enumerable);
  }
  for (const name of ['ReadableStreamDefaultController', 'ReadableByteStreamController', 'ReadableStreamBYOBRequest', 'WritableStreamDefaultController',
    'TransformStreamDefaultController']) {
    assertThrows(() => new globalThis[name](), TypeError, /Illegal constructor/);
  }
  assertThrows(() => Object.getOwnPropertyDescriptor(ReadableStream.prototype, 'locked').get.call({}), TypeError);
  await assertRejects(ReadableStream.prototype.cancel.call({}), TypeError);
  await assertRejects(ReadableStreamDefaultReader.prototype.read.call({}), TypeError);
  await assertRejects(WritableStreamDefaultWriter.prototype.write.call({}), TypeError);
  assert(ReadableStream.prototype[Symbol.asyncIterator] === ReadableStream.prototype.values);
});
test('nothing a tenant changes makes a stream lose or invent bytes', async () => {
  const { constructor } = Uint8Array.prototype;
  const species = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array), Symbol.species);
  const fail = () => { throw new Error('polluted'); };
  Object.defineProperty(Object.getPrototypeOf(Uint8Array), Symbol.species, { get: fail, configurable: true });
  Object.defineProperty(Array.prototype, 0, { set: fail, configurable: true });
  let value;
  try {
    const stream = new ReadableStream({ type: 'bytes', start(controller) { controller.enqueue(new Uint8Array([1, 2, 3])); controller.close(); } });
    value = new Uint8Array(await new Response(stream).arrayBuffer());
  } finally {
    delete Array.prototype[0];
    Object.defineProperty(Object.getPrototypeOf(Uint8Array), Symbol.species, species);
  }
  assert(constructor === Uint8Array);
  assertEquals([...value], [1, 2, 3]);
});
test('a long stream of chunks that are there needs no stack', async () => {
  const count = 20000;
  const stream = new ReadableStream({
    start(controller) {
      for (let index = 0; index < count; index++) controller.enqueue(new Uint8Array(1));
      controller.close();
    },
  });
  assertEquals((await new Response(stream).arrayBuffer()).byteLength, count);
});
test('a pipe does not write while the source still enqueues', async () => {
  let controller;
  const seen = [];
  const source = new ReadableStream({ start(given) { controller = given; } }, { highWaterMark: 0 });
  const piped = source.pipeTo(new WritableStream({ write(chunk) { seen.push(chunk); } }));
  await nextTurn();
  controller.enqueue('a');
  assertEquals(seen, []);
  controller.enqueue('b');
  controller.close();
  await piped;
  assertEquals(seen, ['a', 'b']);
});
test('a chunk that a pipe has read is written before the destination is closed or aborted', async () => {
  for (const end of ['close', 'error']) {
    let controller;
    const seen = [];
    const source = new ReadableStream({ start(given) { controller = given; } }, { highWaterMark: 0 });
    const sink = { write(chunk) { seen.push(chunk); }, close() { seen.push('close'); }, abort(reason) { seen.push(`error ${reason}`); } };
    const piped = source.pipeTo(new WritableStream(sink));
    await nextTurn();
    controller.enqueue('a');
    if (end === 'close') controller.close();
    else controller.error('why');
    await piped.catch((reason) => { seen.push(`rejected ${reason}`); });
    assertEquals(seen, end === 'close' ? ['a', 'close'] : ['a', 'error why', 'rejected why']);
  }
});
test("what a transformer's cancel does to its stream decides what cancel() and close() become", async () => {
  const failure = new Error('from cancel');
  let controller;
  const { readable, writable } = new TransformStream({
    start(given) { controller = given; },
    async cancel() { controller.error(failure); },
  });
  const outcomes = await Promise.allSettled([readable.cancel('reason'), writable.close()]);
  for (const { status, reason } of outcomes) {
    assertEquals(status, 'rejected');
    assert(reason === failure);
  }
});
