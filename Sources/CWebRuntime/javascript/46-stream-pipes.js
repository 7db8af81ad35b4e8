(function (internal) {
  'use strict';
  // Piping (https://streams.spec.whatwg.org/#readable-stream-pipe-to) and streams from iterables.
  const {
    FunctionPrototypeCall, Promise, PromisePrototypeThen, PromiseReject, PromiseResolve, SymbolAsyncIterator, SymbolIterator, TypeError,
  } = internal.primordials;
  const { isObject } = internal.webidl;
  const { markHandled, nothing, then } = internal.source('stream-base');
  const { acquireReader, cancelStream, read, releaseReader } = internal.source('readable-states');
  const { createStream } = internal.source('readable-streams');
  const writables = internal.source('writable-states');

  const done = PromiseResolve(undefined);

  // Both of two promises; the first that rejects tells why.
  const both = (first, second) => then(first, () => second);

  const pipe = (from, to, { preventAbort, preventCancel, preventClose, signal }) => {
    const reader = acquireReader(from);
    const writer = writables.acquireWriter(to);
    from.isDisturbed = true;
    let isShuttingDown = false;
    let currentWrite = PromiseResolve(undefined);

    return new Promise((resolve, reject) => {
      const finalize = (isError, error) => {
        writables.releaseWriter(writer);
        releaseReader(reader);
        if (signal !== undefined) internal.removeAbortAlgorithm(signal, abort);
        if (isError) reject(error);
        else resolve(undefined);
      };

      // A write may begin another while one waits.
      const writesFinished = () => {
        const last = currentWrite;
        return then(last, () => (last === currentWrite ? undefined : writesFinished()));
      };

      const shutdown = (action, isError, error) => {
        if (isShuttingDown) return;
        isShuttingDown = true;
        const act = () => {
          if (action === undefined) finalize(isError, error);
          else then(action(), () => finalize(isError, error), (newError) => finalize(true, newError));
        };
        if (to.state === 'writable' && !writables.isClosing(to)) then(writesFinished(), act);
        else act();
      };

      const abort = () => {
        const error = internal.abortReason(signal);
        shutdown(() => {
          const aborted = preventAbort || to.state !== 'writable' ? PromiseResolve(undefined) : writables.abortStream(to, error);
          const cancelled = preventCancel || from.state !== 'readable' ? PromiseResolve(undefined) : cancelStream(from, error);
          markHandled(cancelled);
          return both(aborted, cancelled);
        }, true, error);
      };
      if (signal !== undefined) {
        if (internal.isAborted(signal)) {
          abort();
          return;
        }
        internal.addAbortAlgorithm(signal, abort);
      }

      const sourceFailed = (error) => shutdown(preventAbort ? undefined : () => writables.abortStream(to, error), true, error);
      const sourceClosed = () => shutdown(preventClose ? undefined : () => writables.closeWithErrors(writer), false, undefined);
      const destinationFailed = (error) => shutdown(preventCancel ? undefined : () => cancelStream(from, error), true, error);

      if (from.state === 'errored') sourceFailed(from.storedError);
      else PromisePrototypeThen(reader.closed.promise, undefined, sourceFailed);
      if (to.state === 'errored') destinationFailed(to.storedError);
      else PromisePrototypeThen(writer.closed.promise, undefined, destinationFailed);
      if (from.state === 'closed') sourceClosed();
      else PromisePrototypeThen(reader.closed.promise, sourceClosed, nothing);
      if (writables.isClosing(to) || to.state === 'closed') {
        const error = new TypeError('ReadableStream.pipeTo: the destination is closed or closing');
        shutdown(preventCancel ? undefined : () => cancelStream(from, error), true, error);
      }

      const step = () => {
        if (isShuttingDown) return;
        PromisePrototypeThen(writer.ready.promise, () => {
          if (!isShuttingDown) read(reader, request);
        }, nothing);
      };
      const request = {
        __proto__: null,
        // Not at once: who enqueues a chunk must not find the sink called before it is done.
        chunk: (value) => {
          currentWrite = then(done, () => {
            if (writer.stream === undefined) return undefined;
            const written = then(writables.write(writer, value), undefined, nothing);
            step();
            return written;
          });
        },
        close: nothing,
        error: nothing,
      };
      step();
    });
  };

  // https://streams.spec.whatwg.org/#readable-stream-from-iterable
  const fromIterable = (iterable) => {
    const prefix = 'ReadableStream.from';
    if (iterable === undefined || iterable === null) throw new TypeError(`${prefix}: the argument is not iterable`);
    let method = iterable[SymbolAsyncIterator];
    const isAsync = method !== undefined && method !== null;
    if (!isAsync) method = iterable[SymbolIterator];
    if (typeof method !== 'function') throw new TypeError(`${prefix}: the argument is not iterable`);
    const iterator = FunctionPrototypeCall(method, iterable);
    if (!isObject(iterator)) throw new TypeError(`${prefix}: the iterator is not an object`);
    const { next } = iterator;

    let controller;
    const take = (result) => {
      if (!isObject(result)) throw new TypeError(`${prefix}: the iterator's result is not an object`);
      if (result.done) {
        controller.close();
        return undefined;
      }
      if (isAsync) return controller.enqueue(result.value);
      return then(PromiseResolve(result.value), (value) => controller.enqueue(value));
    };
    const stream = createStream({
      __proto__: null,
      start: nothing,
      pull: () => {
        try {
          const result = FunctionPrototypeCall(next, iterator);
          return isAsync ? then(PromiseResolve(result), take) : PromiseResolve(take(result));
        } catch (error) {
          return PromiseReject(error);
        }
      },
      cancel: (reason) => {
        try {
          const { return: give } = iterator;
          if (give === undefined || give === null) return PromiseResolve(undefined);
          const result = FunctionPrototypeCall(give, iterator, reason);
          return then(PromiseResolve(result), (value) => {
            if (!isObject(value)) throw new TypeError(`${prefix}: what the iterator's return gave is not an object`);
          });
        } catch (error) {
          return PromiseReject(error);
        }
      },
    }, 0);
    ({ controller } = internal.streamStateOf(stream));
    return stream;
  };

  return { __proto__: null, fromIterable, pipe };
})
