(function (internal) {
  'use strict';
  // What readable streams, their readers and their default controllers do: https://streams.spec.whatwg.org/#rs-model. The classes of the
  // API hold these objects privately; a read request is an object with chunk(value), close() and error(reason).
  const {
    ObjectSetPrototypeOf, PromiseReject, PromiseResolve, TypeError, TypedArrayPrototypeGetByteLength,
    TypedArrayPrototypeGetSymbolToStringTag, TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { Queue, checkedSize, deferred, markHandled, nothing, resolvedWith, then } = internal.source('stream-base');

  class StreamState {
    constructor() {
      this.api = undefined;
      this.state = 'readable';
      this.storedError = undefined;
      this.reader = undefined;
      this.controller = undefined;
      this.isDisturbed = false;
    }
  }
  ObjectSetPrototypeOf(StreamState.prototype, null);

  // Of a default reader, and (isBYOB) of one that brings its own buffers.
  class ReaderState {
    constructor(stream, isBYOB) {
      this.stream = stream;
      this.isBYOB = isBYOB;
      this.requests = new Queue();
      this.closed = deferred();
      stream.reader = this;
      if (stream.state === 'closed') {
        this.closed.resolve(undefined);
      } else if (stream.state === 'errored') {
        this.closed.reject(stream.storedError);
        markHandled(this.closed.promise);
      }
    }
  }
  ObjectSetPrototypeOf(ReaderState.prototype, null);

  const acquireReader = (stream) => {
    if (stream.reader !== undefined) throw new TypeError('ReadableStream: the stream is locked to a reader');
    return new ReaderState(stream, false);
  };

  const read = (reader, request) => {
    const { stream } = reader;
    stream.isDisturbed = true;
    if (stream.state === 'closed') request.close();
    else if (stream.state === 'errored') request.error(stream.storedError);
    else stream.controller.pullFor(request);
  };

  const releaseReader = (reader) => {
    const { stream } = reader;
    const error = new TypeError('ReadableStream: the reader was released');
    if (stream.state !== 'readable') reader.closed = deferred();
    reader.closed.reject(error);
    markHandled(reader.closed.promise);
    stream.controller.release();
    stream.reader = undefined;
    reader.stream = undefined;
    reader.requests.drain((request) => request.error(error));
  };

  const closeStream = (stream) => {
    stream.state = 'closed';
    const { reader } = stream;
    if (reader === undefined) return;
    reader.closed.resolve(undefined);
    if (!reader.isBYOB) reader.requests.drain((request) => request.close());
  };

  const errorStream = (stream, error) => {
    stream.state = 'errored';
    stream.storedError = error;
    const { reader } = stream;
    if (reader === undefined) return;
    reader.closed.reject(error);
    markHandled(reader.closed.promise);
    reader.requests.drain((request) => request.error(error));
  };

  const cancelStream = (stream, reason) => {
    stream.isDisturbed = true;
    if (stream.state === 'closed') return PromiseResolve(undefined);
    if (stream.state === 'errored') return PromiseReject(stream.storedError);
    closeStream(stream);
    const { reader } = stream;
    if (reader !== undefined && reader.isBYOB) reader.requests.drain((request) => request.close(undefined));
    return then(stream.controller.cancel(reason), nothing);
  };
  const cancelQuietly = (stream, reason) => markHandled(cancelStream(stream, reason));

  // ---------------------------------------------------------------------------------------------------- default controller

  class DefaultController {
    constructor(stream, algorithms, highWaterMark, size) {
      this.stream = stream;
      this.api = undefined;
      this.queue = new Queue();
      this.isStarted = false;
      this.closeRequested = false;
      this.isPulling = false;
      this.pullsAgain = false;
      this.algorithms = algorithms;
      this.highWaterMark = highWaterMark;
      this.size = size;
      stream.controller = this;
    }

    start() {
      then(resolvedWith(this.algorithms.start()), () => {
        this.isStarted = true;
        this.callPullIfNeeded();
      }, (error) => this.error(error));
    }

    canCloseOrEnqueue() { return !this.closeRequested && this.stream.state === 'readable'; }

    desiredSize() {
      const { state } = this.stream;
      return state === 'errored' ? null : state === 'closed' ? 0 : this.highWaterMark - this.queue.total;
    }

    shouldPull() {
      if (!this.canCloseOrEnqueue() || !this.isStarted) return false;
      const { reader } = this.stream;
      return (reader !== undefined && reader.requests.length > 0) || this.desiredSize() > 0;
    }

    callPullIfNeeded() {
      if (!this.shouldPull()) return;
      if (this.isPulling) {
        this.pullsAgain = true;
        return;
      }
      this.isPulling = true;
      then(this.algorithms.pull(), () => {
        this.isPulling = false;
        if (this.pullsAgain) {
          this.pullsAgain = false;
          this.callPullIfNeeded();
        }
      }, (error) => this.error(error));
    }

    clearAlgorithms() { this.algorithms = this.size = undefined; }

    enqueue(chunk) {
      if (!this.canCloseOrEnqueue()) return;
      const { reader } = this.stream;
      if (reader !== undefined && reader.requests.length > 0) {
        reader.requests.shift().chunk(chunk);
      } else {
        let size;
        try {
          size = checkedSize(this.size(chunk));
        } catch (error) {
          this.error(error);
          throw error;
        }
        this.queue.push(chunk, size);
      }
      this.callPullIfNeeded();
    }

    close() {
      if (!this.canCloseOrEnqueue()) return;
      this.closeRequested = true;
      if (this.queue.length === 0) {
        this.clearAlgorithms();
        closeStream(this.stream);
      }
    }

    error(error) {
      if (this.stream.state !== 'readable') return;
      this.queue.clear();
      this.clearAlgorithms();
      errorStream(this.stream, error);
    }

    cancel(reason) {
      this.queue.clear();
      const { algorithms } = this;
      const result = algorithms.cancel(reason);
      this.clearAlgorithms();
      return result;
    }

    pullFor(request) {
      if (this.queue.length > 0) {
        const chunk = this.queue.shift();
        if (this.closeRequested && this.queue.length === 0) {
          this.clearAlgorithms();
          closeStream(this.stream);
        } else {
          this.callPullIfNeeded();
        }
        request.chunk(chunk);
      } else {
        this.stream.reader.requests.push(request, 0);
        this.callPullIfNeeded();
      }
    }

    release() {}
  }
  ObjectSetPrototypeOf(DefaultController.prototype, null);

  // A promise of { bytes }: all of a stream, whose pieces must be Uint8Arrays.
  const collect = (stream) => {
    const reader = acquireReader(stream);
    const result = deferred();
    const pieces = new Queue();
    let isReading = false;
    let goesOn = false;
    const run = () => {
      isReading = true;
      do {
        goesOn = false;
        read(reader, request);
      } while (goesOn);
      isReading = false;
    };
    const request = {
      __proto__: null,
      chunk: (bytes) => {
        if (TypedArrayPrototypeGetSymbolToStringTag(bytes) !== 'Uint8Array') {
          const error = new TypeError("a piece of the body's stream is not a Uint8Array");
          cancelQuietly(stream, error);
          result.reject(error);
          return;
        }
        pieces.push(bytes, TypedArrayPrototypeGetByteLength(bytes));
        if (isReading) goesOn = true;
        else run();
      },
      close: () => {
        try {
          const whole = new Uint8Array(pieces.total);
          let offset = 0;
          pieces.drain((bytes) => {
            TypedArrayPrototypeSet(whole, bytes, offset);
            offset += TypedArrayPrototypeGetByteLength(bytes);
          });
          // In an object without prototype: nobody's `then` is looked for.
          result.resolve({ __proto__: null, bytes: whole });
        } catch (error) {
          result.reject(error);
        }
      },
      error: result.reject,
    };
    run();
    return result.promise;
  };

  return {
    __proto__: null,
    DefaultController, ReaderState, StreamState, acquireReader, cancelQuietly, cancelStream, closeStream, collect, errorStream, read,
    releaseReader,
  };
})
