test('timers run in the order they are due, with their arguments', async () => {
  const seen = [];
  setTimeout((...given) => seen.push(...given), 20, 'c', 'd');
  setTimeout(() => seen.push('b'), 10);
  setTimeout(() => seen.push('a'));
  await nextTurn(30);
  assertEquals(seen, ['a', 'b', 'c', 'd']);
});
test('clearTimeout and clearInterval stop both kinds, and unknown ids do nothing', async () => {
  let count = 0;
  clearTimeout(setTimeout(() => count++, 1));
  clearInterval(setTimeout(() => count++, 1));
  clearTimeout(setInterval(() => count++, 1));
  clearTimeout(undefined);
  clearTimeout(123456);
  clearTimeout('x');
  clearTimeout();
  await nextTurn(10);
  assertEquals(count, 0);
});
test('an interval repeats until it is cleared, from within too', async () => {
  let count = 0;
  const id = setInterval(() => { if (++count === 3) clearInterval(id); }, 10);
  await nextTurn(100);
  assertEquals(count, 3);
});
test('ids are positive numbers and this is globalThis', async () => {
  let self;
  const id = setTimeout(function () { self = this; });
  assert(typeof id === 'number' && id > 0);
  await nextTurn(1);
  assert(self === globalThis);
});
test('odd delays are as Web IDL converts them', async () => {
  const seen = [];
  setTimeout(() => seen.push('negative'), -5);
  setTimeout(() => seen.push('NaN'), NaN);
  setTimeout(() => seen.push('text'), '3');
  setTimeout(() => seen.push('wraps'), 2 ** 32 + 1);
  await nextTurn(5);
  assertEquals(seen, ['negative', 'NaN', 'wraps', 'text']);
});
test('code as a string is refused by name', () => {
  assertThrows(() => setTimeout('alert(1)'), TypeError, /code as a string is not supported/);
  assertThrows(() => setInterval(), TypeError, /1 argument required/);
});
test('an exception in a timer is logged and others run', async () => {
  let ran = false;
  setTimeout(() => { throw new TypeError('in a timer'); });
  setTimeout(() => { ran = true; });
  await nextTurn(1);
  assert(ran);
  assertMatch(takeLogs()[0][1], /^Uncaught TypeError: in a timer\n/);
});
test('too many timers are refused', () => {
  const ids = [];
  const error = assertThrows(() => { for (;;) ids.push(setTimeout(() => {}, 1000)); }, 'QuotaExceededError', /too many timers/);
  assert(ids.length > 100 && error.code === 22);
  ids.forEach(clearTimeout);
  clearTimeout(setTimeout(() => {}));
});
test('microtasks run before timers, in order, and their exceptions are logged', async () => {
  const seen = [];
  setTimeout(() => seen.push('timer'));
  queueMicrotask(() => {
    seen.push(1);
    queueMicrotask(() => seen.push(3));
  });
  queueMicrotask(() => { throw 'thrown text'; });
  queueMicrotask(() => seen.push(2));
  await nextTurn();
  assertEquals(seen, [1, 2, 3, 'timer']);
  assertEquals(takeLogs(), [[4, 'Uncaught thrown text']]);
  assertThrows(() => queueMicrotask('x'), TypeError);
  assertThrows(() => queueMicrotask(), TypeError);
});
test('time stands still within a turn and moves between turns', async () => {
  const before = performance.now(), date = Date.now();
  for (let index = 0; index < 100_000; index++) index % 3;
  assertEquals([performance.now(), Date.now()], [before, date]);
  await nextTurn(25);
  assertEquals([performance.now() - before, Date.now() - date], [25, 25]);
  assertEquals(performance.timeOrigin + performance.now(), Date.now());
  assertEquals(performance.toJSON(), { timeOrigin: performance.timeOrigin });
});
