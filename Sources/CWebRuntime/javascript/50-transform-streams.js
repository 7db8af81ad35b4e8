(function (internal) {
  'use strict';
  // TransformStream: https://streams.spec.whatwg.org/#ts-model
  const { FunctionPrototypeCall, ObjectSetPrototypeOf, PromiseReject, PromiseResolve, RangeError, TypeError } = internal.primordials;
  const { configure, illegalConstructor, isObject } = internal.webidl;
  const { deferred, highWaterMarkOf, methodOf, one, promiseCall, sizeOf, strategyOf, then } = internal.source('stream-base');
  const readables = internal.source('readable-streams');
  const writables = internal.source('writable-streams');
  const secret = {};
  const done = PromiseResolve(undefined);

  class TransformState {
    // `algorithms`: transform(chunk), flush() and cancel(reason), which return promises.
    constructor(started, algorithms, writableMark, writableSize, readableMark, readableSize) {
      this.algorithms = algorithms;
      this.api = undefined;
      this.hasBackpressure = true;
      this.change = deferred();
      // Of the flush or cancel that ends the transform.
      this.finish = undefined;
      const start = () => started;
      this.writable = writables.createStream({
        __proto__: null, start, write: (chunk) => this.write(chunk), close: () => this.close(), abort: (reason) => this.abort(reason),
      }, writableMark, writableSize);
      this.readable = readables.createStream({
        __proto__: null, start, pull: () => this.pull(), cancel: (reason) => this.cancel(reason),
      }, readableMark, readableSize);
      this.writableState = writables.stateOf(this.writable);
      this.readableState = readables.streamStateOf(this.readable);
    }

    setBackpressure(hasBackpressure) {
      this.change.resolve(undefined);
      this.change = deferred();
      this.hasBackpressure = hasBackpressure;
    }

    // For who transforms.
    enqueue(chunk) {
      const { controller } = this.readableState;
      if (!controller.canCloseOrEnqueue()) {
        throw new TypeError('TransformStreamDefaultController.enqueue: the readable side is closed, closing or errored');
      }
      try {
        controller.enqueue(chunk);
      } catch (error) {
        this.errorWritable(error);
        throw this.readableState.storedError;
      }
      if (!controller.shouldPull() && !this.hasBackpressure) this.setBackpressure(true);
    }
    error(error) {
      this.readableState.controller.error(error);
      this.errorWritable(error);
    }
    terminate() {
      this.readableState.controller.close();
      this.errorWritable(new TypeError('TransformStream: the stream was terminated'));
    }
    desiredSize() { return this.readableState.controller.desiredSize(); }

    errorWritable(error) {
      this.algorithms = undefined;
      this.writableState.controller.errorIfNeeded(error);
      this.unblockWrite();
    }
    unblockWrite() { if (this.hasBackpressure) this.setBackpressure(false); }

    // The writable side's sink.
    write(chunk) {
      if (!this.hasBackpressure) return this.transform(chunk);
      return then(this.change.promise, () => {
        if (this.writableState.state === 'erroring') throw this.writableState.storedError;
        return this.transform(chunk);
      });
    }
    transform(chunk) {
      return then(this.algorithms.transform(chunk), undefined, (error) => {
        this.error(error);
        throw error;
      });
    }
    // Ends with what `algorithm` promises; `settle` and `fail` tell the other side.
    end(algorithm, argument, settle, fail) {
      if (this.finish !== undefined) return this.finish.promise;
      this.finish = deferred();
      const result = this.algorithms[algorithm](argument);
      this.algorithms = undefined;
      then(result, () => {
        const error = settle();
        if (error === undefined) this.finish.resolve(undefined);
        else this.finish.reject(error.reason);
      }, (error) => {
        fail(error);
        this.finish.reject(error);
      });
      return this.finish.promise;
    }
    close() {
      const { controller } = this.readableState;
      return this.end('flush', undefined, () => {
        if (this.readableState.state === 'errored') return { reason: this.readableState.storedError };
        controller.close();
        return undefined;
      }, (error) => controller.error(error));
    }
    abort(reason) {
      const { controller } = this.readableState;
      return this.end('cancel', reason, () => {
        if (this.readableState.state === 'errored') return { reason: this.readableState.storedError };
        controller.error(reason);
        return undefined;
      }, (error) => controller.error(error));
    }

    // The readable side's source.
    pull() {
      this.setBackpressure(false);
      return this.change.promise;
    }
    cancel(reason) {
      const { controller } = this.writableState;
      return this.end('cancel', reason, () => {
        if (this.writableState.state === 'errored') return { reason: this.writableState.storedError };
        controller.errorIfNeeded(reason);
        this.unblockWrite();
        return undefined;
      }, (error) => {
        controller.errorIfNeeded(error);
        this.unblockWrite();
      });
    }
  }
  ObjectSetPrototypeOf(TransformState.prototype, null);

  class TransformStreamDefaultController {
    #state;
    constructor(key = undefined, state = undefined) {
      if (key !== secret) throw illegalConstructor();
      this.#state = state;
    }
    get desiredSize() { return this.#state.desiredSize(); }
    enqueue(chunk = undefined) { this.#state.enqueue(chunk); }
    error(reason = undefined) { this.#state.error(reason); }
    terminate() { this.#state.terminate(); }
  }
  configure(TransformStreamDefaultController, 'TransformStreamDefaultController');

  class TransformStream {
    #state;

    constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
      const prefix = 'TransformStream';
      if (transformer !== undefined && !isObject(transformer)) throw new TypeError(`${prefix}: the transformer is not an object`);
      const writable = strategyOf(writableStrategy, prefix);
      const readable = strategyOf(readableStrategy, prefix);
      const given = transformer ?? { __proto__: null };
      const cancel = methodOf(given, 'cancel', prefix);
      const flush = methodOf(given, 'flush', prefix);
      if (given.readableType !== undefined) throw new RangeError(`${prefix}: the transformer has a readableType`);
      const start = methodOf(given, 'start', prefix);
      const transform = methodOf(given, 'transform', prefix);
      if (given.writableType !== undefined) throw new RangeError(`${prefix}: the transformer has a writableType`);
      const readableMark = highWaterMarkOf(readable, 0);
      const readableSize = sizeOf(readable);
      const writableMark = highWaterMarkOf(writable, 1);
      const writableSize = sizeOf(writable);
      const started = deferred();
      let api;
      const state = new TransformState(started.promise, {
        __proto__: null,
        transform: (chunk) => (transform === undefined ? passOn(state, chunk) : promiseCall(transform, given, [chunk, api])),
        flush: () => (flush === undefined ? done : promiseCall(flush, given, [api])),
        cancel: (reason) => (cancel === undefined ? done : promiseCall(cancel, given, [reason])),
      }, writableMark, writableSize, readableMark, readableSize);
      api = new TransformStreamDefaultController(secret, state);
      this.#state = state;
      started.resolve(start === undefined ? undefined : FunctionPrototypeCall(start, given, api));
    }

    get readable() { return this.#state.readable; }
    get writable() { return this.#state.writable; }
  }
  configure(TransformStream, 'TransformStream');

  const passOn = (state, chunk) => {
    try {
      state.enqueue(chunk);
      return done;
    } catch (error) {
      return PromiseReject(error);
    }
  };

  // For the runtime: transform(chunk, state) and flush(state) may throw.
  const createTransform = (transform, flush) => {
    const attempt = (act, chunk) => {
      try {
        act(chunk);
        return done;
      } catch (error) {
        return PromiseReject(error);
      }
    };
    const state = new TransformState(done, {
      __proto__: null,
      transform: (chunk) => attempt(() => transform(chunk, state)),
      flush: () => attempt(() => flush(state)),
      cancel: () => done,
    }, 1, one, 0, one);
    return state;
  };

  // What a stream gives, as another stream: the first is locked.
  const throughIdentity = (stream) => {
    const state = createTransform((chunk, transformer) => transformer.enqueue(chunk), () => {});
    const piped = internal.source('stream-pipes').pipe(readables.streamStateOf(stream), state.writableState, { __proto__: null });
    internal.source('stream-base').markHandled(piped);
    return state.readable;
  };

  return { __proto__: null, TransformStream, TransformStreamDefaultController, createTransform, throughIdentity };
})
