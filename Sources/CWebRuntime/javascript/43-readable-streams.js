(function (internal) {
  'use strict';
  // ReadableStream, its default reader and controller, and its async iteration: https://streams.spec.whatwg.org/#rs-class
  const {
    AsyncIteratorPrototype, FunctionPrototypeCall, ObjectCreate, ObjectDefineProperty, PromiseReject, PromiseResolve, RangeError,
    SymbolAsyncIterator, TypeError,
  } = internal.primordials;
  const {
    configure, converters, dictionary, enumeration, illegalConstructor, illegalInvocation, isObject, requireArguments,
  } = internal.webidl;
  const {
    deferred, define, highWaterMarkOf, markHandled, methodOf, one, promiseCall, sizeOf, strategyOf, then,
  } = internal.source('stream-base');
  const { DefaultController, StreamState, acquireReader, cancelStream, read, releaseReader } = internal.source('readable-states');
  const { source } = internal;
  const secret = {};

  // A stream of the runtime's own; the algorithms pull() and cancel(reason) return promises.
  const createStream = (algorithms, highWaterMark = 1, size = one) => {
    const api = makeStream(new StreamState());
    const state = streamStateOf(api);
    new DefaultController(state, algorithms, highWaterMark, size).start();
    return api;
  };

  let streamStateOf, makeStream, wrapReader;

  // The algorithms that call an underlying source's methods.
  const algorithmsOf = (underlying, methods, controllerApi) => ({
    __proto__: null,
    start: () => (methods.start === undefined ? undefined : FunctionPrototypeCall(methods.start, underlying, controllerApi())),
    pull: () => (methods.pull === undefined ? PromiseResolve(undefined) : promiseCall(methods.pull, underlying, [controllerApi()])),
    cancel: (reason) => (methods.cancel === undefined ? PromiseResolve(undefined) : promiseCall(methods.cancel, underlying, [reason])),
  });

  class ReadableStreamDefaultController {
    #state;
    constructor(key = undefined, state = undefined) {
      if (key !== secret) throw illegalConstructor();
      this.#state = state;
    }
    get desiredSize() { return this.#state.desiredSize(); }
    close() {
      const state = this.#state;
      if (!state.canCloseOrEnqueue()) {
        throw new TypeError('ReadableStreamDefaultController.close: the stream is closed, closing or errored');
      }
      state.close();
    }
    enqueue(chunk = undefined) {
      const state = this.#state;
      if (!state.canCloseOrEnqueue()) {
        throw new TypeError('ReadableStreamDefaultController.enqueue: the stream is closed, closing or errored');
      }
      state.enqueue(chunk);
    }
    error(error = undefined) { this.#state.error(error); }
  }
  configure(ReadableStreamDefaultController, 'ReadableStreamDefaultController');

  // --------------------------------------------------------------------------------------------------------- ReadableStream

  const pipeOptionsOf = (value, prefix) => {
    const { preventAbort, preventCancel, preventClose, signal } = dictionary(value, prefix, 'the options');
    if (signal !== undefined && !internal.isAbortSignal(signal)) throw new TypeError(`${prefix}: options.signal is not an AbortSignal`);
    return { preventAbort: !!preventAbort, preventCancel: !!preventCancel, preventClose: !!preventClose, signal };
  };

  class ReadableStream {
    #state;

    constructor(underlyingSource = undefined, strategy = undefined) {
      if (underlyingSource === secret) {
        this.#state = strategy;
        strategy.api = this;
        return;
      }
      const prefix = 'ReadableStream';
      if (underlyingSource !== undefined && !isObject(underlyingSource)) {
        throw new TypeError(`${prefix}: the underlying source is not an object`);
      }
      const chosen = strategyOf(strategy, prefix);
      const underlying = underlyingSource ?? { __proto__: null };
      let { autoAllocateChunkSize } = underlying;
      if (autoAllocateChunkSize !== undefined) {
        autoAllocateChunkSize = converters['unsigned long long'](
          autoAllocateChunkSize, prefix, 'autoAllocateChunkSize', { __proto__: null, enforceRange: true });
      }
      const methods = {
        __proto__: null, cancel: methodOf(underlying, 'cancel', prefix), pull: methodOf(underlying, 'pull', prefix),
        start: methodOf(underlying, 'start', prefix),
      };
      let { type } = underlying;
      if (type !== undefined) type = enumeration(type, ['bytes'], prefix, 'type');
      const state = new StreamState();
      this.#state = state;
      state.api = this;
      if (type === 'bytes') {
        if (chosen.size !== undefined) throw new RangeError(`${prefix}: a stream of bytes cannot have a strategy with a size`);
        const highWaterMark = highWaterMarkOf(chosen, 0);
        if (autoAllocateChunkSize === 0) throw new TypeError(`${prefix}: autoAllocateChunkSize is 0`);
        const streams = source('byte-streams');
        const controller = new (source('byte-controller').ByteController)(
          state, algorithmsOf(underlying, methods, () => streams.wrapController(controller)), highWaterMark, autoAllocateChunkSize);
        controller.start();
      } else {
        const highWaterMark = highWaterMarkOf(chosen, 1);
        const api = () => (controller.api ??= new ReadableStreamDefaultController(secret, controller));
        const controller = new DefaultController(state, algorithmsOf(underlying, methods, api), highWaterMark, sizeOf(chosen));
        controller.start();
      }
    }

    static from(asyncIterable) {
      requireArguments(arguments.length, 1, 'ReadableStream.from');
      return source('stream-pipes').fromIterable(asyncIterable);
    }

    get locked() { return this.#state.reader !== undefined; }

    cancel(reason = undefined) {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.reader !== undefined) return PromiseReject(new TypeError('ReadableStream.cancel: the stream is locked to a reader'));
      return cancelStream(this.#state, reason);
    }

    getReader(options = undefined) {
      const state = this.#state;
      const { mode } = dictionary(options, 'ReadableStream.getReader', 'the options');
      if (mode === undefined) return wrapReader(acquireReader(state));
      enumeration(mode, ['byob'], 'ReadableStream.getReader', 'mode');
      return source('byte-streams').getReader(state);
    }

    pipeThrough(transform, options = undefined) {
      const state = this.#state;
      const prefix = 'ReadableStream.pipeThrough';
      requireArguments(arguments.length, 1, prefix);
      const pair = dictionary(transform, prefix, 'the transform');
      const { readable } = pair;
      if (streamStateOf(readable) === undefined) throw new TypeError(`${prefix}: transform.readable is not a ReadableStream`);
      const destination = source('writable-streams').stateOf(pair.writable);
      if (destination === undefined) throw new TypeError(`${prefix}: transform.writable is not a WritableStream`);
      const chosen = pipeOptionsOf(options, prefix);
      if (state.reader !== undefined) throw new TypeError(`${prefix}: the stream is locked to a reader`);
      if (destination.writer !== undefined) throw new TypeError(`${prefix}: transform.writable is locked to a writer`);
      markHandled(source('stream-pipes').pipe(state, destination, chosen));
      return readable;
    }

    pipeTo(destination, options = undefined) {
      const prefix = 'ReadableStream.pipeTo';
      try {
        const state = this.#state;
        requireArguments(arguments.length, 1, prefix);
        const target = source('writable-streams').stateOf(destination);
        if (target === undefined) throw new TypeError(`${prefix}: the destination is not a WritableStream`);
        const chosen = pipeOptionsOf(options, prefix);
        if (state.reader !== undefined) throw new TypeError(`${prefix}: the stream is locked to a reader`);
        if (target.writer !== undefined) throw new TypeError(`${prefix}: the destination is locked to a writer`);
        return source('stream-pipes').pipe(state, target, chosen);
      } catch (error) {
        return PromiseReject(error);
      }
    }

    tee() { return source('stream-tee').tee(this.#state, false); }

    values(options = undefined) {
      const state = this.#state;
      const preventCancel = !!dictionary(options, 'ReadableStream.values', 'the options').preventCancel;
      const iterator = ObjectCreate(iteratorPrototype);
      iterators.set(iterator, { reader: acquireReader(state), preventCancel, ongoing: undefined, isFinished: false });
      return iterator;
    }

    static {
      streamStateOf = (value) => (isObject(value) && #state in value ? value.#state : undefined);
      makeStream = (state) => new ReadableStream(secret, state);
    }
  }
  configure(ReadableStream, 'ReadableStream');
  ObjectDefineProperty(ReadableStream.prototype, SymbolAsyncIterator, {
    __proto__: null, value: ReadableStream.prototype.values, writable: true, enumerable: false, configurable: true,
  });
  internal.streamStateOf = streamStateOf;

  // ------------------------------------------------------------------------------------------------------- default reader

  const readPromise = (reader) => {
    const result = deferred();
    read(reader, {
      __proto__: null,
      chunk: (value) => result.resolve({ value, done: false }),
      close: () => result.resolve({ value: undefined, done: true }),
      error: result.reject,
    });
    return result.promise;
  };

  class ReadableStreamDefaultReader {
    #state;
    constructor(stream, state = undefined) {
      if (stream === secret) {
        this.#state = state;
        return;
      }
      requireArguments(arguments.length, 1, 'ReadableStreamDefaultReader');
      const found = streamStateOf(stream);
      if (found === undefined) throw new TypeError('ReadableStreamDefaultReader: the argument is not a ReadableStream');
      this.#state = acquireReader(found);
    }
    get closed() { return isObject(this) && #state in this ? this.#state.closed.promise : PromiseReject(illegalInvocation()); }
    cancel(reason = undefined) {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.stream === undefined) {
        return PromiseReject(new TypeError('ReadableStreamDefaultReader.cancel: the reader was released'));
      }
      return cancelStream(this.#state.stream, reason);
    }
    read() {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.stream === undefined) {
        return PromiseReject(new TypeError('ReadableStreamDefaultReader.read: the reader was released'));
      }
      return readPromise(this.#state);
    }
    releaseLock() { if (this.#state.stream !== undefined) releaseReader(this.#state); }
    static {
      wrapReader = (state) => new ReadableStreamDefaultReader(secret, state);
    }
  }
  configure(ReadableStreamDefaultReader, 'ReadableStreamDefaultReader');
  // One parameter that callers know of.
  ObjectDefineProperty(ReadableStreamDefaultReader, 'length', {
    __proto__: null, value: 1, writable: false, enumerable: false, configurable: true,
  });

  // ------------------------------------------------------------------------------------------------------- async iteration

  const iterators = new internal.primordials.SafeWeakMap();
  const iteratorPrototype = ObjectCreate(AsyncIteratorPrototype);
  internal.notePlatformClass(iteratorPrototype, 'ReadableStream AsyncIterator');
  const inOrder = (iterator, step) => {
    const state = isObject(iterator) ? iterators.get(iterator) : undefined;
    if (state === undefined) return PromiseReject(illegalInvocation());
    const next = () => step(state);
    state.ongoing = state.ongoing === undefined ? next() : then(state.ongoing, next, next);
    return state.ongoing;
  };
  const nextOf = (state) => {
    if (state.isFinished) return PromiseResolve({ value: undefined, done: true });
    const result = deferred();
    const end = () => {
      state.isFinished = true;
      releaseReader(state.reader);
    };
    read(state.reader, {
      __proto__: null,
      chunk: (value) => result.resolve({ value, done: false }),
      close: () => {
        end();
        result.resolve({ value: undefined, done: true });
      },
      error: (error) => {
        end();
        result.reject(error);
      },
    });
    // One turn of microtasks more, as Web IDL has it.
    return then(result.promise, (value) => value);
  };
  const iteratorMethods = {
    next() { return inOrder(this, nextOf); },
    return(value) {
      return inOrder(this, (state) => {
        const result = { value, done: true };
        if (state.isFinished) return PromiseResolve(result);
        state.isFinished = true;
        const cancelled = state.preventCancel ? undefined : cancelStream(state.reader.stream, value);
        releaseReader(state.reader);
        return cancelled === undefined ? PromiseResolve(result) : then(cancelled, () => result);
      });
    },
  };
  define(iteratorPrototype, 'next', iteratorMethods.next);
  define(iteratorPrototype, 'return', iteratorMethods.return);

  return {
    __proto__: null,
    ReadableStream, ReadableStreamDefaultController, ReadableStreamDefaultReader, createStream, makeStream, streamStateOf,
  };
})
