(function (internal) {
  'use strict';
  // The tenant's entry point: what the main module exports by default, and the `env` that its handler gets.
  const {
    FunctionPrototypeToString, ObjectDefineProperty, ObjectSetPrototypeOf, RegExpPrototypeExec, StringPrototypeIndexOf,
    StringPrototypeSlice,
  } = internal.primordials;
  const { isObject } = internal.webidl;
  const { environment, ready, startFailed } = internal.ops;

  class Entry {
    constructor() {
      this.target = undefined;
      this.fetch = undefined;
      this.env = undefined;
    }
  }
  ObjectSetPrototypeOf(Entry.prototype, null);
  const entry = new Entry();

  const makeEnvironment = () => {
    const made = {};
    const text = environment();
    let start = 0;
    const next = () => {
      const end = StringPrototypeIndexOf(text, '\0', start);
      const part = StringPrototypeSlice(text, start, end < 0 ? text.length : end);
      start = end < 0 ? text.length : end + 1;
      return part;
    };
    while (start < text.length) {
      next();
      const name = next();
      ObjectDefineProperty(made, name, { __proto__: null, value: next(), writable: true, enumerable: true, configurable: true });
    }
    return made;
  };

  const classText = /^class\b/;
  // Why a default export cannot take requests.
  const whyUnusable = (namespace) => {
    const wanted = 'export default { async fetch(request, env, ctx) { ... } }';
    const { default: exported } = namespace;
    if (exported === undefined) {
      if (typeof namespace.fetch === 'function') return `the main module exports 'fetch' by name but has no default export: ${wanted}`;
      return `the main module has no default export: ${wanted}`;
    }
    if (typeof exported === 'function') {
      const isClass = RegExpPrototypeExec(classText, FunctionPrototypeToString(exported)) !== null;
      if (isClass) return `the main module's default export is a class, which is not supported: export an object: ${wanted}`;
      return `the main module's default export is a function, which is not supported: export an object: ${wanted}`;
    }
    if (!isObject(exported)) return `the main module's default export is ${describeKind(exported)} instead of an object: ${wanted}`;
    const found = exported.fetch;
    if (found === undefined) return `the main module's default export has no 'fetch' method: ${wanted}`;
    return `'fetch' of the main module's default export is ${describeKind(found)} instead of a function: ${wanted}`;
  };

  const describeKind = (value) => {
    if (value === undefined || value === null) return `${value}`;
    if (typeof value === 'function') return 'a function';
    if (typeof value !== 'object') return `a ${typeof value}`;
    const name = internal.className(value);
    return name === undefined || name === '' ? 'an object' : `an object of class ${name}`;
  };

  internal.hooks[1] = async (promise, namespace) => {
    try {
      await promise;
      const exported = namespace.default;
      const found = isObject(exported) ? exported.fetch : undefined;
      if (typeof found !== 'function') {
        startFailed(whyUnusable(namespace));
        return;
      }
      entry.target = exported;
      entry.fetch = found;
    } catch (error) {
      startFailed(internal.describeError(error));
      return;
    }
    ready();
  };

  // Made for the first request: a snapshot, which is taken before it, holds no secrets.
  internal.environment = () => { entry.env ??= makeEnvironment(); return entry.env; };
  internal.entry = entry;
  internal.describeKind = describeKind;
})
