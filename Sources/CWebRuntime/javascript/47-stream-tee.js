(function (internal) {
  'use strict';
  // One stream becomes two: https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee
  const { PromisePrototypeThen, PromiseResolve, TypedArrayPrototypeGetSymbolToStringTag } = internal.primordials;
  const { copyBytes, deferred, nothing } = internal.source('stream-base');
  const { acquireReader, cancelStream, read, releaseReader } = internal.source('readable-states');
  const { createStream, streamStateOf } = internal.source('readable-streams');
  const { isByteStream, partsOf } = internal.source('byte-controller');
  const { acquireBYOBReader, createByteStream, readInto } = internal.source('byte-streams');
  const { queueMicrotask } = internal;

  const copyView = (view) => {
    const { buffer, byteOffset, byteLength } = partsOf(view);
    return copyBytes(buffer, byteOffset, byteLength);
  };
  const cloneChunk = (chunk) =>
    (TypedArrayPrototypeGetSymbolToStringTag(chunk) === 'Uint8Array' ? copyView(chunk) : internal.cloneValue(chunk, undefined));

  // What both branches share: when each was cancelled the stream is, with both reasons.
  class Tee {
    constructor(stream) {
      this.stream = stream;
      this.cancelled = deferred();
      this.isCancelled = [false, false];
      this.reasons = [undefined, undefined];
      this.controllers = [undefined, undefined];
    }
    cancel(index, reason) {
      this.isCancelled[index] = true;
      this.reasons[index] = reason;
      if (this.isCancelled[1 - index]) this.cancelled.resolve(cancelStream(this.stream, [this.reasons[0], this.reasons[1]]));
      return this.cancelled.promise;
    }
    fail(error) {
      this.controllers[0].error(error);
      this.controllers[1].error(error);
    }
    failAndCancel(error) {
      this.fail(error);
      this.cancelled.resolve(cancelStream(this.stream, error));
    }
    resolveUnlessCancelled() { if (!this.isCancelled[0] || !this.isCancelled[1]) this.cancelled.resolve(undefined); }
    // An error of the stream while `reader` has it.
    watch(reader, isCurrent) {
      PromisePrototypeThen(reader.closed.promise, undefined, (error) => {
        if (!isCurrent()) return;
        this.fail(error);
        this.resolveUnlessCancelled();
      });
    }
  }

  const teeDefault = (stream, clones) => {
    const reader = acquireReader(stream);
    const shared = new Tee(stream);
    const { controllers, isCancelled } = shared;
    let isReading = false;
    let readsAgain = false;
    const request = {
      __proto__: null,
      chunk: (chunk) => queueMicrotask(() => {
        readsAgain = false;
        let second = chunk;
        if (!isCancelled[1] && clones) {
          try {
            second = cloneChunk(chunk);
          } catch (error) {
            shared.failAndCancel(error);
            return;
          }
        }
        if (!isCancelled[0]) controllers[0].enqueue(chunk);
        if (!isCancelled[1]) controllers[1].enqueue(second);
        isReading = false;
        if (readsAgain) pull();
      }),
      close: () => {
        isReading = false;
        if (!isCancelled[0]) controllers[0].close();
        if (!isCancelled[1]) controllers[1].close();
        shared.resolveUnlessCancelled();
      },
      error: () => { isReading = false; },
    };
    const pull = () => {
      if (isReading) {
        readsAgain = true;
      } else {
        isReading = true;
        read(reader, request);
      }
      return PromiseResolve(undefined);
    };
    const branch = (index) => {
      const made = createStream({ __proto__: null, start: nothing, pull, cancel: (reason) => shared.cancel(index, reason) });
      controllers[index] = streamStateOf(made).controller;
      return made;
    };
    const branches = [branch(0), branch(1)];
    shared.watch(reader, () => true);
    return branches;
  };

  const teeBytes = (stream) => {
    let reader = acquireReader(stream);
    const shared = new Tee(stream);
    const { controllers, isCancelled } = shared;
    let isReading = false;
    const readsAgain = [false, false];

    const watch = () => {
      const watched = reader;
      shared.watch(watched, () => watched === reader);
    };
    const goOn = () => {
      isReading = false;
      if (readsAgain[0]) pull(0);
      else if (readsAgain[1]) pull(1);
    };
    const copyOrFail = (chunk) => {
      try {
        return copyView(chunk);
      } catch (error) {
        shared.failAndCancel(error);
        return undefined;
      }
    };

    const pullDefault = () => {
      if (reader.isBYOB) {
        releaseReader(reader);
        reader = acquireReader(stream);
        watch();
      }
      read(reader, {
        __proto__: null,
        chunk: (chunk) => queueMicrotask(() => {
          readsAgain[0] = readsAgain[1] = false;
          let second = chunk;
          if (!isCancelled[0] && !isCancelled[1]) {
            second = copyOrFail(chunk);
            if (second === undefined) return;
          }
          if (!isCancelled[0]) controllers[0].enqueue(chunk);
          if (!isCancelled[1]) controllers[1].enqueue(second);
          goOn();
        }),
        close: () => {
          isReading = false;
          for (let index = 0; index < 2; index++) {
            if (!isCancelled[index]) controllers[index].close();
            if (controllers[index].pullIntos.length > 0) controllers[index].respond(0);
          }
          shared.resolveUnlessCancelled();
        },
        error: () => { isReading = false; },
      });
    };

    const pullBYOB = (view, index) => {
      if (!reader.isBYOB) {
        releaseReader(reader);
        reader = acquireBYOBReader(stream);
        watch();
      }
      const other = 1 - index;
      readInto(reader, view, 1, {
        __proto__: null,
        chunk: (chunk) => queueMicrotask(() => {
          readsAgain[0] = readsAgain[1] = false;
          if (!isCancelled[other]) {
            const copy = copyOrFail(chunk);
            if (copy === undefined) return;
            if (!isCancelled[index]) controllers[index].respondWithNewView(chunk);
            controllers[other].enqueue(copy);
          } else if (!isCancelled[index]) {
            controllers[index].respondWithNewView(chunk);
          }
          goOn();
        }),
        close: (chunk) => {
          isReading = false;
          if (!isCancelled[index]) controllers[index].close();
          if (!isCancelled[other]) controllers[other].close();
          if (chunk !== undefined) {
            if (!isCancelled[index]) controllers[index].respondWithNewView(chunk);
            if (!isCancelled[other] && controllers[other].pullIntos.length > 0) controllers[other].respond(0);
          }
          shared.resolveUnlessCancelled();
        },
        error: () => { isReading = false; },
      });
    };

    const pull = (index) => {
      if (isReading) {
        readsAgain[index] = true;
        return;
      }
      isReading = true;
      const asked = controllers[index].requestApi();
      if (asked === null) {
        pullDefault();
      } else {
        const { view } = controllers[index].byobRequest;
        pullBYOB(view, index);
      }
    };
    const branch = (index) => {
      const { stream: made, controller } = createByteStream(() => pull(index), (reason) => shared.cancel(index, reason));
      controllers[index] = controller;
      return made;
    };
    const branches = [branch(0), branch(1)];
    watch();
    return branches;
  };

  return { __proto__: null, tee: (stream, clones) => (isByteStream(stream) ? teeBytes(stream) : teeDefault(stream, clones)) };
})
