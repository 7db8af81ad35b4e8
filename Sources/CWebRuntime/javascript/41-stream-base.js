(function (internal) {
  'use strict';
  // What all streams use: promises, queues with sizes, strategies. https://streams.spec.whatwg.org/#qs
  const {
    ArrayBufferPrototypeGetByteLength, FunctionPrototypeCall, NumberIsNaN, ObjectDefineProperty, ObjectSetPrototypeOf, Promise,
    PromisePrototypeThen, PromiseReject, PromiseResolve, RangeError, ReflectApply, TypeError, TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { configure, converters, dictionary, isObject, requireArguments } = internal.webidl;

  const nothing = () => {};
  const then = PromisePrototypeThen;
  const markHandled = (promise) => { PromisePrototypeThen(promise, undefined, nothing); };
  // "A promise resolved with": https://webidl.spec.whatwg.org/#a-promise-resolved-with. Of a promise it is another one, some turns later.
  const resolvedWith = (value) => (isObject(value) ? new Promise((resolve) => resolve(value)) : PromiseResolve(value));
  const deferred = () => {
    const made = { promise: undefined, resolve: undefined, reject: undefined };
    made.promise = new Promise((resolve, reject) => {
      made.resolve = resolve;
      made.reject = reject;
    });
    return made;
  };

  // Calls a function of the tenant that returns a promise; what it throws is a rejection.
  const promiseCall = (callback, self, list) => {
    try {
      return resolvedWith(ReflectApply(callback, self, list));
    } catch (error) {
      return PromiseReject(error);
    }
  };

  // A list linked by `next`: nothing in it is looked up where the tenant could have put something. `total` is the sum of sizes, which
  // the one who pushes keeps.
  class Queue {
    constructor() {
      this.first = undefined;
      this.last = undefined;
      this.length = 0;
      this.total = 0;
    }

    push(value, size) {
      const node = { value, size, next: undefined };
      if (this.first === undefined) this.first = node;
      else this.last.next = node;
      this.last = node;
      this.length++;
      this.total += size;
    }

    shift() {
      const node = this.first;
      this.first = node.next;
      if (this.first === undefined) this.last = undefined;
      this.length--;
      this.total -= node.size;
      // Sizes are the tenant's fractions: their sum may end a little off.
      if (this.total < 0) this.total = 0;
      return node.value;
    }

    clear() {
      this.first = this.last = undefined;
      this.length = this.total = 0;
    }

    // Empties the queue, then calls `visit` with each value.
    drain(visit) {
      let node = this.first;
      this.clear();
      for (; node !== undefined; node = node.next) visit(node.value);
    }
  }
  ObjectSetPrototypeOf(Queue.prototype, null);

  // The size of a chunk as its strategy says: throws RangeError if it is not one.
  const checkedSize = (size) => {
    const number = +size;
    if (NumberIsNaN(number) || number < 0 || number === Infinity) throw new RangeError(`the size of a chunk is ${number}`);
    return number;
  };

  const one = () => 1;
  // { highWaterMark, size }, both perhaps undefined.
  const strategyOf = (value, prefix) => {
    const { highWaterMark, size } = dictionary(value, prefix, 'the strategy');
    return {
      highWaterMark: highWaterMark === undefined ? undefined : converters['unrestricted double'](highWaterMark, prefix, 'highWaterMark'),
      size: size === undefined ? undefined : converters.Function(size, prefix, 'size'),
    };
  };
  const highWaterMarkOf = (strategy, standard) => {
    const { highWaterMark } = strategy;
    if (highWaterMark === undefined) return standard;
    if (NumberIsNaN(highWaterMark) || highWaterMark < 0) throw new RangeError(`highWaterMark is ${highWaterMark}`);
    return highWaterMark;
  };
  const sizeOf = (strategy) => {
    const { size } = strategy;
    return size === undefined ? one : (chunk) => FunctionPrototypeCall(size, undefined, chunk);
  };

  // A method of an underlying source, sink or transformer.
  const methodOf = (object, name, prefix) => {
    const method = object[name];
    return method === undefined ? undefined : converters.Function(method, prefix, name);
  };

  const initOf = (init, name, count) => {
    requireArguments(count, 1, name);
    const { highWaterMark } = dictionary(init, name, 'the options');
    if (highWaterMark === undefined) throw new TypeError(`${name}: options.highWaterMark is missing`);
    return converters['unrestricted double'](highWaterMark, name, 'highWaterMark');
  };
  const sizes = {
    byteLength: { size(chunk) { return chunk.byteLength; } }.size,
    count: { size() { return 1; } }.size,
  };

  class ByteLengthQueuingStrategy {
    #highWaterMark;
    constructor(init) { this.#highWaterMark = initOf(init, 'ByteLengthQueuingStrategy', arguments.length); }
    get highWaterMark() { return this.#highWaterMark; }
    get size() {
      this.#highWaterMark;
      return sizes.byteLength;
    }
  }
  configure(ByteLengthQueuingStrategy, 'ByteLengthQueuingStrategy');

  class CountQueuingStrategy {
    #highWaterMark;
    constructor(init) { this.#highWaterMark = initOf(init, 'CountQueuingStrategy', arguments.length); }
    get highWaterMark() { return this.#highWaterMark; }
    get size() {
      this.#highWaterMark;
      return sizes.count;
    }
  }
  configure(CountQueuingStrategy, 'CountQueuingStrategy');

  // Buffers: V8 10.2 has no `detached`.
  const isDetached = (buffer) => {
    if (ArrayBufferPrototypeGetByteLength(buffer) !== 0) return false;
    try {
      new Uint8Array(buffer);
      return false;
    } catch {
      return true;
    }
  };
  const transfer = (buffer) => {
    if (isDetached(buffer)) throw new TypeError('the buffer is detached');
    return internal.detach(buffer);
  };
  const copyBytes = (buffer, offset, length) => {
    const copy = new Uint8Array(length);
    TypedArrayPrototypeSet(copy, new Uint8Array(buffer, offset, length));
    return copy;
  };

  return {
    __proto__: null,
    ByteLengthQueuingStrategy, CountQueuingStrategy, Queue, checkedSize, copyBytes, deferred, highWaterMarkOf, isDetached, isObject,
    markHandled, methodOf, nothing, one, promiseCall, resolvedWith, sizeOf, strategyOf, then, transfer,
    define: (object, name, value) => {
      ObjectDefineProperty(object, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
    },
  };
})
