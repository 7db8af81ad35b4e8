(function (internal) {
  'use strict';
  // Event, EventTarget and what derives from them: https://dom.spec.whatwg.org/#events. There is no tree: an event has one target.
  const {
    ArrayPrototypeIndexOf, ArrayPrototypePush, ArrayPrototypeSlice, ArrayPrototypeSplice, FunctionPrototypeCall, ObjectDefineProperty,
    SafeMap, TypeError, globalThis,
  } = internal.primordials;
  const { configure, constants, converters, dictionary, isObject, requireArguments } = internal.webidl;
  const { DOMException } = internal;
  const { time, timeOrigin } = internal.ops;

  const NONE = 0, AT_TARGET = 2;
  let dispatchOf;

  class Event {
    #type; #bubbles; #cancelable; #composed; #timeStamp;
    #target = null;
    #currentTarget = null;
    #phase = NONE;
    #isTrusted = false;
    #isDispatching = false;
    #isCanceled = false;
    #isPassive = false;
    #propagationStopped = false;
    #immediateStopped = false;

    constructor(type, init = undefined) {
      requireArguments(arguments.length, 1, 'Event');
      this.#type = converters.DOMString(type, 'Event', 'the type');
      const options = dictionary(init, 'Event', 'the options');
      this.#bubbles = !!options.bubbles;
      this.#cancelable = !!options.cancelable;
      this.#composed = !!options.composed;
      this.#timeStamp = time() - timeOrigin();
    }

    get type() { return this.#type; }
    get target() { return this.#target; }
    get srcElement() { return this.#target; }
    get currentTarget() { return this.#currentTarget; }
    get eventPhase() { return this.#phase; }
    get bubbles() { return this.#bubbles; }
    get cancelable() { return this.#cancelable; }
    get composed() { return this.#composed; }
    get timeStamp() { return this.#timeStamp; }
    get isTrusted() { return this.#isTrusted; }
    get defaultPrevented() { return this.#isCanceled; }
    get returnValue() { return !this.#isCanceled; }
    set returnValue(value) { if (!value) this.preventDefault(); }
    get cancelBubble() { return this.#propagationStopped; }
    set cancelBubble(value) { if (value) this.#propagationStopped = true; }
    composedPath() { return this.#currentTarget === null ? [] : [this.#currentTarget]; }
    stopPropagation() { this.#propagationStopped = true; }
    stopImmediatePropagation() {
      this.#propagationStopped = true;
      this.#immediateStopped = true;
    }
    preventDefault() { if (this.#cancelable && !this.#isPassive) this.#isCanceled = true; }
    initEvent(type, bubbles = false, cancelable = false) {
      requireArguments(arguments.length, 1, 'Event.initEvent');
      const string = converters.DOMString(type, 'Event.initEvent', 'the type');
      if (this.#isDispatching) return;
      this.#type = string;
      this.#bubbles = !!bubbles;
      this.#cancelable = !!cancelable;
      this.#propagationStopped = this.#immediateStopped = this.#isCanceled = this.#isTrusted = false;
      this.#target = null;
    }

    static {
      // Runs the listeners of `state` (what eventTargetState returns); returns false if the event was canceled.
      dispatchOf = (event, target, state, isTrusted) => {
        if (!isObject(event) || !(#type in event)) throw new TypeError('EventTarget.dispatchEvent: the event is not an Event');
        if (event.#isDispatching) throw new DOMException('EventTarget.dispatchEvent: the event is being dispatched already', 'InvalidStateError');
        event.#isTrusted = isTrusted;
        event.#isDispatching = true;
        event.#target = target;
        const listeners = state.listeners?.get(event.#type);
        if (listeners !== undefined && !event.#propagationStopped) {
          event.#currentTarget = target;
          event.#phase = AT_TARGET;
          // Capturing listeners come first at the target.
          const list = ArrayPrototypeSlice(listeners);
          for (let pass = 0; pass < 2; pass++) {
            if (pass === 1 && event.#propagationStopped) break;
            for (let index = 0; index < list.length && !event.#immediateStopped; index++) {
              const listener = list[index];
              if (listener.isRemoved || listener.capture !== (pass === 0)) continue;
              if (listener.once) removeListener(state, event.#type, listener);
              event.#isPassive = listener.passive;
              try {
                const { callback } = listener;
                if (typeof callback === 'function') {
                  const result = FunctionPrototypeCall(callback, target, event);
                  if (listener.isHandler && result === false) event.preventDefault();
                } else {
                  const { handleEvent } = callback;
                  if (typeof handleEvent !== 'function') throw new TypeError('EventListener.handleEvent is not a function');
                  FunctionPrototypeCall(handleEvent, callback, event);
                }
              } catch (error) {
                internal.reportException(error);
              }
              event.#isPassive = false;
            }
          }
        }
        event.#phase = NONE;
        event.#currentTarget = null;
        event.#isDispatching = false;
        event.#propagationStopped = event.#immediateStopped = false;
        return !event.#isCanceled;
      };
    }
  }
  configure(Event, 'Event');
  constants(Event, { NONE, CAPTURING_PHASE: 1, AT_TARGET, BUBBLING_PHASE: 3 });

  const removeListener = (state, type, listener) => {
    const list = state.listeners?.get(type);
    const index = list === undefined ? -1 : ArrayPrototypeIndexOf(list, listener);
    if (index < 0) return;
    listener.isRemoved = true;
    ArrayPrototypeSplice(list, index, 1);
    if (list.length === 0) state.listeners.delete(type);
    state.changed?.(type, list.length);
  };

  const addListener = (state, type, listener) => {
    state.listeners ??= new SafeMap();
    let list = state.listeners.get(type);
    if (list === undefined) state.listeners.set(type, (list = []));
    for (let index = 0; index < list.length; index++) {
      const other = list[index];
      if (other.callback === listener.callback && other.capture === listener.capture && !other.isHandler && !listener.isHandler) return;
    }
    ArrayPrototypePush(list, listener);
    state.changed?.(type, list.length);
    if (listener.signal) internal.addAbortAlgorithm(listener.signal, () => removeListener(state, type, listener));
  };

  // globalThis is a target too, but cannot hold a private field (its proxy is made anew with each context).
  const globalState = { __proto__: null, listeners: undefined, changed: undefined };
  let stateOf, setChanged;

  class EventTarget {
    // Made with the first listener: most signals never get one.
    #state = undefined;
    #changed = undefined;

    addEventListener(type, callback, options = undefined) {
      const state = stateOf(this);
      requireArguments(arguments.length, 2, 'EventTarget.addEventListener');
      const name = converters.DOMString(type, 'EventTarget.addEventListener', 'the type');
      if (callback !== null && callback !== undefined && !isObject(callback)) {
        throw new TypeError('EventTarget.addEventListener: the callback is not an object');
      }
      let capture = false, once = false, passive = false, signal;
      if (isObject(options)) {
        capture = !!options.capture;
        once = !!options.once;
        passive = !!options.passive;
        signal = options.signal;
        if (signal !== undefined && !internal.isAbortSignal(signal)) {
          throw new TypeError('EventTarget.addEventListener: options.signal is not an AbortSignal');
        }
      } else {
        capture = !!options;
      }
      if (state === globalState && name === 'fetch') {
        throw new TypeError("addEventListener('fetch') is not supported: export default { async fetch(request, env, ctx) { ... } } instead");
      }
      if (signal !== undefined && internal.isAborted(signal)) return;
      if (callback === null || callback === undefined) return;
      addListener(state, name, { __proto__: null, callback, capture, once, passive, signal, isRemoved: false, isHandler: false });
    }

    removeEventListener(type, callback, options = undefined) {
      const state = stateOf(this);
      requireArguments(arguments.length, 2, 'EventTarget.removeEventListener');
      const name = converters.DOMString(type, 'EventTarget.removeEventListener', 'the type');
      const list = state.listeners?.get(name);
      const capture = isObject(options) ? !!options.capture : !!options;
      for (let index = 0; list !== undefined && index < list.length; index++) {
        const listener = list[index];
        if (listener.callback === callback && listener.capture === capture && !listener.isHandler) {
          removeListener(state, name, listener);
          return;
        }
      }
    }

    dispatchEvent(event) {
      const state = stateOf(this);
      requireArguments(arguments.length, 1, 'EventTarget.dispatchEvent');
      return dispatchOf(event, this ?? globalThis, state, false);
    }

    static {
      stateOf = (target) => {
        if (target === undefined || target === null || target === globalThis) return globalState;
        return (target.#state ??= { __proto__: null, listeners: undefined, changed: target.#changed });
      };
      // `changed(type, count)` is called when the number of listeners for a type changes.
      setChanged = (target, changed) => { target.#changed = changed; };
      internal.hasListeners = (target, type) =>
        (target === globalThis ? globalState : target.#state)?.listeners?.get(type) !== undefined;
    }
  }
  configure(EventTarget, 'EventTarget');

  // An `on...` attribute: one listener that keeps its place while the handler is replaced.
  internal.defineEventHandler = (constructor, type) => {
    const handlers = new internal.primordials.SafeWeakMap();
    ObjectDefineProperty(constructor.prototype, 'on' + type, {
      __proto__: null,
      get() { return handlers.get(this)?.callback ?? null; },
      set(value) {
        const state = stateOf(this);
        const handler = isObject(value) ? value : null;
        let listener = handlers.get(this);
        if (handler === null) {
          if (listener !== undefined) removeListener(state, type, listener);
          handlers.delete(this);
        } else if (listener !== undefined) {
          listener.callback = handler;
        } else {
          listener = { __proto__: null, callback: handler, capture: false, once: false, passive: false, isRemoved: false, isHandler: true };
          handlers.set(this, listener);
          addListener(state, type, listener);
        }
      },
      enumerable: true,
      configurable: true,
    });
  };

  const { initEvent } = Event.prototype;

  class CustomEvent extends Event {
    #detail;
    constructor(type, init = undefined) {
      requireArguments(arguments.length, 1, 'CustomEvent');
      super(type, init);
      this.#detail = dictionary(init).detail ?? null;
    }
    get detail() { return this.#detail; }
    initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
      requireArguments(arguments.length, 1, 'CustomEvent.initCustomEvent');
      if (this.eventPhase !== NONE) return;
      FunctionPrototypeCall(initEvent, this, type, bubbles, cancelable);
      this.#detail = detail;
    }
  }
  configure(CustomEvent, 'CustomEvent');

  const { addEventListener, dispatchEvent, removeEventListener } = EventTarget.prototype;
  const fire = (target, event) => dispatchOf(event, target, stateOf(target), true);

  internal.fireEvent = fire;
  internal.onListenersChanged = setChanged;
  internal.Event = Event;
  internal.EventTarget = EventTarget;
  internal.CustomEvent = CustomEvent;
  internal.expose('Event', Event);
  internal.expose('EventTarget', EventTarget);
  internal.expose('CustomEvent', CustomEvent);
  internal.expose('addEventListener', addEventListener);
  internal.expose('removeEventListener', removeEventListener);
  internal.expose('dispatchEvent', dispatchEvent);
})
