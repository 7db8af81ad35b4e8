test('listeners run in order, capturing ones first, each callback once', () => {
  const target = new EventTarget();
  const seen = [];
  const a = () => seen.push('a');
  target.addEventListener('x', a);
  target.addEventListener('x', a);
  target.addEventListener('x', () => seen.push('capture'), true);
  target.addEventListener('x', { handleEvent(event) { seen.push(event.type, this !== undefined); } });
  target.addEventListener('y', () => seen.push('y'));
  assert(target.dispatchEvent(new Event('x')));
  assertEquals(seen, ['capture', 'a', 'x', true]);
});
test('once, removal, and a null callback', () => {
  const target = new EventTarget();
  let count = 0;
  const listener = () => count++;
  target.addEventListener('x', listener, { once: true });
  target.addEventListener('x', null);
  target.dispatchEvent(new Event('x'));
  target.dispatchEvent(new Event('x'));
  assertEquals(count, 1);
  target.addEventListener('x', listener, { capture: true });
  target.removeEventListener('x', listener);
  target.dispatchEvent(new Event('x'));
  assertEquals(count, 2, 'removal looks at capture');
  target.removeEventListener('x', listener, true);
  target.dispatchEvent(new Event('x'));
  assertEquals(count, 2);
});
test('a listener removed during dispatch does not run, one added does not yet', () => {
  const target = new EventTarget();
  const seen = [];
  const second = () => seen.push('second');
  target.addEventListener('x', () => {
    target.removeEventListener('x', second);
    target.addEventListener('x', () => seen.push('late'));
  });
  target.addEventListener('x', second);
  target.dispatchEvent(new Event('x'));
  assertEquals(seen, []);
});
test('an event carries its target and phase while it is dispatched', () => {
  const target = new EventTarget();
  const event = new Event('x', { bubbles: true, cancelable: true, composed: true });
  assertEquals([event.target, event.currentTarget, event.eventPhase, event.isTrusted], [null, null, 0, false]);
  target.addEventListener('x', (given) => {
    assert(given === event && event.target === target && event.currentTarget === target && event.srcElement === target);
    assertEquals(event.eventPhase, Event.AT_TARGET);
    assert(event.composedPath()[0] === target);
    assertThrows(() => target.dispatchEvent(event), 'InvalidStateError');
  });
  target.dispatchEvent(event);
  assertEquals([event.currentTarget, event.eventPhase, event.composedPath().length], [null, 0, 0]);
  assert(event.target === target);
  assertEquals([event.bubbles, event.cancelable, event.composed], [true, true, true]);
  assertEquals(takeLogs(), []);
});
test('preventDefault counts for cancelable events and not in passive listeners', () => {
  const target = new EventTarget();
  target.addEventListener('x', (event) => event.preventDefault(), { passive: true });
  assert(target.dispatchEvent(new Event('x', { cancelable: true })));
  target.addEventListener('x', (event) => { event.returnValue = false; });
  assert(target.dispatchEvent(new Event('x')));
  const event = new Event('x', { cancelable: true });
  assert(!target.dispatchEvent(event));
  assert(event.defaultPrevented && !event.returnValue);
});
test('stopImmediatePropagation keeps later listeners out', () => {
  const target = new EventTarget();
  let count = 0;
  target.addEventListener('x', (event) => {
    count++;
    event.stopImmediatePropagation();
  });
  target.addEventListener('x', () => count++);
  target.dispatchEvent(new Event('x'));
  assertEquals(count, 1);
});
test('an exception in a listener is logged and the next one runs', () => {
  const target = new EventTarget();
  let ran = false;
  target.addEventListener('x', () => { throw new Error('listener broke'); });
  target.addEventListener('x', () => { ran = true; });
  target.dispatchEvent(new Event('x'));
  assert(ran);
  const [[level, text]] = takeLogs();
  assertEquals(level, 4);
  assertMatch(text, /^Uncaught Error: listener broke\n +at /);
});
test('signal removes a listener', () => {
  const target = new EventTarget();
  const controller = new AbortController();
  let count = 0;
  target.addEventListener('x', () => count++, { signal: controller.signal });
  target.dispatchEvent(new Event('x'));
  controller.abort();
  target.dispatchEvent(new Event('x'));
  target.addEventListener('x', () => count++, { signal: controller.signal });
  target.dispatchEvent(new Event('x'));
  assertEquals(count, 1);
  assertThrows(() => target.addEventListener('x', () => {}, { signal: {} }), TypeError, /not an AbortSignal/);
});
test('EventTarget can be extended and refuses what is not one', () => {
  class Mine extends EventTarget {}
  let type;
  const mine = new Mine();
  mine.addEventListener('x', (event) => { type = event.type; });
  mine.dispatchEvent(new CustomEvent('x', { detail: 1 }));
  assertEquals(type, 'x');
  assertThrows(() => EventTarget.prototype.addEventListener.call({}, 'x', () => {}), TypeError);
  assertThrows(() => mine.addEventListener('x', 'text'), TypeError);
  assertThrows(() => mine.addEventListener('x'), TypeError, /2 arguments required/);
  assertThrows(() => mine.dispatchEvent({ type: 'x' }), TypeError, /not an Event/);
  assertThrows(() => new Event(), TypeError, /1 argument required/);
});
test('CustomEvent and ErrorEvent carry what they are given', () => {
  assertEquals(new CustomEvent('x', { detail: { a: 1 } }).detail, { a: 1 });
  assertEquals(new CustomEvent('x').detail, null);
  const error = new Error('e');
  const event = new ErrorEvent('error', { message: 'm', filename: 'f', lineno: 1, colno: 2, error });
  assertEquals([event.message, event.filename, event.lineno, event.colno], ['m', 'f', 1, 2]);
  assert(event.error === error);
  assertEquals(Object.prototype.toString.call(event), '[object ErrorEvent]');
  assertThrows(() => new PromiseRejectionEvent('x', {}), TypeError, /promise/);
});
test('globalThis is a target for error; preventing it keeps the log empty', () => {
  const errors = [];
  const listener = (event) => {
    errors.push(event.error.message, event.message);
    event.preventDefault();
  };
  addEventListener('error', listener);
  reportError(new Error('reported'));
  removeEventListener('error', listener);
  assertEquals(errors, ['reported', errors[1]]);
  assertMatch(errors[1], /reported/);
  assertEquals(takeLogs(), []);
  reportError(new Error('again'));
  assertMatch(takeLogs()[0][1], /^Uncaught Error: again/);
});
test('an error in an error listener does not go round for ever', () => {
  const listener = () => { throw new Error('second'); };
  addEventListener('error', listener);
  reportError(new Error('first'));
  removeEventListener('error', listener);
  assertEquals(takeLogs().map(([, text]) => text.split('\n')[0]), ['Uncaught Error: second', 'Uncaught Error: first']);
});
test('an unhandled rejection is logged at the end of the turn, a handled one is not', async () => {
  Promise.reject(new Error('nobody cares'));
  const handled = Promise.reject(new Error('somebody does'));
  await undefined;
  handled.catch(() => {});
  await nextTurn();
  const lines = takeLogs();
  assertEquals(lines.length, 1);
  assertMatch(lines[0][1], /^Uncaught \(in promise\) Error: nobody cares/);
});
test('unhandledrejection can be prevented', async () => {
  let seen;
  const listener = (event) => {
    seen = event;
    event.preventDefault();
  };
  addEventListener('unhandledrejection', listener);
  const promise = Promise.reject('plain');
  await nextTurn();
  removeEventListener('unhandledrejection', listener);
  assertEquals([seen.reason, seen.type, seen.isTrusted], ['plain', 'unhandledrejection', true]);
  assert(seen.promise === promise);
  assertEquals(takeLogs(), []);
});
test('the service worker syntax is refused by name', () => {
  assertThrows(() => addEventListener('fetch', () => {}), TypeError, /export default/);
});
test('DOMException', () => {
  const error = new DOMException('m', 'AbortError');
  assertEquals([error.name, error.message, error.code, String(error)], ['AbortError', 'm', 20, 'AbortError: m']);
  assert(error instanceof Error && error instanceof DOMException);
  assertEquals(typeof error.stack, 'string');
  assertEquals(Object.prototype.toString.call(error), '[object DOMException]');
  assertEquals([new DOMException().name, new DOMException().message, new DOMException('', 'Other').code], ['Error', '', 0]);
  assertEquals(DOMException.DATA_CLONE_ERR, 25);
  assertEquals(new DOMException('m', { name: 'X', cause: 1 }).cause, 1);
  assertEquals(new DOMException('', 'SyntaxError').code, 12);
});
