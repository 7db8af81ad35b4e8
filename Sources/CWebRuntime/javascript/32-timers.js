(function (internal) {
  'use strict';
  // setTimeout, setInterval, their clears, queueMicrotask: https://html.spec.whatwg.org/#timers
  const { FunctionPrototypeCall, ReflectApply, SafeMap, TypeError, globalThis } = internal.primordials;
  const { converters, requireArguments } = internal.webidl;
  const { DOMException } = internal;
  const { clearTimer, setTimer } = internal.ops;

  const timers = new SafeMap();
  let lastTimer = 0;

  const start = (callback, delay, rest, repeats) => {
    const timer = ++lastTimer;
    if (!setTimer(timer, delay < 0 ? 0 : delay, repeats)) throw new DOMException('too many timers are set at once', 'QuotaExceededError');
    timers.set(timer, { __proto__: null, callback, rest, repeats });
    return timer;
  };

  const prepare = (name, count, handler, delay, rest, repeats) => {
    requireArguments(count, 1, name);
    if (typeof handler !== 'function') throw new TypeError(`${name}: the handler is not a function (code as a string is not supported)`);
    return start(handler, converters.long(delay, name, 'the delay'), rest, repeats);
  };

  const stop = (timer) => {
    const id = converters.long(timer, 'clearTimeout', 'the timer');
    if (timers.delete(id)) clearTimer(id);
  };

  internal.hooks[6] = (timer) => {
    const entry = timers.get(timer);
    if (entry === undefined) return;
    if (!entry.repeats) timers.delete(timer);
    try {
      ReflectApply(entry.callback, globalThis, entry.rest);
    } catch (error) {
      internal.reportException(error);
    }
  };

  // For the runtime: `callback` once after `delay` milliseconds; returns what stopTimer takes.
  internal.startTimer = (callback, delay) => start(callback, delay, [], false);
  internal.stopTimer = (timer) => { if (timers.delete(timer)) clearTimer(timer); };

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
