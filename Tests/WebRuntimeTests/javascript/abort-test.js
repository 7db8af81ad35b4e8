test('abort sets the reason and fires once', () => {
  const controller = new AbortController();
  const { signal } = controller;
  assert(controller.signal === signal);
  let count = 0;
  signal.onabort = (event) => {
    count++;
    assert(event.target === signal && event.isTrusted);
  };
  assertEquals([signal.aborted, signal.reason], [false, undefined]);
  signal.throwIfAborted();
  controller.abort();
  controller.abort('again');
  assertEquals(count, 1);
  assert(signal.aborted);
  assertEquals([signal.reason.name, signal.reason.code], ['AbortError', 20]);
  assertThrows(() => signal.throwIfAborted(), 'AbortError');
});
test('a reason of any kind is kept as it is', () => {
  for (const reason of [null, 0, '', 'text', { a: 1 }]) {
    const controller = new AbortController();
    controller.abort(reason);
    assert(controller.signal.reason === reason && controller.signal.aborted);
    assert(AbortSignal.abort(reason).reason === reason);
  }
  assertEquals(AbortSignal.abort().reason.name, 'AbortError');
});
test('a signal cannot be constructed', () => {
  assertThrows(() => new AbortSignal(), TypeError, /Illegal constructor/);
  assertThrows(() => AbortController.prototype.abort.call({}), TypeError);
  assertEquals(Object.prototype.toString.call(new AbortController().signal), '[object AbortSignal]');
});
test('timeout aborts with TimeoutError after its delay', async () => {
  const signal = AbortSignal.timeout(100);
  await nextTurn(99);
  assert(!signal.aborted);
  await nextTurn(1);
  assertEquals(signal.reason.name, 'TimeoutError');
  for (const bad of [-1, NaN, Infinity, 2 ** 60]) assertThrows(() => AbortSignal.timeout(bad), TypeError);
});
test('any follows the first of its signals', () => {
  const a = new AbortController(), b = new AbortController();
  const any = AbortSignal.any([a.signal, b.signal]);
  let count = 0;
  any.addEventListener('abort', () => count++);
  b.abort('b');
  a.abort('a');
  assertEquals([any.reason, count], ['b', 1]);
  assert(!AbortSignal.any([]).aborted);
  assertEquals(AbortSignal.any([new AbortController().signal, AbortSignal.abort('x')]).reason, 'x');
  assertThrows(() => AbortSignal.any([{}]), TypeError, /not an AbortSignal/);
  assertThrows(() => AbortSignal.any(), TypeError);
});
test('any of any follows the sources, in the order they were made', () => {
  const controller = new AbortController();
  const first = AbortSignal.any([controller.signal]);
  const second = AbortSignal.any([first]);
  const seen = [];
  second.addEventListener('abort', () => seen.push('second', first.aborted, controller.signal.aborted));
  first.addEventListener('abort', () => seen.push('first', second.aborted));
  controller.signal.addEventListener('abort', () => seen.push('source', first.aborted));
  controller.abort();
  assertEquals(seen, ['source', true, 'first', true, 'second', true, true]);
});
test('a long-lived signal does not pile up signals that follow it', () => {
  const { signal } = new AbortController();
  for (let index = 0; index < 10_000; index++) AbortSignal.any([signal]);
  assert(!signal.aborted);
});
test('onabort is an accessor that takes functions and objects, else null', () => {
  const { signal } = new AbortController();
  assertEquals(signal.onabort, null);
  const handler = () => {};
  signal.onabort = handler;
  assert(signal.onabort === handler);
  signal.onabort = 'text';
  assertEquals(signal.onabort, null);
});
test('algorithms of the runtime run before listeners and not after removal', () => {
  const { internal } = fixture;
  const controller = new AbortController();
  const seen = [];
  const removed = () => seen.push('removed');
  controller.signal.addEventListener('abort', () => seen.push('listener'));
  internal.addAbortAlgorithm(controller.signal, () => seen.push('algorithm'));
  internal.addAbortAlgorithm(controller.signal, removed);
  internal.removeAbortAlgorithm(controller.signal, removed);
  controller.abort();
  internal.addAbortAlgorithm(controller.signal, () => seen.push('late'));
  assertEquals(seen, ['algorithm', 'listener']);
  const { abort, signal } = internal.createAbortSignal();
  abort('why');
  assertEquals([signal.reason, internal.isAborted(signal), internal.isAbortSignal({})], ['why', true, false]);
});
