(function (internal) {
  'use strict';
  // Readers that bring their own buffers, what a source of bytes gets, and streams of the runtime's own bytes.
  const {
    ArrayBuffer, ArrayBufferPrototypeGetByteLength, MathMin, PromiseReject, PromiseResolve, RangeError, TypeError,
    TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset,
  } = internal.primordials;
  const { configure, converters, dictionary, illegalConstructor, illegalInvocation, isObject, requireArguments } = internal.webidl;
  const { copyBytes, deferred, isDetached, nothing } = internal.source('stream-base');
  const { ReaderState, StreamState, acquireReader, cancelStream, read, releaseReader } = internal.source('readable-states');
  const { makeStream, streamStateOf } = internal.source('readable-streams');
  const { ByteController, isByteStream, partsOf } = internal.source('byte-controller');
  const { isArrayBufferView } = internal;
  const secret = {};

  // ------------------------------------------------------------------------------------------------------------- interfaces

  const requireView = (view, prefix) => {
    if (!isArrayBufferView(view)) throw new TypeError(`${prefix}: the argument is not a view on an ArrayBuffer`);
    return view;
  };

  class ReadableStreamBYOBRequest {
    #state;
    constructor(key = undefined, state = undefined) {
      if (key !== secret) throw illegalConstructor();
      this.#state = state;
    }
    get view() { return this.#state.view; }
    respond(bytesWritten) {
      const state = this.#state;
      const prefix = 'ReadableStreamBYOBRequest.respond';
      requireArguments(arguments.length, 1, prefix);
      const byteCount = converters['unsigned long long'](bytesWritten, prefix, 'the count', { __proto__: null, enforceRange: true });
      if (state.controller === undefined) throw new TypeError(`${prefix}: it has been answered already`);
      if (isDetached(TypedArrayPrototypeGetBuffer(state.view))) throw new TypeError(`${prefix}: the view's buffer is detached`);
      state.controller.respond(byteCount);
    }
    respondWithNewView(view) {
      const state = this.#state;
      const prefix = 'ReadableStreamBYOBRequest.respondWithNewView';
      requireArguments(arguments.length, 1, prefix);
      requireView(view, prefix);
      if (state.controller === undefined) throw new TypeError(`${prefix}: it has been answered already`);
      if (isDetached(partsOf(view).buffer)) throw new TypeError(`${prefix}: the view's buffer is detached`);
      state.controller.respondWithNewView(view);
    }
  }
  configure(ReadableStreamBYOBRequest, 'ReadableStreamBYOBRequest');

  class ReadableByteStreamController {
    #state;
    constructor(key = undefined, state = undefined) {
      if (key !== secret) throw illegalConstructor();
      this.#state = state;
    }
    get byobRequest() { return this.#state.requestApi(); }
    get desiredSize() { return this.#state.desiredSize(); }
    close() {
      const state = this.#state;
      if (!state.canCloseOrEnqueue()) throw new TypeError('ReadableByteStreamController.close: the stream is closed, closing or errored');
      state.close();
    }
    enqueue(chunk) {
      const state = this.#state;
      const prefix = 'ReadableByteStreamController.enqueue';
      requireArguments(arguments.length, 1, prefix);
      const { buffer, byteLength } = partsOf(requireView(chunk, prefix));
      if (byteLength === 0 || ArrayBufferPrototypeGetByteLength(buffer) === 0) throw new TypeError(`${prefix}: the chunk is empty`);
      if (!state.canCloseOrEnqueue()) throw new TypeError(`${prefix}: the stream is closed, closing or errored`);
      state.enqueue(chunk);
    }
    error(error = undefined) { this.#state.error(error); }
  }
  configure(ReadableByteStreamController, 'ReadableByteStreamController');

  class ReadableStreamBYOBReader {
    #state;
    constructor(stream) {
      requireArguments(arguments.length, 1, 'ReadableStreamBYOBReader');
      const found = streamStateOf(stream);
      if (found === undefined) throw new TypeError('ReadableStreamBYOBReader: the argument is not a ReadableStream');
      this.#state = acquireBYOBReader(found);
    }
    get closed() { return isObject(this) && #state in this ? this.#state.closed.promise : PromiseReject(illegalInvocation()); }
    cancel(reason = undefined) {
      if (!(isObject(this) && #state in this)) return PromiseReject(illegalInvocation());
      if (this.#state.stream === undefined) return PromiseReject(new TypeError('ReadableStreamBYOBReader.cancel: the reader was released'));
      return cancelStream(this.#state.stream, reason);
    }
    read(view, options = undefined) {
      const prefix = 'ReadableStreamBYOBReader.read';
      try {
        const state = this.#state;
        requireArguments(arguments.length, 1, prefix);
        const { buffer, byteLength, length } = partsOf(requireView(view, prefix));
        const { min } = dictionary(options, prefix, 'the options');
        const minimum = min === undefined ? 1
          : converters['unsigned long long'](min, prefix, 'min', { __proto__: null, enforceRange: true });
        if (byteLength === 0) throw new TypeError(`${prefix}: the view is empty`);
        if (isDetached(buffer)) throw new TypeError(`${prefix}: the view's buffer is detached`);
        if (minimum === 0) throw new TypeError(`${prefix}: min is 0`);
        if (minimum > length) throw new RangeError(`${prefix}: min is more than the view holds`);
        if (state.stream === undefined) throw new TypeError(`${prefix}: the reader was released`);
        return readIntoPromise(state, view, minimum);
      } catch (error) {
        return PromiseReject(error);
      }
    }
    releaseLock() { if (this.#state.stream !== undefined) releaseReader(this.#state); }
  }
  configure(ReadableStreamBYOBReader, 'ReadableStreamBYOBReader');

  const acquireBYOBReader = (stream) => {
    if (stream.reader !== undefined) throw new TypeError('ReadableStream: the stream is locked to a reader');
    if (!isByteStream(stream)) throw new TypeError('ReadableStream: only a stream of bytes has a reader that brings its own buffers');
    return new ReaderState(stream, true);
  };

  const readInto = (reader, view, minimum, request) => {
    const { stream } = reader;
    stream.isDisturbed = true;
    if (stream.state === 'errored') request.error(stream.storedError);
    else stream.controller.pullInto(view, minimum, request);
  };
  const readIntoPromise = (reader, view, minimum) => {
    const result = deferred();
    readInto(reader, view, minimum, {
      __proto__: null,
      chunk: (value) => result.resolve({ value, done: false }),
      close: (value) => result.resolve({ value, done: true }),
      error: result.reject,
    });
    return result.promise;
  };

  // ------------------------------------------------------------------------------------------------------- for the runtime

  // pull() and cancel(reason) return nothing or promises; the controller's enqueue takes bytes that it may keep.
  const createByteStream = (pull, cancel) => {
    const state = new StreamState();
    const stream = makeStream(state);
    const controller = new ByteController(state, {
      __proto__: null,
      start: nothing,
      pull: () => PromiseResolve(pull()),
      cancel: (reason) => PromiseResolve(cancel(reason)),
    }, 0, undefined);
    controller.start();
    return { stream, controller };
  };

  // Pieces of a stream over bytes that are there already.
  const pieceBytes = 65536;
  const streamOfBytes = (bytes) => {
    const buffer = TypedArrayPrototypeGetBuffer(bytes);
    const offset = TypedArrayPrototypeGetByteOffset(bytes);
    const length = TypedArrayPrototypeGetByteLength(bytes);
    let position = 0;
    const { stream, controller } = createByteStream(() => {
      const count = MathMin(pieceBytes, length - position);
      if (count > 0) controller.enqueue(copyBytes(buffer, offset + position, count));
      position += count;
      if (position === length) controller.end();
    }, nothing);
    if (length === 0) controller.end();
    return stream;
  };

  // A stream that has been read to its end.
  const consumedStream = () => {
    const { stream, controller } = createByteStream(nothing, nothing);
    controller.end();
    const state = streamStateOf(stream);
    state.isDisturbed = true;
    acquireReader(state);
    return stream;
  };

  const erroredStream = (error) => {
    const { stream, controller } = createByteStream(nothing, nothing);
    controller.error(error);
    return stream;
  };

  return {
    __proto__: null,
    ReadableByteStreamController, ReadableStreamBYOBReader, ReadableStreamBYOBRequest, acquireBYOBReader, consumedStream,
    createByteStream, erroredStream, readInto, streamOfBytes,
    getReader: (stream) => new ReadableStreamBYOBReader(stream.api),
    wrapController: (controller) => (controller.api ??= new ReadableByteStreamController(secret, controller)),
    wrapRequest: (request) => new ReadableStreamBYOBRequest(secret, request),
  };
})
