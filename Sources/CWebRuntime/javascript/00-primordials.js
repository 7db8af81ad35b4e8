(function (internal) {
  'use strict';
  // The language's own functions as they are before any tenant's code runs, so that a tenant who changes a prototype changes only its
  // own code. Methods become functions that take `this` first: primordials.ArrayPrototypePush(list, item). Getters get "Get":
  // primordials.MapPrototypeGetSize(map). Only what the runtime uses is here, because every isolate pays for it: add a name below.
  const { apply, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const { bind, call } = Function.prototype;
  const uncurryThis = bind.bind(call);
  const primordials = { __proto__: null };

  const capitalised = (key) => {
    if (typeof key === 'symbol') return 'Symbol' + capitalised(key.description.slice(7));
    return key[0].toUpperCase() + key.slice(1);
  };

  // Every name is looked up: a missing one is a mistake, found when the base snapshot is built.
  const descriptorOf = (object, key, where) => {
    const descriptor = getOwnPropertyDescriptor(object, key);
    if (descriptor === undefined) throw new Error('primordials: no ' + where + '.' + String(key));
    return descriptor;
  };
  const takeStatics = (name, object, keys) => {
    for (const key of keys.split(' ')) primordials[name + capitalised(key)] = descriptorOf(object, key, name).value;
  };
  const takePrototype = (name, prototype, keys) => {
    for (let key of keys) {
      const descriptor = descriptorOf(prototype, key, name);
      if (descriptor.get) primordials[name + 'PrototypeGet' + capitalised(key)] = uncurryThis(descriptor.get);
      else primordials[name + 'Prototype' + capitalised(key)] = uncurryThis(descriptor.value);
    }
  };

  const constructors = {
    Array, ArrayBuffer, BigInt, BigInt64Array, BigUint64Array, Boolean, DataView, Date, Error, Float32Array, Float64Array, Function, Int8Array,
    Int16Array, Int32Array, Map, Number, Object, Promise, Proxy, RangeError, RegExp, Set, String, Symbol, SyntaxError, TypeError, Uint8Array,
    Uint8ClampedArray, Uint16Array, Uint32Array, WeakMap, WeakRef, WeakSet,
  };
  for (const name of ownKeys(constructors)) primordials[name] = constructors[name];

  takeStatics('Array', Array, 'isArray from of');
  takeStatics('ArrayBuffer', ArrayBuffer, 'isView');
  takeStatics('Error', Error, 'captureStackTrace');
  takeStatics('JSON', JSON, 'parse stringify');
  takeStatics('Math', Math, 'abs ceil floor max min pow round trunc');
  takeStatics('Number', Number, 'isFinite isInteger isNaN isSafeInteger MAX_SAFE_INTEGER MIN_SAFE_INTEGER parseInt parseFloat');
  takeStatics(
    'Object', Object,
    'assign create defineProperties defineProperty entries freeze fromEntries getOwnPropertyDescriptor getOwnPropertyDescriptors ' +
    'getOwnPropertyNames getOwnPropertySymbols getPrototypeOf is isExtensible isFrozen keys setPrototypeOf values');
  takeStatics('Reflect', Reflect, 'apply construct defineProperty deleteProperty get getOwnPropertyDescriptor getPrototypeOf has ownKeys set');
  takeStatics('String', String, 'fromCharCode fromCodePoint');
  takeStatics('Symbol', Symbol, 'asyncIterator hasInstance iterator species toPrimitive toStringTag for keyFor');
  // These use `this`.
  for (const key of ['all', 'allSettled', 'any', 'race', 'reject', 'resolve']) {
    primordials['Promise' + capitalised(key)] = bind.call(Promise[key], Promise);
  }

  const TypedArray = Reflect.getPrototypeOf(Uint8Array);
  primordials.TypedArray = TypedArray;
  const prototypes = [
    ['Array', Array.prototype,
      'concat every fill filter find findIndex forEach includes indexOf join keys lastIndexOf map pop push reduce reverse shift slice some ' +
      'sort splice unshift values'],
    ['ArrayBuffer', ArrayBuffer.prototype, 'byteLength slice'],
    ['BigInt', BigInt.prototype, 'toString valueOf'],
    ['Boolean', Boolean.prototype, 'valueOf'],
    ['DataView', DataView.prototype, 'buffer byteLength byteOffset getUint8 getUint16 setUint8'],
    ['Date', Date.prototype, 'getTime toISOString toUTCString'],
    ['Error', Error.prototype, 'toString'],
    ['Function', Function.prototype, 'apply bind call toString'],
    ['Map', Map.prototype, 'clear delete entries forEach get has keys set size values'],
    ['Number', Number.prototype, 'toFixed toString valueOf'],
    ['Object', Object.prototype, 'hasOwnProperty isPrototypeOf propertyIsEnumerable toString'],
    ['Promise', Promise.prototype, 'catch finally then'],
    ['RegExp', RegExp.prototype, 'exec flags source toString'],
    ['Set', Set.prototype, 'add clear delete entries forEach has keys size values'],
    ['String', String.prototype,
      'charAt charCodeAt codePointAt concat endsWith includes indexOf lastIndexOf localeCompare padEnd padStart repeat replace replaceAll ' +
      'slice split startsWith substring toLowerCase toString toUpperCase trim trimEnd trimStart valueOf'],
    ['Symbol', Symbol.prototype, 'description toString valueOf'],
    ['TypedArray', TypedArray.prototype, 'buffer byteLength byteOffset fill indexOf join length set slice subarray'],
    ['WeakMap', WeakMap.prototype, 'delete get has set'],
    ['WeakRef', WeakRef.prototype, 'deref'],
    ['WeakSet', WeakSet.prototype, 'add delete has'],
  ];
  for (const [name, prototype, keys] of prototypes) takePrototype(name, prototype, keys.split(' '));
  takePrototype('TypedArray', TypedArray.prototype, [Symbol.toStringTag]);
  takePrototype('String', String.prototype, [Symbol.iterator]);
  takePrototype('Array', Array.prototype, [Symbol.iterator]);
  takePrototype('RegExp', RegExp.prototype, [Symbol.replace, Symbol.split]);

  primordials.ArrayPrototype = Array.prototype;
  primordials.FunctionPrototype = Function.prototype;
  primordials.ObjectPrototype = Object.prototype;
  primordials.ErrorPrototype = Error.prototype;
  primordials.IteratorPrototype = Reflect.getPrototypeOf(Reflect.getPrototypeOf([][Symbol.iterator]()));
  primordials.AsyncIteratorPrototype = Reflect.getPrototypeOf(Reflect.getPrototypeOf(async function* () {}).prototype);
  primordials.ArrayIteratorPrototypeNext = uncurryThis(Reflect.getPrototypeOf([][Symbol.iterator]()).next);
  primordials.MapIteratorPrototypeNext = uncurryThis(Reflect.getPrototypeOf(new Map()[Symbol.iterator]()).next);
  primordials.SetIteratorPrototypeNext = uncurryThis(Reflect.getPrototypeOf(new Set()[Symbol.iterator]()).next);
  primordials.uncurryThis = uncurryThis;
  primordials.applyBind = bind.bind(apply);
  primordials.globalThis = globalThis;
  primordials.encodeURIComponent = encodeURIComponent;
  primordials.decodeURIComponent = decodeURIComponent;

  // Collections whose methods the tenant cannot change. Loop with forEach: iterators' `next` is the tenant's to change.
  const makeSafe = (unsafe, safe) => {
    for (const key of ownKeys(unsafe.prototype)) {
      if (!getOwnPropertyDescriptor(safe.prototype, key)) {
        Reflect.defineProperty(safe.prototype, key, { __proto__: null, ...getOwnPropertyDescriptor(unsafe.prototype, key) });
      }
    }
    Reflect.setPrototypeOf(safe.prototype, null);
    Object.freeze(safe.prototype);
    Object.freeze(safe);
    return safe;
  };
  primordials.SafeMap = makeSafe(Map, class SafeMap extends Map { constructor() { super(); } });
  primordials.SafeSet = makeSafe(Set, class SafeSet extends Set { constructor() { super(); } });
  primordials.SafeWeakMap = makeSafe(WeakMap, class SafeWeakMap extends WeakMap { constructor() { super(); } });
  primordials.SafeWeakSet = makeSafe(WeakSet, class SafeWeakSet extends WeakSet { constructor() { super(); } });

  internal.primordials = Object.freeze(primordials);

  // Global definitions: not enumerable, writable, configurable.
  internal.expose = (name, value) => {
    Reflect.defineProperty(globalThis, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
  };

  // The name of the runtime's class that an object is of, as its prototypes say; undefined for the tenant's own.
  const platformPrototypes = new primordials.SafeMap();
  internal.notePlatformClass = (prototype, name) => { platformPrototypes.set(prototype, name); };
  const { getPrototypeOf } = Reflect;
  internal.platformClass = (object) => {
    for (let prototype = getPrototypeOf(object); prototype !== null; prototype = getPrototypeOf(prototype)) {
      const name = platformPrototypes.get(prototype);
      if (name !== undefined) return name;
    }
    return undefined;
  };

  // Globals that few tenants touch: the first use runs the lazy source, which returns an object with a property for each of `names`.
  const { defineProperty } = Reflect;
  const { load } = internal;
  internal.exposeLazily = (source, names) => {
    const replace = (name, value) => {
      defineProperty(globalThis, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
    };
    let loaded;
    for (let index = 0; index < names.length; index++) {
      const name = names[index];
      defineProperty(globalThis, name, {
        __proto__: null,
        get() {
          loaded ??= load(source);
          replace(name, loaded[name]);
          return loaded[name];
        },
        set(value) { replace(name, value); },
        enumerable: false,
        configurable: true,
      });
    }
  };
})
