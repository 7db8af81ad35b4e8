(function (internal) {
  'use strict';
  // What becomes of exceptions and rejections that nobody handles: an event at globalThis, else a line in the tenant's log.
  // https://html.spec.whatwg.org/#runtime-script-errors
  const { TypeError, globalThis } = internal.primordials;
  const { configure, converters, dictionary, isObject, requireArguments } = internal.webidl;
  const { Event, fireEvent, hasListeners } = internal;
  const { log } = internal.ops;

  class ErrorEvent extends Event {
    #message; #filename; #lineno; #colno; #error;
    constructor(type, init = undefined) {
      requireArguments(arguments.length, 1, 'ErrorEvent');
      super(type, init);
      const options = dictionary(init);
      const { colno = 0, error, filename = '', lineno = 0, message = '' } = options;
      this.#colno = converters['unsigned long'](colno, 'ErrorEvent', 'colno');
      this.#error = error;
      this.#filename = converters.USVString(filename, 'ErrorEvent', 'filename');
      this.#lineno = converters['unsigned long'](lineno, 'ErrorEvent', 'lineno');
      this.#message = converters.DOMString(message, 'ErrorEvent', 'message');
    }
    get message() { return this.#message; }
    get filename() { return this.#filename; }
    get lineno() { return this.#lineno; }
    get colno() { return this.#colno; }
    get error() { return this.#error; }
  }
  configure(ErrorEvent, 'ErrorEvent');

  class PromiseRejectionEvent extends Event {
    #promise; #reason;
    constructor(type, init) {
      requireArguments(arguments.length, 2, 'PromiseRejectionEvent');
      super(type, init);
      const { promise, reason } = dictionary(init);
      if (!isObject(promise)) throw new TypeError('PromiseRejectionEvent: options.promise is not an object');
      this.#promise = promise;
      this.#reason = reason;
    }
    get promise() { return this.#promise; }
    get reason() { return this.#reason; }
  }
  configure(PromiseRejectionEvent, 'PromiseRejectionEvent');

  // An exception nobody caught: 'error' is fired at globalThis; unless a listener prevents it, the tenant's log has it.
  let isReporting = false;
  internal.reportException = (error) => {
    let isHandled = false;
    if (!isReporting && hasListeners(globalThis, 'error')) {
      isReporting = true;
      try {
        const event = new ErrorEvent('error', { __proto__: null, cancelable: true, message: internal.describeError(error), error });
        isHandled = !fireEvent(globalThis, event);
      } finally {
        isReporting = false;
      }
    }
    if (!isHandled) log(4, 'Uncaught ' + internal.describeError(error));
  };

  internal.hooks[0] = (reason, promise) => {
    let isHandled = false;
    if (hasListeners(globalThis, 'unhandledrejection')) {
      const event = new PromiseRejectionEvent('unhandledrejection', { __proto__: null, cancelable: true, promise, reason });
      isHandled = !fireEvent(globalThis, event);
    }
    if (!isHandled) log(4, 'Uncaught (in promise) ' + internal.describeError(reason));
  };

  internal.ErrorEvent = ErrorEvent;
  internal.expose('ErrorEvent', ErrorEvent);
  internal.expose('PromiseRejectionEvent', PromiseRejectionEvent);
})
