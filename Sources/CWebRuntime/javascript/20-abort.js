(function (internal) {
  'use strict';
  // AbortController and AbortSignal: https://dom.spec.whatwg.org/#aborting-ongoing-activities
  const {
    ArrayPrototypeIndexOf, ArrayPrototypePush, ArrayPrototypeSplice, SafeSet, TypeError, WeakRef, WeakRefPrototypeDeref,
  } = internal.primordials;
  const { configure, converters, illegalConstructor, isObject, requireArguments, sequence } = internal.webidl;
  const { DOMException, Event, EventTarget } = internal;

  const secret = {};
  const abortError = () => new DOMException('The operation was aborted', 'AbortError');
  let make, abort, dependentOn;

  class AbortSignal extends EventTarget {
    // undefined: not aborted. An abort reason is never undefined.
    #reason = undefined;
    #algorithms = undefined;
    // Of a signal made by any(): the signals it follows, none of which is such itself.
    #sources = undefined;
    // Signals that follow this one: weakly, and strongly those that somebody listens to.
    #dependents = undefined;
    #heldDependents = undefined;
    #sweepAt = 16;

    constructor(key = undefined) {
      if (key !== secret) throw illegalConstructor();
      super();
    }

    get aborted() { return this.#reason !== undefined; }
    get reason() { return this.#reason; }
    throwIfAborted() { if (this.#reason !== undefined) throw this.#reason; }

    static abort(reason = undefined) {
      const signal = make();
      signal.#reason = reason === undefined ? abortError() : reason;
      return signal;
    }

    static timeout(milliseconds) {
      requireArguments(arguments.length, 1, 'AbortSignal.timeout');
      const delay = converters['unsigned long long'](milliseconds, 'AbortSignal.timeout', 'the delay', { __proto__: null, enforceRange: true });
      const signal = make();
      internal.startTimer(() => abort(signal, new DOMException('The operation timed out', 'TimeoutError')), delay);
      return signal;
    }

    static any(signals) {
      requireArguments(arguments.length, 1, 'AbortSignal.any');
      return dependentOn(sequence(signals, (value) => {
        if (!internal.isAbortSignal(value)) throw new TypeError('AbortSignal.any: an item is not an AbortSignal');
        return value;
      }, 'AbortSignal.any', 'the list'));
    }

    #addDependent(signal) {
      this.#dependents ??= [];
      if (this.#dependents.length >= this.#sweepAt) {
        let kept = 0;
        const list = this.#dependents;
        for (let index = 0; index < list.length; index++) if (WeakRefPrototypeDeref(list[index]) !== undefined) list[kept++] = list[index];
        list.length = kept;
        this.#sweepAt = kept < 8 ? 16 : 2 * kept;
      }
      ArrayPrototypePush(this.#dependents, new WeakRef(signal));
    }

    // A signal that follows others must live as long as they do while somebody waits for it.
    #hold() {
      const list = this.#sources;
      if (list === undefined || this.#reason !== undefined) return;
      for (let index = 0; index < list.length; index++) (list[index].#heldDependents ??= new SafeSet()).add(this);
    }
    #release() {
      const list = this.#sources;
      if (list === undefined || this.#algorithms !== undefined || internal.hasListeners(this, 'abort')) return;
      for (let index = 0; index < list.length; index++) list[index].#heldDependents?.delete(this);
    }

    static {
      make = () => new AbortSignal(secret);

      abort = (signal, reason) => {
        if (signal.#reason !== undefined) return;
        signal.#reason = reason === undefined ? abortError() : reason;
        const followers = [];
        const list = signal.#dependents;
        for (let index = 0; list !== undefined && index < list.length; index++) {
          const follower = WeakRefPrototypeDeref(list[index]);
          if (follower === undefined || follower.#reason !== undefined) continue;
          follower.#reason = signal.#reason;
          ArrayPrototypePush(followers, follower);
        }
        signal.#dependents = signal.#heldDependents = undefined;
        signal.#run();
        for (let index = 0; index < followers.length; index++) followers[index].#run();
      };

      dependentOn = (signals) => {
        const result = make();
        for (let index = 0; index < signals.length; index++) {
          if (signals[index].#reason !== undefined) {
            result.#reason = signals[index].#reason;
            return result;
          }
        }
        const sources = new SafeSet();
        for (let index = 0; index < signals.length; index++) {
          const nested = signals[index].#sources;
          if (nested === undefined) sources.add(signals[index]);
          else for (let inner = 0; inner < nested.length; inner++) sources.add(nested[inner]);
        }
        result.#sources = [];
        sources.forEach((source) => {
          ArrayPrototypePush(result.#sources, source);
          source.#addDependent(result);
        });
        internal.onListenersChanged(result, (type, count) => {
          if (type !== 'abort') return;
          if (count > 0) result.#hold();
          else result.#release();
        });
        return result;
      };

      internal.isAbortSignal = (value) => isObject(value) && #reason in value;
      internal.isAborted = (signal) => signal.#reason !== undefined;
      internal.abortReason = (signal) => signal.#reason;
      // `algorithm` runs once when the signal aborts, before listeners; not at all if it already has.
      internal.addAbortAlgorithm = (signal, algorithm) => {
        if (signal.#reason !== undefined) return;
        ArrayPrototypePush((signal.#algorithms ??= []), algorithm);
        signal.#hold();
      };
      internal.removeAbortAlgorithm = (signal, algorithm) => {
        const list = signal.#algorithms;
        const index = list === undefined ? -1 : ArrayPrototypeIndexOf(list, algorithm);
        if (index < 0) return;
        ArrayPrototypeSplice(list, index, 1);
        if (list.length === 0) {
          signal.#algorithms = undefined;
          signal.#release();
        }
      };
    }

    #run() {
      const list = this.#algorithms;
      this.#algorithms = undefined;
      this.#sources = undefined;
      for (let index = 0; list !== undefined && index < list.length; index++) {
        try {
          list[index]();
        } catch (error) {
          internal.reportException(error);
        }
      }
      internal.fireEvent(this, new Event('abort'));
    }
  }
  configure(AbortSignal, 'AbortSignal');
  internal.defineEventHandler(AbortSignal, 'abort');

  class AbortController {
    #signal = make();
    get signal() { return this.#signal; }
    abort(reason = undefined) { abort(this.#signal, reason); }
  }
  configure(AbortController, 'AbortController');

  // For the runtime: a signal and the function that aborts it.
  internal.createAbortSignal = () => {
    const signal = make();
    return { __proto__: null, signal, abort: (reason) => abort(signal, reason) };
  };
  // A signal that aborts with the first of an array of signals.
  internal.dependentAbortSignal = dependentOn;
  internal.AbortSignal = AbortSignal;
  internal.AbortController = AbortController;
  internal.expose('AbortSignal', AbortSignal);
  internal.expose('AbortController', AbortController);
})
