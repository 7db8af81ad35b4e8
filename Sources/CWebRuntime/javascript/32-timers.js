(function (internal) {
  'use strict';
  // setTimeout, setInterval, their clears, queueMicrotask: https://html.spec.whatwg.org/#timers
  const { FunctionPrototypeCall, ReflectApply, SafeMap, SafeSet, TypeError, globalThis } = internal.primordials;
  const { converters, requireArguments } = internal.webidl;
  const { DOMException } = internal;
  const { clearTimer, setTimer } = internal.ops;

  const timers = new SafeMap();
  // Those of each request, with which they end.
  const timersOf = new SafeMap();
  let lastTimer = 0;

  const start = (callback, delay, rest, repeats) => {
    const timer = ++lastTimer;
    const rid = setTimer(timer, delay < 0 ? 0 : delay, repeats);
    if (rid === null) throw new DOMException('too many timers are set at once', 'QuotaExceededError');
    // Of a request that is over: it never fires.
    if (rid === 0) return timer;
    timers.set(timer, { __proto__: null, callback, rest, repeats, rid });
    let own = timersOf.get(rid);
    if (own === undefined) timersOf.set(rid, own = new SafeSet());
    own.add(timer);
    return timer;
  };

  // Returns whether it was set.
  const forget = (timer) => {
    const entry = timers.get(timer);
    if (entry === undefined) return false;
    timers.delete(timer);
    const own = timersOf.get(entry.rid);
    own.delete(timer);
    if (own.size === 0) timersOf.delete(entry.rid);
    return true;
  };

  internal.endTimersOf = (rid) => {
    const own = timersOf.get(rid);
    if (own === undefined) return;
    timersOf.delete(rid);
    own.forEach((timer) => { timers.delete(timer); });
  };

  const prepare = (name, count, handler, delay, rest, repeats) => {
    requireArguments(count, 1, name);
    if (typeof handler !== 'function') throw new TypeError(`${name}: the handler is not a function (code as a string is not supported)`);
    return start(handler, converters.long(delay, name, 'the delay'), rest, repeats);
  };

  const stop = (timer) => {
    const id = converters.long(timer, 'clearTimeout', 'the timer');
    if (forget(id)) clearTimer(id);
  };

  internal.hooks[6] = (timer) => {
    const entry = timers.get(timer);
    if (entry === undefined) return;
    if (!entry.repeats) forget(timer);
    try {
      ReflectApply(entry.callback, globalThis, entry.rest);
    } catch (error) {
      internal.reportException(error);
    }
  };

  // For the runtime: `callback` once after `delay` milliseconds; returns what stopTimer takes.
  internal.startTimer = (callback, delay) => start(callback, delay, [], false);
  internal.stopTimer = (timer) => { if (forget(timer)) clearTimer(timer); };

  // Awaiting a primitive looks at nothing the tenant can change.
  const runLater = async (callback) => {
    await undefined;
    try {
      FunctionPrototypeCall(callback, undefined);
    } catch (error) {
      internal.reportException(error);
    }
  };
  internal.queueMicrotask = runLater;

  const functions = {
    setTimeout(handler, delay = 0, ...rest) { return prepare('setTimeout', arguments.length, handler, delay, rest, false); },
    setInterval(handler, delay = 0, ...rest) { return prepare('setInterval', arguments.length, handler, delay, rest, true); },
    clearTimeout(timer = 0) { stop(timer); },
    clearInterval(timer = 0) { stop(timer); },
    queueMicrotask(callback) {
      requireArguments(arguments.length, 1, 'queueMicrotask');
      runLater(converters.Function(callback, 'queueMicrotask', 'the callback'));
    },
  };
  internal.expose('setTimeout', functions.setTimeout);
  internal.expose('setInterval', functions.setInterval);
  internal.expose('clearTimeout', functions.clearTimeout);
  internal.expose('clearInterval', functions.clearInterval);
  internal.expose('queueMicrotask', functions.queueMicrotask);
})
