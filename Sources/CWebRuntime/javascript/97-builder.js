(function (internal) {
  'use strict';
  // While V8 builds a snapshot it leaves out of contexts what a flag could turn off, and adds it when the snapshot is revived. These are stand-ins
  // for what modules may well use at their top level. They are taken out again before the snapshot is made: V8 does not expect anything in their
  // place, and what a module had put there would be lost. Yields the function that takes them out; it says why no snapshot can be made, if so.
  const {
    FunctionPrototypeCall, MathFloor, MathMax, MathMin, NumberMAX_SAFE_INTEGER, Object, ObjectDefineProperty, ObjectGetOwnPropertyDescriptor,
    ObjectIsExtensible, ObjectPrototypeHasOwnProperty, ReflectDeleteProperty, String, StringPrototypeCharAt, TypeError, TypedArray, globalThis,
  } = internal.primordials;
  const { Array, Error, Symbol } = globalThis;

  const integer = (value) => {
    const number = +value;
    if (number !== number) return 0;
    return number < 0 ? -MathFloor(-number) : MathFloor(number);
  };
  const lengthOf = (list) => MathMin(MathMax(integer(list.length), 0), NumberMAX_SAFE_INTEGER);
  const object = (value) => {
    if (value === undefined || value === null) throw new TypeError(`Cannot convert ${value} to object`);
    return Object(value);
  };
  const last = (list, predicate, receiver) => {
    if (typeof predicate !== 'function') throw new TypeError(`${String(predicate)} is not a function`);
    let index = lengthOf(list) - 1;
    while (index >= 0 && !FunctionPrototypeCall(predicate, receiver, list[index], index, list)) index--;
    return index;
  };

  const lists = {
    at(index) {
      const list = object(this);
      const length = lengthOf(list);
      const place = integer(index);
      return list[place < 0 ? length + place : place];
    },
    findLast(predicate) {
      const list = object(this);
      return list[last(list, predicate, arguments[1])];
    },
    findLastIndex(predicate) {
      return last(object(this), predicate, arguments[1]);
    },
  };
  const strings = {
    at(index) {
      if (this === undefined || this === null) throw new TypeError('String.prototype.at called on null or undefined');
      const text = String(this);
      const place = integer(index);
      const found = StringPrototypeCharAt(text, place < 0 ? text.length + place : place);
      return found === '' ? undefined : found;
    },
  };
  const objects = {
    hasOwn(value, key) {
      return ObjectPrototypeHasOwnProperty(object(value), key);
    },
  };

  // What is replaced, in which object, and how messages name it.
  const standIns = [];
  const put = (target, where, key, value, enumerable = false) => {
    if (ObjectGetOwnPropertyDescriptor(target, key) !== undefined) return;
    ObjectDefineProperty(target, key, { __proto__: null, value, writable: true, enumerable, configurable: true });
    standIns[standIns.length] = { __proto__: null, target, key, value, where };
  };
  const unscopables = Array.prototype[Symbol.unscopables];
  for (const key of ['at', 'findLast', 'findLastIndex']) {
    put(Array.prototype, 'Array.prototype', key, lists[key]);
    put(unscopables, 'Array.prototype[Symbol.unscopables]', key, true, true);
    put(TypedArray.prototype, 'the prototype of typed arrays', key, lists[key]);
  }
  put(String.prototype, 'String.prototype', 'at', strings.at);
  put(Object, 'Object', 'hasOwn', objects.hasOwn);
  put(Error, 'Error', 'stackTraceLimit', 10, true);

  // These cannot be stood in for.
  let seen;
  for (const key of ['WebAssembly', 'Atomics']) {
    if (ObjectGetOwnPropertyDescriptor(globalThis, key) !== undefined) continue;
    const get = () => { seen = key; };
    ObjectDefineProperty(globalThis, key, { __proto__: null, get, set: get, enumerable: false, configurable: true });
    standIns[standIns.length] = { __proto__: null, target: globalThis, key, value: get, where: 'globalThis' };
  }

  return () => {
    if (seen !== undefined) return `a module uses ${seen} at its top level, which V8 does not have while it builds a snapshot`;
    for (let i = 0; i < standIns.length; i++) {
      const { target, key, value, where } = standIns[i];
      const found = ObjectGetOwnPropertyDescriptor(target, key);
      if (found === undefined || (found.value !== value && found.get !== value)) {
        return `a module changes '${key}' of ${where} at its top level, which V8 would change back`;
      }
      if (!ObjectIsExtensible(target) || !ReflectDeleteProperty(target, key)) {
        return `a module freezes or seals ${where} at its top level, to which V8 still has to add '${key}'`;
      }
    }
    return undefined;
  };
})
