(function (internal) {
  'use strict';
  // URLSearchParams and application/x-www-form-urlencoded: https://url.spec.whatwg.org/#interface-urlsearchparams
  const {
    ArrayPrototypePush, ArrayPrototypeSort, StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeReplaceAll,
    StringPrototypeSlice, StringPrototypeSplit, StringPrototypeStartsWith, SymbolIterator, TypeError,
  } = internal.primordials;
  const { configure, converters, isObject, pairIterable, record, requireArguments, sequence, sequenceFrom } = internal.webidl;
  const { FORM, percentDecode, percentEncode } = internal.url;

  // application/x-www-form-urlencoded, both ways; a list of [name, value].
  const parseParams = (text) => {
    const pairs = [];
    const parts = StringPrototypeSplit(text, '&');
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index];
      if (part === '') continue;
      const equals = StringPrototypeIndexOf(part, '=');
      ArrayPrototypePush(pairs, [
        decodeForm(equals < 0 ? part : StringPrototypeSlice(part, 0, equals)), decodeForm(equals < 0 ? '' : StringPrototypeSlice(part, equals + 1)),
      ]);
    }
    return pairs;
  };
  const decodeForm = (text) => percentDecode(StringPrototypeIncludes(text, '+') ? StringPrototypeReplaceAll(text, '+', ' ') : text);
  const serializeParams = (pairs) => {
    let text = '';
    for (let index = 0; index < pairs.length; index++) {
      text += (index > 0 ? '&' : '') + percentEncode(pairs[index][0], FORM) + '=' + percentEncode(pairs[index][1], FORM);
    }
    return text;
  };

  const { USVString } = converters;

  class URLSearchParams {
    #pairs = [];
    // Told of changes: the query of the URL this belongs to follows.
    #changed = null;

    constructor(init = '') {
      const prefix = 'URLSearchParams';
      if (isObject(init)) {
        const method = init[SymbolIterator];
        if (method !== undefined && method !== null) {
          if (typeof method !== 'function') throw new TypeError('URLSearchParams: the argument is not iterable');
          const pairs = sequenceFrom(init, method, (pair) => sequence(pair, USVString, prefix, 'a pair'), prefix, 'the argument');
          for (let index = 0; index < pairs.length; index++) {
            if (pairs[index].length !== 2) throw new TypeError('URLSearchParams: a pair does not have two items');
          }
          this.#pairs = pairs;
        } else {
          this.#pairs = record(init, USVString, USVString, prefix, 'the argument');
        }
      } else {
        const text = USVString(init, prefix, 'the argument');
        this.#pairs = parseParams(StringPrototypeStartsWith(text, '?') ? StringPrototypeSlice(text, 1) : text);
      }
    }

    get size() { return this.#pairs.length; }

    append(name, value) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 2, 'URLSearchParams.append');
      ArrayPrototypePush(pairs, [USVString(name, 'URLSearchParams.append', 'the name'), USVString(value, 'URLSearchParams.append', 'the value')]);
      this.#update();
    }

    delete(name, value = undefined) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 1, 'URLSearchParams.delete');
      const key = USVString(name, 'URLSearchParams.delete', 'the name');
      const only = value === undefined ? undefined : USVString(value, 'URLSearchParams.delete', 'the value');
      let kept = 0;
      for (let index = 0; index < pairs.length; index++) {
        const pair = pairs[index];
        if (pair[0] !== key || (only !== undefined && pair[1] !== only)) pairs[kept++] = pair;
      }
      pairs.length = kept;
      this.#update();
    }

    get(name) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 1, 'URLSearchParams.get');
      const key = USVString(name, 'URLSearchParams.get', 'the name');
      for (let index = 0; index < pairs.length; index++) if (pairs[index][0] === key) return pairs[index][1];
      return null;
    }

    getAll(name) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 1, 'URLSearchParams.getAll');
      const key = USVString(name, 'URLSearchParams.getAll', 'the name');
      const values = [];
      for (let index = 0; index < pairs.length; index++) if (pairs[index][0] === key) ArrayPrototypePush(values, pairs[index][1]);
      return values;
    }

    has(name, value = undefined) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 1, 'URLSearchParams.has');
      const key = USVString(name, 'URLSearchParams.has', 'the name');
      const only = value === undefined ? undefined : USVString(value, 'URLSearchParams.has', 'the value');
      for (let index = 0; index < pairs.length; index++) {
        if (pairs[index][0] === key && (only === undefined || pairs[index][1] === only)) return true;
      }
      return false;
    }

    set(name, value) {
      const pairs = this.#pairs;
      requireArguments(arguments.length, 2, 'URLSearchParams.set');
      const key = USVString(name, 'URLSearchParams.set', 'the name');
      const text = USVString(value, 'URLSearchParams.set', 'the value');
      let kept = 0;
      let isSet = false;
      for (let index = 0; index < pairs.length; index++) {
        const pair = pairs[index];
        if (pair[0] === key) {
          if (isSet) continue;
          isSet = true;
          pair[1] = text;
        }
        pairs[kept++] = pair;
      }
      pairs.length = kept;
      if (!isSet) ArrayPrototypePush(pairs, [key, text]);
      this.#update();
    }

    sort() {
      ArrayPrototypeSort(this.#pairs, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
      this.#update();
    }

    toString() { return serializeParams(this.#pairs); }

    #update() { if (this.#changed !== null) this.#changed(serializeParams(this.#pairs)); }

    static {
      // Of a URL: its query or null, and what to call with every new one.
      internal.makeSearchParams = (text, changed) => {
        const params = new URLSearchParams();
        params.#changed = changed;
        params.#pairs = text === null ? [] : parseParams(text);
        return params;
      };
      internal.setSearchParams = (params, text) => { params.#pairs = parseParams(text); };
      internal.searchParamsPairs = (params) => params.#pairs;
      internal.isURLSearchParams = (value) => isObject(value) && #pairs in value;
    }
  }
  configure(URLSearchParams, 'URLSearchParams');
  pairIterable(URLSearchParams, 'URLSearchParams', internal.searchParamsPairs);

  internal.registerInspector((value) => {
    if (!internal.isURLSearchParams(value)) return undefined;
    const shown = { __proto__: null };
    const pairs = internal.searchParamsPairs(value);
    for (let index = 0; index < pairs.length; index++) shown[pairs[index][0]] = pairs[index][1];
    return ['URLSearchParams', shown];
  });
  internal.URLSearchParams = URLSearchParams;
  internal.parseSearchParams = parseParams;
  internal.serializeSearchParams = serializeParams;
  internal.expose('URLSearchParams', URLSearchParams);
})
