(function (internal) {
  'use strict';
  // WritableStream, its writer and controller: https://streams.spec.whatwg.org/#ws-class
  const {
    FunctionPrototypeCall, ObjectDefineProperty, PromiseReject, PromiseResolve, RangeError, TypeError,
  } = internal.primordials;
  const { configure, illegalConstructor, illegalInvocation, isObject, requireArguments } = internal.webidl;
  const { highWaterMarkOf, methodOf, one, promiseCall, sizeOf, strategyOf } = internal.source('stream-base');
  const {
    Controller, StreamState, abortStream, acquireWriter, closeStream, isClosing, releaseWriter, write,
  } = internal.source('writable-states');
  const secret = {};

  // A stream of the runtime's own; the algorithms write(chunk), close() and abort(reason) return promises.
  const createStream = (algorithms, highWaterMark = 1, size = one) => {
    const state = new StreamState();
    const api = makeStream(state);
    new Controller(state, algorithms, highWaterMark, size).start();
    return api;
  };

  let stateOf, makeStream, wrapWriter, withStream;

  class WritableStreamDefaultController {
    #state;
    constructor(key = undefined, state = undefined) {
      if (key !== secret) throw illegalConstructor();
      this.#state = state;
    }
    get signal() { return this.#state.getSignal(); }
    error(error = undefined) { this.#state.errorIfNeeded(error); }
  }
  configure(WritableStreamDefaultController, 'WritableStreamDefaultController');

  class WritableStream {
    #state;

    constructor(underlyingSink = undefined, strategy = undefined) {
      if (underlyingSink === secret) {
        this.#state = strategy;
        strategy.api = this;
        return;
      }
      const prefix = 'WritableStream';
      if (underlyingSink !== undefined && !isObject(underlyingSink)) throw new TypeError(`${prefix}: the underlying sink is not an object`);
      const chosen = strategyOf(strategy, prefix);
      const sink = underlyingSink ?? { __proto__: null };
      const abort = methodOf(sink, 'abort', prefix);
      const close = methodOf(sink, 'close', prefix);
      const start = methodOf(sink, 'start', prefix);
      if (sink.type !== undefined) throw new RangeError(`${prefix}: the underlying sink has a type`);
      const writeMethod = methodOf(sink, 'write', prefix);
      const size = sizeOf(chosen);
      const highWaterMark = highWaterMarkOf(chosen, 1);
      const state = new StreamState();
      this.#state = state;
      state.api = this;
      const api = () => (controller.api ??= new WritableStreamDefaultController(secret, controller));
      const done = PromiseResolve(undefined);
      const controller = new Controller(state, {
        __proto__: null,
        start: () => (start === undefined ? undefined : FunctionPrototypeCall(start, sink, api())),
        write: (chunk) => (writeMethod === undefined ? done : promiseCall(writeMethod, sink, [chunk, api()])),
        close: () => (close === undefined ? done : promiseCall(close, sink, [])),
        abort: (reason) => (abort === undefined ? done : promiseCall(abort, sink, [reason])),
      }, highWaterMark, size);
      controller.start();
    }

    get locked() { return this.#state.writer !== undefined; }

    abort(reason = undefined) {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.writer !== undefined) return PromiseReject(new TypeError('WritableStream.abort: the stream is locked to a writer'));
      return abortStream(this.#state, reason);
    }

    close() {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.writer !== undefined) return PromiseReject(new TypeError('WritableStream.close: the stream is locked to a writer'));
      if (isClosing(this.#state)) return PromiseReject(new TypeError('WritableStream.close: the stream is closing already'));
      return closeStream(this.#state);
    }

    getWriter() { return wrapWriter(acquireWriter(this.#state)); }

    static {
      stateOf = (value) => (isObject(value) && #state in value ? value.#state : undefined);
      makeStream = (state) => new WritableStream(secret, state);
    }
  }
  configure(WritableStream, 'WritableStream');

  class WritableStreamDefaultWriter {
    #state;

    constructor(stream, state = undefined) {
      if (stream === secret) {
        this.#state = state;
        return;
      }
      requireArguments(arguments.length, 1, 'WritableStreamDefaultWriter');
      const found = stateOf(stream);
      if (found === undefined) throw new TypeError('WritableStreamDefaultWriter: the argument is not a WritableStream');
      this.#state = acquireWriter(found);
    }

    get closed() { return isObject(this) && #state in this ? this.#state.closed.promise : PromiseReject(illegalInvocation()); }
    get ready() { return isObject(this) && #state in this ? this.#state.ready.promise : PromiseReject(illegalInvocation()); }

    get desiredSize() {
      const { stream } = this.#state;
      if (stream === undefined) throw new TypeError('WritableStreamDefaultWriter.desiredSize: the writer was released');
      if (stream.state === 'errored' || stream.state === 'erroring') return null;
      return stream.state === 'closed' ? 0 : stream.controller.desiredSize();
    }

    abort(reason = undefined) { return withStream(this, 'abort', (state) => abortStream(state.stream, reason)); }

    close() {
      return withStream(this, 'close', (state) => {
        if (!isClosing(state.stream)) return closeStream(state.stream);
        return PromiseReject(new TypeError('WritableStreamDefaultWriter.close: the stream is closing already'));
      });
    }

    releaseLock() { if (this.#state.stream !== undefined) releaseWriter(this.#state); }

    write(chunk = undefined) { return withStream(this, 'write', (state) => write(state, chunk)); }

    static {
      wrapWriter = (state) => new WritableStreamDefaultWriter(secret, state);
      withStream = (writer, name, act) => {
        if (!(isObject(writer) && #state in writer)) return PromiseReject(illegalInvocation());
        if (writer.#state.stream !== undefined) return act(writer.#state);
        return PromiseReject(new TypeError(`WritableStreamDefaultWriter.${name}: the writer was released`));
      };
    }
  }
  configure(WritableStreamDefaultWriter, 'WritableStreamDefaultWriter');
  ObjectDefineProperty(WritableStreamDefaultWriter, 'length', {
    __proto__: null, value: 1, writable: false, enumerable: false, configurable: true,
  });

  return {
    __proto__: null,
    WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter, createStream, stateOf,
  };
})
