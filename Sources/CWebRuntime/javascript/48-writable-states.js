(function (internal) {
  'use strict';
  // What writable streams, their writers and controllers do: https://streams.spec.whatwg.org/#ws-model. The classes of the API hold these
  // objects privately.
  const { ObjectSetPrototypeOf, PromiseReject, PromiseResolve, TypeError } = internal.primordials;
  const { Queue, checkedSize, deferred, markHandled, resolvedWith, sizeOf, then } = internal.source('stream-base');
  const closeMark = {};

  class StreamState {
    constructor() {
      this.api = undefined;
      this.state = 'writable';
      this.storedError = undefined;
      this.writer = undefined;
      this.controller = undefined;
      this.hasBackpressure = false;
      // Deferreds: of write() calls in order, of the one under way, of close(), and of abort() with its reason.
      this.writeRequests = new Queue();
      this.inFlightWrite = undefined;
      this.closeRequest = undefined;
      this.inFlightClose = undefined;
      this.pendingAbort = undefined;
    }
  }
  ObjectSetPrototypeOf(StreamState.prototype, null);

  class WriterState {
    constructor(stream) {
      this.stream = stream;
      this.closed = deferred();
      this.ready = deferred();
      this.readyIsPending = true;
      stream.writer = this;
      const { state } = stream;
      if (state === 'writable') {
        if (isClosing(stream) || !stream.hasBackpressure) this.resolveReady();
      } else if (state === 'erroring') {
        this.rejectReady(stream.storedError);
      } else if (state === 'closed') {
        this.resolveReady();
        this.closed.resolve(undefined);
      } else {
        this.rejectReady(stream.storedError);
        this.rejectClosed(stream.storedError);
      }
      this.closedIsPending = state === 'writable' || state === 'erroring';
    }
    resolveReady() {
      this.readyIsPending = false;
      this.ready.resolve(undefined);
    }
    resetReady() {
      this.ready = deferred();
      this.readyIsPending = true;
    }
    rejectReady(error) {
      if (!this.readyIsPending) this.ready = deferred();
      this.readyIsPending = false;
      this.ready.reject(error);
      markHandled(this.ready.promise);
    }
    rejectClosed(error) {
      if (this.closedIsPending === false) this.closed = deferred();
      this.closedIsPending = false;
      this.closed.reject(error);
      markHandled(this.closed.promise);
    }
  }
  ObjectSetPrototypeOf(WriterState.prototype, null);

  const isClosing = (stream) => stream.closeRequest !== undefined || stream.inFlightClose !== undefined;

  const acquireWriter = (stream) => {
    if (stream.writer !== undefined) throw new TypeError('WritableStream: the stream is locked to a writer');
    return new WriterState(stream);
  };

  const releaseWriter = (writer) => {
    const { stream } = writer;
    const error = new TypeError('WritableStream: the writer was released');
    writer.rejectReady(error);
    writer.rejectClosed(error);
    stream.writer = undefined;
    writer.stream = undefined;
  };

  const rejectCloseAndClosed = (stream) => {
    if (stream.closeRequest !== undefined) {
      stream.closeRequest.reject(stream.storedError);
      stream.closeRequest = undefined;
    }
    if (stream.writer !== undefined) stream.writer.rejectClosed(stream.storedError);
  };

  const finishErroring = (stream) => {
    stream.state = 'errored';
    stream.controller.clear();
    const error = stream.storedError;
    stream.writeRequests.drain((request) => request.reject(error));
    const pending = stream.pendingAbort;
    if (pending === undefined) {
      rejectCloseAndClosed(stream);
      return;
    }
    stream.pendingAbort = undefined;
    if (pending.wasErroring) {
      pending.result.reject(error);
      rejectCloseAndClosed(stream);
      return;
    }
    then(stream.controller.abort(pending.reason), () => {
      pending.result.resolve(undefined);
      rejectCloseAndClosed(stream);
    }, (reason) => {
      pending.result.reject(reason);
      rejectCloseAndClosed(stream);
    });
  };

  const startErroring = (stream, error) => {
    stream.state = 'erroring';
    stream.storedError = error;
    if (stream.writer !== undefined) stream.writer.rejectReady(error);
    if (stream.inFlightWrite === undefined && stream.inFlightClose === undefined && stream.controller.isStarted) finishErroring(stream);
  };

  const dealWithRejection = (stream, error) => {
    if (stream.state === 'writable') startErroring(stream, error);
    else finishErroring(stream);
  };

  const updateBackpressure = (stream, hasBackpressure) => {
    const { writer } = stream;
    if (writer !== undefined && hasBackpressure !== stream.hasBackpressure) {
      if (hasBackpressure) writer.resetReady();
      else writer.resolveReady();
    }
    stream.hasBackpressure = hasBackpressure;
  };

  const abortStream = (stream, reason) => {
    if (stream.state === 'closed' || stream.state === 'errored') return PromiseResolve(undefined);
    stream.controller.signalAbort(reason);
    // The signal's listeners may have changed it.
    const { state } = stream;
    if (state === 'closed' || state === 'errored') return PromiseResolve(undefined);
    if (stream.pendingAbort !== undefined) return stream.pendingAbort.result.promise;
    const wasErroring = state === 'erroring';
    const result = deferred();
    stream.pendingAbort = { result, reason: wasErroring ? undefined : reason, wasErroring };
    if (!wasErroring) startErroring(stream, reason);
    return result.promise;
  };

  const closeStream = (stream) => {
    const { state, writer } = stream;
    if (state === 'closed' || state === 'errored') {
      return PromiseReject(new TypeError('WritableStream.close: the stream is closed or errored'));
    }
    stream.closeRequest = deferred();
    const { promise } = stream.closeRequest;
    if (writer !== undefined && stream.hasBackpressure && state === 'writable') writer.resolveReady();
    stream.controller.close();
    return promise;
  };

  // For a pipe: what became of the stream already is the answer.
  const closeWithErrors = (writer) => {
    const { stream } = writer;
    if (isClosing(stream) || stream.state === 'closed') return PromiseResolve(undefined);
    if (stream.state === 'errored') return PromiseReject(stream.storedError);
    return closeStream(stream);
  };

  const write = (writer, chunk) => {
    const { stream } = writer;
    const size = stream.controller.sizeOf(chunk);
    // The strategy's size may have released the writer.
    if (stream !== writer.stream) return PromiseReject(new TypeError('WritableStreamDefaultWriter.write: the writer was released'));
    if (stream.state === 'errored') return PromiseReject(stream.storedError);
    if (isClosing(stream) || stream.state === 'closed') {
      return PromiseReject(new TypeError('WritableStreamDefaultWriter.write: the stream is closed or closing'));
    }
    if (stream.state === 'erroring') return PromiseReject(stream.storedError);
    const request = deferred();
    stream.writeRequests.push(request, 0);
    stream.controller.write(chunk, size);
    return request.promise;
  };

  class Controller {
    constructor(stream, algorithms, highWaterMark, size) {
      this.stream = stream;
      this.api = undefined;
      this.queue = new Queue();
      this.isStarted = false;
      this.algorithms = algorithms;
      this.highWaterMark = highWaterMark;
      this.size = size;
      this.signal = undefined;
      this.isAborted = false;
      this.abortReason = undefined;
      stream.controller = this;
      stream.hasBackpressure = this.hasBackpressure();
    }

    start() {
      const { stream } = this;
      const done = () => {
        this.isStarted = true;
        this.advance();
      };
      then(resolvedWith(this.algorithms.start()), done, (error) => {
        this.isStarted = true;
        dealWithRejection(stream, error);
      });
    }

    desiredSize() { return this.highWaterMark - this.queue.total; }
    hasBackpressure() { return this.desiredSize() <= 0; }
    clear() { this.queue.clear(); }
    clearAlgorithms() { this.algorithms = this.size = undefined; }

    getSignal() {
      if (this.signal === undefined) {
        this.signal = internal.createAbortSignal();
        if (this.isAborted) this.signal.abort(this.abortReason);
      }
      return this.signal.signal;
    }
    signalAbort(reason) {
      if (this.signal !== undefined) this.signal.abort(reason);
      if (this.isAborted) return;
      this.isAborted = true;
      this.abortReason = reason;
    }

    abort(reason) {
      const result = this.algorithms.abort(reason);
      this.clearAlgorithms();
      return result;
    }

    error(error) {
      this.clearAlgorithms();
      startErroring(this.stream, error);
    }
    errorIfNeeded(error) { if (this.stream.state === 'writable') this.error(error); }

    sizeOf(chunk) {
      if (this.size === undefined) return 1;
      try {
        return this.size(chunk);
      } catch (error) {
        this.errorIfNeeded(error);
        return 1;
      }
    }

    close() {
      this.queue.push(closeMark, 0);
      this.advance();
    }

    write(chunk, size) {
      let checked;
      try {
        checked = checkedSize(size);
      } catch (error) {
        this.errorIfNeeded(error);
        return;
      }
      const { stream } = this;
      this.queue.push(chunk, checked);
      if (!isClosing(stream) && stream.state === 'writable') updateBackpressure(stream, this.hasBackpressure());
      this.advance();
    }

    advance() {
      const { stream } = this;
      if (!this.isStarted || stream.inFlightWrite !== undefined) return;
      if (stream.state === 'erroring') {
        finishErroring(stream);
        return;
      }
      if (stream.state !== 'writable' || this.queue.length === 0) return;
      const chunk = this.queue.first.value;
      if (chunk === closeMark) this.processClose();
      else this.processWrite(chunk);
    }

    processClose() {
      const { stream } = this;
      stream.inFlightClose = stream.closeRequest;
      stream.closeRequest = undefined;
      this.queue.shift();
      const result = this.algorithms.close();
      this.clearAlgorithms();
      then(result, () => {
        stream.inFlightClose.resolve(undefined);
        stream.inFlightClose = undefined;
        if (stream.state === 'erroring') {
          stream.storedError = undefined;
          if (stream.pendingAbort !== undefined) {
            stream.pendingAbort.result.resolve(undefined);
            stream.pendingAbort = undefined;
          }
        }
        stream.state = 'closed';
        const { writer } = stream;
        if (writer !== undefined) {
          writer.closedIsPending = false;
          writer.closed.resolve(undefined);
        }
      }, (error) => {
        stream.inFlightClose.reject(error);
        stream.inFlightClose = undefined;
        if (stream.pendingAbort !== undefined) {
          stream.pendingAbort.result.reject(error);
          stream.pendingAbort = undefined;
        }
        dealWithRejection(stream, error);
      });
    }

    processWrite(chunk) {
      const { stream } = this;
      stream.inFlightWrite = stream.writeRequests.shift();
      then(this.algorithms.write(chunk), () => {
        stream.inFlightWrite.resolve(undefined);
        stream.inFlightWrite = undefined;
        this.queue.shift();
        if (!isClosing(stream) && stream.state === 'writable') updateBackpressure(stream, this.hasBackpressure());
        this.advance();
      }, (error) => {
        if (stream.state === 'writable') this.clearAlgorithms();
        stream.inFlightWrite.reject(error);
        stream.inFlightWrite = undefined;
        dealWithRejection(stream, error);
      });
    }
  }
  ObjectSetPrototypeOf(Controller.prototype, null);

  return {
    __proto__: null,
    Controller, StreamState, abortStream, acquireWriter, closeStream, closeWithErrors, isClosing, releaseWriter, write,
  };
})
