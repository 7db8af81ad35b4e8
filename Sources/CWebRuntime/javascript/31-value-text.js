(function (internal) {
  'use strict';
  // Texts of primitives, functions, regular expressions, boxed values and errors for the log. Runs none of the tenant's code, except that an
  // error's stack is made by its Error.prepareStackTrace if there is one.
  const {
    ArrayPrototypePush, BigIntPrototypeToString, BigIntPrototypeValueOf, BooleanPrototypeValueOf, Error, FunctionPrototypeToString,
    JSONStringify, NumberPrototypeToString, NumberPrototypeValueOf, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectIs,
    ObjectPrototypeHasOwnProperty, ReflectApply, RegExp, RegExpPrototypeExec, RegExpPrototypeGetSource, String, StringPrototypeIncludes,
    StringPrototypeIndexOf, StringPrototypeReplaceAll, StringPrototypeSlice, StringPrototypeStartsWith, StringPrototypeValueOf,
    SymbolPrototypeToString, SymbolPrototypeValueOf, uncurryThis,
  } = internal.primordials;
  const { className: wholeClassName, typeOf } = internal;

  // Characters of a string inside another value, and of a name.
  const stringLimit = 2048, nameLimit = 128;

  const shortName = (name) => (name.length > nameLimit ? StringPrototypeSlice(name, 0, nameLimit) : name);

  // The name of an object's class; the tenant may have given it any. undefined: a proxy or no object.
  const className = (value) => {
    const name = wholeClassName(value);
    return typeof name === 'string' ? shortName(name) : undefined;
  };
  internal.className = className;

  const quote = (string) => {
    const cut = string.length > stringLimit ? StringPrototypeSlice(string, 0, stringLimit) : string;
    const body = StringPrototypeSlice(JSONStringify(cut), 1, -1);
    const text = StringPrototypeIncludes(cut, "'")
      ? '"' + body + '"'
      : "'" + (StringPrototypeIncludes(body, '\\"') ? StringPrototypeReplaceAll(body, '\\"', '"') : body) + "'";
    return cut === string ? text : text + `... ${string.length - stringLimit} more characters`;
  };

  const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
  const keyText = (key) =>
    typeof key === 'symbol' ? `[${SymbolPrototypeToString(key)}]` : RegExpPrototypeExec(identifier, key) !== null ? key : quote(key);

  // An own data property's value; undefined when there is none or it is an accessor.
  const ownValue = (object, key) => {
    const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
    return descriptor !== undefined && ObjectPrototypeHasOwnProperty(descriptor, 'value') ? descriptor.value : undefined;
  };
  // A data property's value, own or inherited, without running anything.
  const dataValue = (object, key) => {
    for (let level = 0; object !== null && level < 32; level++) {
      if (typeOf(object) === 'Proxy') return undefined;
      const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
      if (descriptor !== undefined) return ObjectPrototypeHasOwnProperty(descriptor, 'value') ? descriptor.value : undefined;
      object = ObjectGetPrototypeOf(object);
    }
    return undefined;
  };

  const primitive = (value) => {
    switch (typeof value) {
      case 'string': return quote(value);
      case 'number': return ObjectIs(value, -0) ? '-0' : NumberPrototypeToString(value);
      case 'bigint': return BigIntPrototypeToString(value) + 'n';
      case 'symbol': return SymbolPrototypeToString(value);
      default: return String(value);
    }
  };

  // On newer V8 `stack` is an accessor of the error itself, with this getter.
  let stackGetter;
  const stackOf = (error) => {
    const descriptor = ObjectGetOwnPropertyDescriptor(error, 'stack');
    if (descriptor === undefined) return undefined;
    if (ObjectPrototypeHasOwnProperty(descriptor, 'value')) return descriptor.value;
    const own = ObjectGetOwnPropertyDescriptor(new Error(), 'stack');
    stackGetter ??= own === undefined ? undefined : own.get;
    return descriptor.get !== undefined && descriptor.get === stackGetter ? ReflectApply(stackGetter, error, []) : undefined;
  };

  // "Name: message", without the stack.
  const headline = (error) => {
    if (internal.isDOMException(error)) {
      const { message, name } = internal.readDOMException(error);
      return message === '' ? shortName(name) : `${shortName(name)}: ${StringPrototypeSlice(message, 0, stringLimit)}`;
    }
    const name = dataValue(error, 'name');
    const message = dataValue(error, 'message');
    const shownName = typeof name === 'string' && name !== '' ? shortName(name) : className(error) || 'Error';
    return typeof message === 'string' && message !== '' ? `${shownName}: ${StringPrototypeSlice(message, 0, stringLimit)}` : shownName;
  };

  const errorText = (error) => {
    const head = headline(error);
    let stack;
    try {
      stack = stackOf(error);
    } catch {
      // Error.prepareStackTrace of the tenant threw.
    }
    if (typeof stack !== 'string' || stack === '') return head;
    const lines = StringPrototypeIndexOf(stack, '\n    at ');
    // The stack's own first line is from when the error was made: the message may have changed since.
    return StringPrototypeStartsWith(stack, head) ? stack : lines < 0 ? head : head + StringPrototypeSlice(stack, lines);
  };

  const functionText = (value) => {
    const name = ownValue(value, 'name');
    const shown = typeof name === 'string' && name !== '' ? shortName(name) : '(anonymous)';
    const kind = typeOf(value);
    const isClass = StringPrototypeStartsWith(FunctionPrototypeToString(value), 'class');
    return isClass ? `[class ${shown}]` : `[${kind === 'Function' ? 'Function' : kind}: ${shown}]`;
  };

  const regexpText = (value) => {
    // The prototype's getters are asked for a true RegExp only, and the captured ones run no tenant's code but `flags`, which reads own
    // properties: build it from the instance's slots instead.
    let flags = '';
    for (let index = 0; index < flagGetters.length; index++) if (flagGetters[index][1](value)) flags += flagGetters[index][0];
    return `/${RegExpPrototypeGetSource(value)}/${flags}`;
  };
  const flagGetters = [];
  const flagNames = [
    ['d', 'hasIndices'], ['g', 'global'], ['i', 'ignoreCase'], ['m', 'multiline'], ['s', 'dotAll'], ['u', 'unicode'], ['y', 'sticky'],
  ];
  for (const [letter, name] of flagNames) {
    const descriptor = ObjectGetOwnPropertyDescriptor(RegExp.prototype, name);
    if (descriptor !== undefined) ArrayPrototypePush(flagGetters, [letter, uncurryThis(descriptor.get)]);
  }

  const boxedText = (value) => {
    const kinds = [
      ['String', StringPrototypeValueOf], ['Number', NumberPrototypeValueOf], ['Boolean', BooleanPrototypeValueOf],
      ['Symbol', SymbolPrototypeValueOf], ['BigInt', BigIntPrototypeValueOf],
    ];
    for (let index = 0; index < kinds.length; index++) {
      try {
        return `[${kinds[index][0]}: ${primitive(kinds[index][1](value))}]`;
      } catch {
        // Another kind.
      }
    }
    return '[Boxed]';
  };

  internal.valueText = { __proto__: null, boxedText, errorText, functionText, headline, keyText, ownValue, primitive, regexpText };
})
