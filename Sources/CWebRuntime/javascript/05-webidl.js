(function (internal) {
  'use strict';
  // Web IDL: conversions of arguments (https://webidl.spec.whatwg.org/#js-type-mapping) and the shape of classes.
  const {
    ArrayBufferIsView, ArrayPrototypePush, IteratorPrototype, MathFloor, MathTrunc, NumberIsFinite, NumberIsNaN, NumberMAX_SAFE_INTEGER,
    NumberMIN_SAFE_INTEGER, ObjectCreate, ObjectDefineProperty, ObjectFreeze, ObjectGetOwnPropertyDescriptor, ObjectSetPrototypeOf, ReflectApply,
    ReflectOwnKeys, RegExpPrototypeExec, RegExpPrototypeSymbolReplace, String, StringPrototypeCharCodeAt,
    StringPrototypeSlice, SymbolIterator, SymbolToStringTag, TypeError,
  } = internal.primordials;

  const context = (prefix, what) => (prefix ? prefix + ': ' : '') + (what ?? 'the value');
  const fail = (prefix, what, problem) => { throw new TypeError(context(prefix, what) + ' ' + problem); };
  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

  const DOMString = (value, prefix, what) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'symbol') fail(prefix, what, 'is a symbol, which cannot be converted to a string');
    return String(value);
  };

  // V8 compiles a regular expression on its first use in an isolate, which takes longer than to look at a short string.
  const scanLimit = 256;
  const loneSurrogate = /[\uD800-\uDFFF]/u;
  const loneSurrogates = /[\uD800-\uDFFF]/gu;
  const mayHaveSurrogates = (string) => {
    if (string.length > scanLimit) return RegExpPrototypeExec(loneSurrogate, string) !== null;
    for (let index = 0; index < string.length; index++) if ((StringPrototypeCharCodeAt(string, index) & 0xF800) === 0xD800) return true;
    return false;
  };
  const toUSV = (string) => (mayHaveSurrogates(string) ? RegExpPrototypeSymbolReplace(loneSurrogates, string, '\uFFFD') : string);
  const USVString = (value, prefix, what) => toUSV(DOMString(value, prefix, what));

  const notByte = /[^\0-\xFF]/;
  const hasOtherThanBytes = (string) => {
    if (string.length > scanLimit) return RegExpPrototypeExec(notByte, string) !== null;
    for (let index = 0; index < string.length; index++) if (StringPrototypeCharCodeAt(string, index) > 0xFF) return true;
    return false;
  };
  const ByteString = (value, prefix, what) => {
    const string = DOMString(value, prefix, what);
    if (hasOtherThanBytes(string)) fail(prefix, what, 'has a character above U+00FF');
    return string;
  };

  const toNumber = (value, prefix, what) => {
    if (typeof value === 'number') return value;
    if (typeof value === 'symbol' || typeof value === 'bigint') fail(prefix, what, 'is a ' + typeof value + ', which cannot be converted to a number');
    return +value;
  };
  const evenRound = (number) => {
    const below = MathFloor(number);
    const rest = number - below;
    if (rest < 0.5) return below;
    if (rest > 0.5) return below + 1;
    return below % 2 === 0 ? below : below + 1;
  };
  const integer = (bits, signed) => {
    const isLong = bits === 64;
    const lower = signed ? (isLong ? NumberMIN_SAFE_INTEGER : -(2 ** (bits - 1))) : 0;
    const upper = isLong ? NumberMAX_SAFE_INTEGER : 2 ** (signed ? bits - 1 : bits) - 1;
    const modulo = 2 ** bits;
    const half = 2 ** (bits - 1);
    // options: enforceRange, clamp.
    return (value, prefix, what, options) => {
      let number = toNumber(value, prefix, what);
      if (options?.enforceRange) {
        if (!NumberIsFinite(number)) fail(prefix, what, 'is not a finite number');
        number = MathTrunc(number);
        if (number < lower || number > upper) fail(prefix, what, `is not between ${lower} and ${upper}`);
        return number + 0;
      }
      if (options?.clamp && !NumberIsNaN(number)) {
        number = number < lower ? lower : number > upper ? upper : number;
        return evenRound(number) + 0;
      }
      if (!NumberIsFinite(number) || number === 0) return 0;
      number = MathTrunc(number);
      if (number >= lower && number <= upper) return number + 0;
      number %= modulo;
      if (number < 0) number += modulo;
      if (signed && number >= half) number -= modulo;
      return number + 0;
    };
  };

  // A sequence: any iterable object, each item converted.
  const sequence = (value, convert, prefix, what) => {
    if (!isObject(value)) fail(prefix, what, 'is not iterable');
    const method = value[SymbolIterator];
    if (typeof method !== 'function') fail(prefix, what, 'is not iterable');
    return sequenceFrom(value, method, convert, prefix, what);
  };
  const sequenceFrom = (value, method, convert, prefix, what) => {
    const iterator = ReflectApply(method, value, []);
    if (!isObject(iterator)) fail(prefix, what, 'has an iterator that is not an object');
    const next = iterator.next;
    const list = [];
    for (;;) {
      const result = ReflectApply(next, iterator, []);
      if (!isObject(result)) fail(prefix, what, 'has an iterator whose result is not an object');
      if (result.done) return list;
      // defineProperty: a setter on Array.prototype must not see it.
      ObjectDefineProperty(list, list.length, {
        __proto__: null, value: convert ? convert(result.value, prefix, what) : result.value, writable: true, enumerable: true, configurable: true,
      });
    }
  };

  // A record as a list of [key, value] pairs in order; a key that comes again replaces.
  const record = (value, convertKey, convertValue, prefix, what) => {
    if (!isObject(value)) fail(prefix, what, 'is not an object');
    const pairs = [];
    const places = ObjectCreate(null);
    const keys = ReflectOwnKeys(value);
    for (let index = 0; index < keys.length; index++) {
      const descriptor = ObjectGetOwnPropertyDescriptor(value, keys[index]);
      if (descriptor === undefined || !descriptor.enumerable) continue;
      const key = convertKey(keys[index], prefix, what);
      const converted = convertValue(value[keys[index]], prefix, what);
      if (places[key] !== undefined) pairs[places[key]][1] = converted;
      else places[key] = ArrayPrototypePush(pairs, [key, converted]) - 1;
    }
    return pairs;
  };

  // A dictionary: undefined and null are empty; else it must be an object. Members are read by the caller, in lexicographical order.
  const empty = ObjectFreeze({ __proto__: null });
  const dictionary = (value, prefix, what) => {
    if (value === undefined || value === null) return empty;
    if (!isObject(value)) fail(prefix, what, 'is not an object');
    return value;
  };

  const { typeOf } = internal;
  const isArrayBuffer = (value) => typeof value === 'object' && value !== null && typeOf(value) === 'ArrayBuffer';
  const BufferSource = (value, prefix, what) => {
    if (ArrayBufferIsView(value) || isArrayBuffer(value)) return value;
    fail(prefix, what, 'is not an ArrayBuffer or a view on one');
  };

  const callback = (value, prefix, what) => {
    if (typeof value !== 'function') fail(prefix, what, 'is not a function');
    return value;
  };

  const requireArguments = (count, required, prefix) => {
    if (count < required) throw new TypeError(`${prefix}: ${required} argument${required === 1 ? '' : 's'} required, but only ${count} present`);
  };

  // Cuts what `isSpace(code)` says from both ends, in linear time.
  const trim = (string, isSpace) => {
    let start = 0;
    let end = string.length;
    while (start < end && isSpace(StringPrototypeCharCodeAt(string, start))) start++;
    while (end > start && isSpace(StringPrototypeCharCodeAt(string, end - 1))) end--;
    return start === 0 && end === string.length ? string : StringPrototypeSlice(string, start, end);
  };
  const isASCIIWhitespace = (code) => code === 0x20 || code === 0x09 || code === 0x0A || code === 0x0C || code === 0x0D;

  const illegalInvocation = () => new TypeError('Illegal invocation');
  const illegalConstructor = () => new TypeError('Illegal constructor');

  // Methods and accessors of an interface are enumerable; its name is its tag.
  const configure = (constructor, name = constructor.name) => {
    const enumerate = (object, isConstructor) => {
      for (const key of ReflectOwnKeys(object)) {
        if (typeof key === 'symbol' || (isConstructor ? key === 'prototype' || key === 'name' || key === 'length' : key === 'constructor')) continue;
        const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
        descriptor.enumerable = true;
        ObjectDefineProperty(object, key, descriptor);
      }
    };
    enumerate(constructor, true);
    enumerate(constructor.prototype, false);
    ObjectDefineProperty(constructor.prototype, SymbolToStringTag, {
      __proto__: null, value: name, writable: false, enumerable: false, configurable: true,
    });
    internal.notePlatformClass(constructor.prototype, name);
    return constructor;
  };

  // Constants on both the constructor and the prototype.
  const constants = (constructor, values) => {
    for (const name of ReflectOwnKeys(values)) {
      const descriptor = { __proto__: null, value: values[name], writable: false, enumerable: true, configurable: false };
      ObjectDefineProperty(constructor, name, descriptor);
      ObjectDefineProperty(constructor.prototype, name, descriptor);
    }
  };

  // keys, values, entries, forEach and [Symbol.iterator] of an interface that is iterable by pairs. `pairsOf(object)` returns its live or
  // current list of [key, value] and throws if `object` is none.
  const pairIterable = (constructor, name, pairsOf) => {
    class PairIterator {
      #target; #kind; #index = 0;
      constructor(target, kind) { this.#target = target; this.#kind = kind; }
      next() {
        if (!(#target in this)) throw illegalInvocation();
        const pairs = pairsOf(this.#target);
        if (this.#index >= pairs.length) return { value: undefined, done: true };
        const pair = pairs[this.#index++];
        return { value: this.#kind === 0 ? pair[0] : this.#kind === 1 ? pair[1] : [pair[0], pair[1]], done: false };
      }
    }
    const iteratorPrototype = PairIterator.prototype;
    ObjectSetPrototypeOf(iteratorPrototype, IteratorPrototype);
    delete iteratorPrototype.constructor;
    ObjectDefineProperty(iteratorPrototype, 'next', {
      __proto__: null, value: iteratorPrototype.next, writable: true, enumerable: true, configurable: true,
    });
    ObjectDefineProperty(iteratorPrototype, SymbolToStringTag, {
      __proto__: null, value: name + ' Iterator', writable: false, enumerable: false, configurable: true,
    });
    internal.notePlatformClass(iteratorPrototype, name + ' Iterator');
    const methods = {
      keys() { pairsOf(this); return new PairIterator(this, 0); },
      values() { pairsOf(this); return new PairIterator(this, 1); },
      entries() { pairsOf(this); return new PairIterator(this, 2); },
      forEach(callback, thisArgument = undefined) {
        pairsOf(this);
        requireArguments(arguments.length, 1, `${name}.forEach`);
        converters.Function(callback, `${name}.forEach`, 'the callback');
        for (let index = 0; ; index++) {
          const pairs = pairsOf(this);
          if (index >= pairs.length) return;
          const pair = pairs[index];
          ReflectApply(callback, thisArgument, [pair[1], pair[0], this]);
        }
      },
    };
    const prototype = constructor.prototype;
    for (const key of ReflectOwnKeys(methods)) {
      ObjectDefineProperty(prototype, key, { __proto__: null, value: methods[key], writable: true, enumerable: true, configurable: true });
    }
    ObjectDefineProperty(prototype, SymbolIterator, {
      __proto__: null, value: methods.entries, writable: true, enumerable: false, configurable: true,
    });
  };

  const converters = {
    __proto__: null,
    any: (value) => value,
    boolean: (value) => !!value,
    DOMString, USVString, ByteString, BufferSource,
    Function: callback,
    object: (value, prefix, what) => (isObject(value) ? value : fail(prefix, what, 'is not an object')),
    double: (value, prefix, what) => {
      const number = toNumber(value, prefix, what);
      if (!NumberIsFinite(number)) fail(prefix, what, 'is not a finite number');
      return number;
    },
    'unrestricted double': toNumber,
    octet: integer(8, false),
    'unsigned short': integer(16, false),
    long: integer(32, true),
    'unsigned long': integer(32, false),
    'long long': integer(64, true),
    'unsigned long long': integer(64, false),
  };

  internal.webidl = {
    __proto__: null,
    converters, sequence, sequenceFrom, record, dictionary, requireArguments, illegalInvocation, illegalConstructor, configure, constants,
    pairIterable, isObject, toUSV, trim, isASCIIWhitespace,
    // A value of an enumeration: a string of the list, else TypeError.
    enumeration: (value, values, prefix, what) => {
      const string = DOMString(value, prefix, what);
      for (let index = 0; index < values.length; index++) if (values[index] === string) return string;
      fail(prefix, what, `is '${string}', which is not one of ` + values.join(', '));
    },
  };
  internal.isArrayBuffer = isArrayBuffer;
  internal.isArrayBufferView = ArrayBufferIsView;
})
