(function (internal) {
  'use strict';
  // inspect: a value as text for the log. Never runs the tenant's code: no getters, no proxies' traps, no toString, no iterators; kinds come
  // from V8, not from prototypes. Depth, items, and the text's length are bounded.
  const {
    ArrayBufferPrototypeGetByteLength, ArrayIsArray, ArrayPrototypeIndexOf, ArrayPrototypeJoin, ArrayPrototypePop, ArrayPrototypePush,
    DataViewPrototypeGetByteLength, DatePrototypeGetTime, DatePrototypeToISOString, MapPrototypeForEach, MapPrototypeGetSize, MathMin,
    NumberIsNaN, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectPrototypeHasOwnProperty, ReflectOwnKeys, RegExpPrototypeExec,
    SetPrototypeForEach, SetPrototypeGetSize, StringPrototypeIncludes, StringPrototypeSlice, TypedArrayPrototypeGetLength,
    TypedArrayPrototypeGetSymbolToStringTag,
  } = internal.primordials;
  const { className, previewPromise, previewProxy, typeOf } = internal;
  const { boxedText, errorText, functionText, headline, keyText, ownValue, primitive, regexpText } = internal.valueText;

  // Limits: nested levels, items of a collection, and characters of the whole text.
  const depthLimit = 4, itemsLimit = 100, textLimit = 8192;
  const lineWidth = 76;

  const inspectors = [];
  // `inspector(value)` returns undefined, or [name, object whose own properties are shown] for an object of the runtime's.
  internal.registerInspector = (inspector) => { ArrayPrototypePush(inspectors, inspector); };
  const registered = (value) => {
    for (let index = 0; index < inspectors.length; index++) {
      const result = inspectors[index](value);
      if (result !== undefined) return result;
    }
    return undefined;
  };

  // Short items of a long list share lines.
  const fill = (items, width) => {
    const lines = [];
    let line = '';
    for (let index = 0; index < items.length; index++) {
      const item = items[index];
      if (item.length > 24 || StringPrototypeIncludes(item, '\n')) return items;
      if (line !== '' && line.length + item.length > width) {
        ArrayPrototypePush(lines, line);
        line = '';
      }
      line += (line === '' ? '' : ', ') + item;
    }
    ArrayPrototypePush(lines, line);
    return lines;
  };

  class Inspection {
    constructor(depth) {
      this.depth = depth;
      this.path = [];
      // Characters that may still be written; what is beyond is cut.
      this.room = textLimit;
    }

    take(text) {
      this.room -= text.length;
      return text;
    }

    value(value, level) {
      if (this.room <= 0) return '...';
      if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return this.take(primitive(value));
      let target = value;
      for (let layers = 0; typeOf(target) === 'Proxy'; layers++) {
        const preview = previewProxy(target);
        target = preview === undefined ? null : preview[0];
        if (target === null) return this.take('<Revoked Proxy>');
        if (layers > 100) return this.take('<Proxy>');
      }
      if (ArrayPrototypeIndexOf(this.path, target) >= 0) return this.take('[Circular]');
      ArrayPrototypePush(this.path, target);
      try {
        return this.object(target, level);
      } finally {
        ArrayPrototypePop(this.path);
      }
    }

    object(value, level) {
      const kind = typeOf(value);
      const special = registered(value);
      const name = special !== undefined ? special[0] : constructorName(value, kind);
      if (typeof value === 'function') return this.withProperties(functionText(value, name), value, level, functionKeys);
      switch (kind) {
        case 'Error': return this.error(value, level);
        case 'Date': {
          const time = DatePrototypeGetTime(value);
          return this.withProperties(NumberIsNaN(time) ? 'Invalid Date' : DatePrototypeToISOString(value), value, level);
        }
        case 'RegExp': return this.withProperties(regexpText(value), value, level, regexpKeys);
        case 'Boxed': return this.withProperties(boxedText(value), value, level, undefined, true);
      }
      if (level > this.depth) return this.take(ArrayIsArray(value) ? '[Array]' : `[${name}]`);
      if (special !== undefined) return this.braces(`${name} {`, '}', this.properties(special[1], level, undefined, false), level);
      switch (kind) {
        case 'Map': return this.map(value, name, level);
        case 'Set': return this.set(value, name, level);
        case 'Promise': return this.promise(value, name, level);
        case 'ArrayBuffer': {
          const items = ['byteLength: ' + ArrayBufferPrototypeGetByteLength(value)];
          return this.braces(`${name} {`, '}', this.properties(value, level, items), level);
        }
        case 'DataView': return this.braces(`${name} {`, '}', ['byteLength: ' + DataViewPrototypeGetByteLength(value)], level);
        case 'TypedArray': {
          const length = TypedArrayPrototypeGetLength(value);
          return this.list(value, length, `${TypedArrayPrototypeGetSymbolToStringTag(value)}(${length}) [`, level);
        }
        case 'WeakMap': case 'WeakSet': return this.take(`${name} { <items unknown> }`);
        case 'Arguments': return this.list(value, ownValue(value, 'length') >>> 0, '[Arguments] [', level);
        case 'Module': return this.braces('[Module] {', '}', this.properties(value, level), level);
      }
      if (ArrayIsArray(value)) {
        const length = ownValue(value, 'length');
        const prefix = name === 'Array' ? (length > 6 ? `(${length}) [` : '[') : `${name}(${length}) [`;
        return this.list(value, length, prefix, level);
      }
      const prefix = name === 'Object' ? '{' : `${name} {`;
      return this.braces(prefix, '}', this.properties(value, level), level);
    }

    // `text`, and the object's own properties if it has any.
    withProperties(text, value, level, hidden = undefined, skipsIndices = false) {
      this.take(text);
      if (level > this.depth) return text;
      const items = this.properties(value, level, [], true, hidden, skipsIndices);
      return items.length === 0 ? text : this.braces(text + ' {', '}', items, level);
    }

    properties(value, level, items = [], ownOnly = true, hidden = undefined, skipsIndices = false) {
      const keys = ReflectOwnKeys(value);
      let shown = 0;
      for (let index = 0; index < keys.length; index++) {
        const key = keys[index];
        if (skipsIndices && typeof key === 'string' && RegExpPrototypeExec(/^[0-9]+$/, key) !== null) continue;
        if (hidden !== undefined && hidden[key] === true) continue;
        const descriptor = ObjectGetOwnPropertyDescriptor(value, key);
        if (descriptor === undefined || !descriptor.enumerable) continue;
        if (shown >= itemsLimit || this.room <= 0) {
          ArrayPrototypePush(items, `... ${keys.length - index} more properties`);
          break;
        }
        shown++;
        ArrayPrototypePush(items, this.take(keyText(key) + ': ') + this.descriptor(descriptor, level));
      }
      return items;
    }

    descriptor(descriptor, level) {
      if (ObjectPrototypeHasOwnProperty(descriptor, 'value')) return this.value(descriptor.value, level + 1);
      return this.take(descriptor.get === undefined ? '[Setter]' : descriptor.set === undefined ? '[Getter]' : '[Getter/Setter]');
    }

    list(value, length, prefix, level) {
      const items = [];
      const shown = MathMin(length, itemsLimit);
      let holes = 0;
      const flush = () => {
        if (holes > 0) ArrayPrototypePush(items, `<${holes} empty item${holes === 1 ? '' : 's'}>`);
        holes = 0;
      };
      let index = 0;
      for (; index < shown && this.room > 0; index++) {
        const descriptor = ObjectGetOwnPropertyDescriptor(value, index);
        if (descriptor === undefined) {
          holes++;
          continue;
        }
        flush();
        ArrayPrototypePush(items, this.descriptor(descriptor, level));
      }
      flush();
      if (index < length) ArrayPrototypePush(items, `... ${length - index} more item${length - index === 1 ? '' : 's'}`);
      // Named properties: not looked for in long lists, whose keys are many.
      if (length <= itemsLimit) this.properties(value, level, items, true, undefined, true);
      return this.braces(prefix, ']', items, level);
    }

    map(value, name, level) {
      const items = [];
      const size = MapPrototypeGetSize(value);
      let seen = 0;
      if (size <= 10 * itemsLimit) {
        MapPrototypeForEach(value, (item, key) => {
          if (seen >= itemsLimit || this.room <= 0) return;
          seen++;
          ArrayPrototypePush(items, this.value(key, level + 1) + ' => ' + this.value(item, level + 1));
        });
      }
      if (seen < size) ArrayPrototypePush(items, `... ${size - seen} more items`);
      return this.braces(`${name}(${size}) {`, '}', this.properties(value, level, items), level);
    }

    set(value, name, level) {
      const items = [];
      const size = SetPrototypeGetSize(value);
      let seen = 0;
      if (size <= 10 * itemsLimit) {
        SetPrototypeForEach(value, (item) => {
          if (seen >= itemsLimit || this.room <= 0) return;
          seen++;
          ArrayPrototypePush(items, this.value(item, level + 1));
        });
      }
      if (seen < size) ArrayPrototypePush(items, `... ${size - seen} more items`);
      return this.braces(`${name}(${size}) {`, '}', this.properties(value, level, items), level);
    }

    promise(value, name, level) {
      const preview = previewPromise(value);
      const state = preview[0];
      const items = [state === 0 ? '<pending>' : (state === 1 ? '' : '<rejected> ') + this.value(preview[1], level + 1)];
      return this.braces(`${name} {`, '}', this.properties(value, level, items), level);
    }

    error(value, level) {
      const text = this.take(StringPrototypeSlice(errorText(value), 0, textLimit));
      const items = this.properties(value, level, [], true, errorKeys);
      const cause = ObjectGetOwnPropertyDescriptor(value, 'cause');
      if (cause !== undefined && level <= this.depth) ArrayPrototypePush(items, '[cause]: ' + this.descriptor(cause, level));
      const errors = ownValue(value, 'errors');
      if (errors !== undefined && level <= this.depth) ArrayPrototypePush(items, '[errors]: ' + this.value(errors, level + 1));
      return items.length === 0 ? text : this.braces(text + ' {', '}', items, level);
    }

    braces(open, close, items, level) {
      if (items.length === 0) return open + close;
      const joined = ArrayPrototypeJoin(items, ', ');
      if (joined.length + open.length + 2 * level <= lineWidth && !StringPrototypeIncludes(joined, '\n')) return `${open} ${joined} ${close}`;
      let indent = '\n';
      for (let index = 0; index < level; index++) indent += '  ';
      const lines = close === ']' ? fill(items, lineWidth - 2 * level) : items;
      return open + indent + '  ' + ArrayPrototypeJoin(lines, ',' + indent + '  ') + indent + close;
    }
  }

  const functionKeys = { __proto__: null, length: true, name: true, prototype: true };
  const regexpKeys = { __proto__: null, lastIndex: true };
  const errorKeys = { __proto__: null, stack: true, message: true, cause: true, errors: true };

  const constructorName = (value, kind) => {
    if (ObjectGetPrototypeOf(value) === null) return `[${kind}: null prototype]`;
    return className(value) || 'Object';
  };

  const cut = (text) => (text.length > textLimit ? StringPrototypeSlice(text, 0, textLimit) + '... (cut)' : text);

  internal.inspect = (value, depth = depthLimit) => cut(new Inspection(depth).value(value, 0));

  // A thrown value for the log, with its stack; never throws.
  internal.describeError = (error) => {
    try {
      return typeof error === 'string' ? cut(error) : internal.inspect(error);
    } catch {
      return 'an error that cannot be shown';
    }
  };
  // "Name: message" of a thrown value, in one line.
  internal.describeErrorBriefly = (error) => {
    try {
      if (typeof error === 'object' && error !== null && typeOf(error) === 'Error') return headline(error);
      return typeof error === 'string' ? cut(error) : internal.inspect(error, 0);
    } catch {
      return 'an error that cannot be shown';
    }
  };
  internal.reportError = internal.describeError;
  internal.isNativeError = (value) => typeof value === 'object' && value !== null && typeOf(value) === 'Error';
})
