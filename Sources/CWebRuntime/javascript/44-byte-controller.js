(function (internal) {
  'use strict';
  // The controller of a stream of bytes: https://streams.spec.whatwg.org/#rbs-controller-class. Buffers that pass through it are detached
  // from whoever had them.
  const {
    ArrayBuffer, ArrayBufferPrototypeGetByteLength, BigInt64Array, BigUint64Array, DataView, DataViewPrototypeGetBuffer,
    DataViewPrototypeGetByteLength, DataViewPrototypeGetByteOffset, Float32Array, Float64Array, Int16Array, Int32Array, Int8Array, MathMin,
    ObjectSetPrototypeOf, RangeError, TypeError, TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength,
    TypedArrayPrototypeGetByteOffset, TypedArrayPrototypeGetLength, TypedArrayPrototypeGetSymbolToStringTag, TypedArrayPrototypeSet,
    Uint16Array, Uint32Array, Uint8Array, Uint8ClampedArray,
  } = internal.primordials;
  const { Queue, copyBytes, isDetached, resolvedWith, then, transfer } = internal.source('stream-base');
  const { closeStream, errorStream } = internal.source('readable-states');

  const kinds = {
    __proto__: null,
    Int8Array: [Int8Array, 1], Uint8Array: [Uint8Array, 1], Uint8ClampedArray: [Uint8ClampedArray, 1], Int16Array: [Int16Array, 2],
    Uint16Array: [Uint16Array, 2], Int32Array: [Int32Array, 4], Uint32Array: [Uint32Array, 4], Float32Array: [Float32Array, 4],
    Float64Array: [Float64Array, 8], BigInt64Array: [BigInt64Array, 8], BigUint64Array: [BigUint64Array, 8],
  };
  // What a view says of itself, whatever properties the tenant gave it.
  const partsOf = (view) => {
    const tag = TypedArrayPrototypeGetSymbolToStringTag(view);
    if (tag === undefined) {
      return {
        constructor: DataView, elementSize: 1, buffer: DataViewPrototypeGetBuffer(view), byteOffset: DataViewPrototypeGetByteOffset(view),
        byteLength: DataViewPrototypeGetByteLength(view), length: DataViewPrototypeGetByteLength(view),
      };
    }
    return {
      constructor: kinds[tag][0], elementSize: kinds[tag][1], buffer: TypedArrayPrototypeGetBuffer(view),
      byteOffset: TypedArrayPrototypeGetByteOffset(view), byteLength: TypedArrayPrototypeGetByteLength(view),
      length: TypedArrayPrototypeGetLength(view),
    };
  };

  class ByteController {
    constructor(stream, algorithms, highWaterMark, autoAllocateChunkSize) {
      this.stream = stream;
      this.api = undefined;
      // Of { buffer, byteOffset, byteLength }.
      this.queue = new Queue();
      // Of descriptors of buffers to fill.
      this.pullIntos = new Queue();
      this.byobRequest = null;
      this.isStarted = false;
      this.closeRequested = false;
      this.isPulling = false;
      this.pullsAgain = false;
      this.algorithms = algorithms;
      this.highWaterMark = highWaterMark;
      this.autoAllocateChunkSize = autoAllocateChunkSize;
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

    callPullIfNeeded() {
      if (!this.canCloseOrEnqueue() || !this.isStarted) return;
      const { reader } = this.stream;
      if (!((reader !== undefined && reader.requests.length > 0) || this.desiredSize() > 0)) return;
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

    invalidateRequest() {
      if (this.byobRequest === null) return;
      this.byobRequest.controller = undefined;
      this.byobRequest.view = null;
      this.byobRequest = null;
    }

    clearPullIntos() {
      this.invalidateRequest();
      this.pullIntos.clear();
    }

    close() {
      if (!this.canCloseOrEnqueue()) return;
      if (this.queue.total > 0) {
        this.closeRequested = true;
        return;
      }
      if (this.pullIntos.length > 0) {
        const { bytesFilled, elementSize } = this.pullIntos.first.value;
        if (bytesFilled % elementSize !== 0) {
          const error = new TypeError('ReadableByteStreamController.close: the last element of the reader\'s view is not filled');
          this.error(error);
          throw error;
        }
      }
      this.algorithms = undefined;
      closeStream(this.stream);
    }

    // For the runtime: the end of a stream, also for who waits with a buffer.
    end() {
      this.close();
      if (this.stream.state === 'closed' && this.pullIntos.length > 0) this.respondWith(0);
    }

    error(error) {
      if (this.stream.state !== 'readable') return;
      this.clearPullIntos();
      this.queue.clear();
      this.algorithms = undefined;
      errorStream(this.stream, error);
    }

    cancel(reason) {
      this.clearPullIntos();
      this.queue.clear();
      const { algorithms } = this;
      const result = algorithms.cancel(reason);
      this.algorithms = undefined;
      return result;
    }

    release() {
      if (this.pullIntos.length === 0) return;
      const first = this.pullIntos.shift();
      first.reader = 'none';
      this.pullIntos.clear();
      this.pullIntos.push(first, 0);
    }

    // Bytes that nobody else has from now on.
    enqueue(view) {
      if (!this.canCloseOrEnqueue()) return;
      const { buffer, byteOffset, byteLength } = partsOf(view);
      const moved = transfer(buffer);
      if (this.pullIntos.length > 0) {
        const first = this.pullIntos.first.value;
        if (isDetached(first.buffer)) throw new TypeError("ReadableByteStreamController.enqueue: the reader's buffer is detached");
        this.invalidateRequest();
        first.buffer = transfer(first.buffer);
        if (first.reader === 'none') this.queueReleased(first);
      }
      const { reader } = this.stream;
      if (reader === undefined) {
        this.queueBytes(moved, byteOffset, byteLength);
      } else if (!reader.isBYOB) {
        while (reader.requests.length > 0 && this.queue.total > 0) this.fillFromQueue(reader.requests.shift());
        if (reader.requests.length === 0) {
          this.queueBytes(moved, byteOffset, byteLength);
        } else {
          if (this.pullIntos.length > 0) this.pullIntos.shift();
          reader.requests.shift().chunk(new Uint8Array(moved, byteOffset, byteLength));
        }
      } else {
        this.queueBytes(moved, byteOffset, byteLength);
        this.commitFilled();
      }
      this.callPullIfNeeded();
    }

    queueBytes(buffer, byteOffset, byteLength) { this.queue.push({ buffer, byteOffset, byteLength }, byteLength); }

    queueCopy(buffer, byteOffset, byteLength) {
      let copy;
      try {
        copy = copyBytes(buffer, byteOffset, byteLength);
      } catch (error) {
        this.error(error);
        throw error;
      }
      this.queueBytes(TypedArrayPrototypeGetBuffer(copy), 0, byteLength);
    }

    // What a released reader's buffer has got stays in the stream.
    queueReleased(descriptor) {
      if (descriptor.bytesFilled > 0) this.queueCopy(descriptor.buffer, descriptor.byteOffset, descriptor.bytesFilled);
      this.pullIntos.shift();
    }

    afterQueueShrank() {
      if (this.queue.total === 0 && this.closeRequested) {
        this.algorithms = undefined;
        closeStream(this.stream);
      } else {
        this.callPullIfNeeded();
      }
    }

    fillFromQueue(request) {
      const { buffer, byteOffset, byteLength } = this.queue.shift();
      this.afterQueueShrank();
      request.chunk(new Uint8Array(buffer, byteOffset, byteLength));
    }

    // Copies what is queued into a descriptor's buffer; returns whether it has what its reader asked for at least.
    fill(descriptor) {
      const available = MathMin(this.queue.total, descriptor.byteLength - descriptor.bytesFilled);
      const reached = descriptor.bytesFilled + available;
      const aligned = reached - (reached % descriptor.elementSize);
      const isReady = aligned >= descriptor.minimumFill;
      let rest = isReady ? aligned - descriptor.bytesFilled : available;
      while (rest > 0) {
        const head = this.queue.first.value;
        const count = MathMin(rest, head.byteLength);
        TypedArrayPrototypeSet(
          new Uint8Array(descriptor.buffer, descriptor.byteOffset + descriptor.bytesFilled, count),
          new Uint8Array(head.buffer, head.byteOffset, count));
        if (head.byteLength === count) {
          this.queue.shift();
        } else {
          head.byteOffset += count;
          head.byteLength -= count;
          this.queue.first.size -= count;
          this.queue.total -= count;
        }
        descriptor.bytesFilled += count;
        rest -= count;
      }
      return isReady;
    }

    // Buffers that what is queued has filled, out of the list.
    takeFilled() {
      const filled = new Queue();
      while (this.pullIntos.length > 0 && this.queue.total > 0) {
        if (!this.fill(this.pullIntos.first.value)) break;
        filled.push(this.pullIntos.shift(), 0);
      }
      return filled;
    }

    commitFilled() { this.takeFilled().drain((descriptor) => this.commit(descriptor)); }

    commit(descriptor) {
      const view = viewOf(descriptor);
      const request = this.stream.reader.requests.shift();
      if (this.stream.state === 'closed') request.close(view);
      else request.chunk(view);
    }

    pullFor(request) {
      const { reader } = this.stream;
      if (this.queue.total > 0) {
        this.fillFromQueue(request);
        return;
      }
      if (this.autoAllocateChunkSize !== undefined) {
        let buffer;
        try {
          buffer = new ArrayBuffer(this.autoAllocateChunkSize);
        } catch (error) {
          request.error(error);
          return;
        }
        this.pullIntos.push({
          buffer, bufferByteLength: this.autoAllocateChunkSize, byteOffset: 0, byteLength: this.autoAllocateChunkSize, bytesFilled: 0,
          minimumFill: 1, elementSize: 1, constructor: Uint8Array, reader: 'default',
        }, 0);
      }
      reader.requests.push(request, 0);
      this.callPullIfNeeded();
    }

    pullInto(view, minimum, request) {
      const { constructor, elementSize, buffer, byteOffset, byteLength } = partsOf(view);
      const bufferByteLength = ArrayBufferPrototypeGetByteLength(buffer);
      let moved;
      try {
        moved = transfer(buffer);
      } catch (error) {
        request.error(error);
        return;
      }
      const descriptor = {
        buffer: moved, bufferByteLength, byteOffset, byteLength, bytesFilled: 0, minimumFill: minimum * elementSize, elementSize,
        constructor, reader: 'byob',
      };
      const { reader, state } = this.stream;
      if (this.pullIntos.length > 0) {
        this.pullIntos.push(descriptor, 0);
        reader.requests.push(request, 0);
        return;
      }
      if (state === 'closed') {
        request.close(new constructor(moved, byteOffset, 0));
        return;
      }
      if (this.queue.total > 0) {
        if (this.fill(descriptor)) {
          const filled = viewOf(descriptor);
          this.afterQueueShrank();
          request.chunk(filled);
          return;
        }
        if (this.closeRequested) {
          const error = new TypeError("ReadableStreamBYOBReader.read: the stream ended within an element of the view");
          this.error(error);
          request.error(error);
          return;
        }
      }
      this.pullIntos.push(descriptor, 0);
      reader.requests.push(request, 0);
      this.callPullIfNeeded();
    }

    requestApi() {
      if (this.byobRequest === null && this.pullIntos.length > 0) {
        const first = this.pullIntos.first.value;
        this.byobRequest = {
          controller: this, api: undefined,
          view: new Uint8Array(first.buffer, first.byteOffset + first.bytesFilled, first.byteLength - first.bytesFilled),
        };
        this.byobRequest.api = internal.source('byte-streams').wrapRequest(this.byobRequest);
      }
      return this.byobRequest === null ? null : this.byobRequest.api;
    }

    respond(byteCount) {
      const first = this.pullIntos.first.value;
      if (this.stream.state === 'closed') {
        if (byteCount !== 0) throw new TypeError('ReadableStreamBYOBRequest.respond: the stream is closed: only 0 bytes can come');
      } else {
        if (byteCount === 0) throw new TypeError('ReadableStreamBYOBRequest.respond: 0 bytes are not an answer while the stream is open');
        if (first.bytesFilled + byteCount > first.byteLength) {
          throw new RangeError('ReadableStreamBYOBRequest.respond: more bytes than the view has');
        }
      }
      first.buffer = transfer(first.buffer);
      this.respondWith(byteCount);
    }

    respondWithNewView(view) {
      const first = this.pullIntos.first.value;
      const { buffer, byteOffset, byteLength } = partsOf(view);
      const prefix = 'ReadableStreamBYOBRequest.respondWithNewView';
      if (this.stream.state === 'closed') {
        if (byteLength !== 0) throw new TypeError(`${prefix}: the stream is closed: the view must be empty`);
      } else if (byteLength === 0) {
        throw new TypeError(`${prefix}: an empty view is not an answer while the stream is open`);
      }
      if (first.byteOffset + first.bytesFilled !== byteOffset) throw new RangeError(`${prefix}: the view begins elsewhere`);
      if (first.bufferByteLength !== ArrayBufferPrototypeGetByteLength(buffer)) {
        throw new RangeError(`${prefix}: the buffer has another size`);
      }
      if (first.bytesFilled + byteLength > first.byteLength) throw new RangeError(`${prefix}: the view is too long`);
      first.buffer = transfer(buffer);
      this.respondWith(byteLength);
    }

    respondWith(byteCount) {
      const first = this.pullIntos.first.value;
      this.invalidateRequest();
      if (this.stream.state === 'closed') {
        if (first.reader === 'none') this.pullIntos.shift();
        const { reader } = this.stream;
        if (reader !== undefined && reader.isBYOB) while (reader.requests.length > 0) this.commit(this.pullIntos.shift());
      } else {
        first.bytesFilled += byteCount;
        if (first.reader === 'none') {
          this.queueReleased(first);
          this.commitFilled();
        } else if (first.bytesFilled >= first.minimumFill) {
          this.pullIntos.shift();
          const rest = first.bytesFilled % first.elementSize;
          if (rest > 0) this.queueCopy(first.buffer, first.byteOffset + first.bytesFilled - rest, rest);
          first.bytesFilled -= rest;
          const filled = this.takeFilled();
          this.commit(first);
          filled.drain((descriptor) => this.commit(descriptor));
        }
      }
      this.callPullIfNeeded();
    }
  }
  ObjectSetPrototypeOf(ByteController.prototype, null);

  const viewOf = (descriptor) => {
    const { buffer, byteOffset, bytesFilled, elementSize, constructor } = descriptor;
    return new constructor(transfer(buffer), byteOffset, bytesFilled / elementSize);
  };

  const isByteStream = (stream) => stream.controller.pullIntos !== undefined;

  return { __proto__: null, ByteController, isByteStream, partsOf };
})
