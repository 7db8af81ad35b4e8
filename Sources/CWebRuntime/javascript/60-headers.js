(function (internal) {
  'use strict';
  // Headers: https://fetch.spec.whatwg.org/#headers-class. A list is one array of lower-case name, value, name, value, and so on; that of a
  // request stays the text it came as until somebody looks into it.
  const {
    ArrayPrototypePush, ArrayPrototypeSort, ObjectPrototypePropertyIsEnumerable, ObjectSetPrototypeOf, ReflectOwnKeys,
    StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeToLowerCase, SymbolIterator, TypeError,
    Uint8Array,
  } = internal.primordials;
  const { configure, converters, isObject, pairIterable, requireArguments, sequence, sequenceFrom, trim } = internal.webidl;
  const { ByteString } = converters;

  // No regular expressions here: V8 compiles one on its first use in an isolate, which takes longer than to look at short texts.
  const TOKEN = 1, UPPER = 2, SPACE = 4, FORBIDDEN = 8;
  const classes = new Uint8Array(256);
  const classify = (characters, value) => {
    for (let index = 0; index < characters.length; index++) classes[StringPrototypeCharCodeAt(characters, index)] |= value;
  };
  classify("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", TOKEN);
  classify('ABCDEFGHIJKLMNOPQRSTUVWXYZ', TOKEN | UPPER);
  classify('\t\n\r ', SPACE);
  classify('\0\n\r', FORBIDDEN);
  const isHTTPSpace = (code) => (classes[code] & SPACE) !== 0;

  const isToken = (text) => {
    for (let index = 0; index < text.length; index++) if ((classes[StringPrototypeCharCodeAt(text, index)] & TOKEN) === 0) return false;
    return text !== '';
  };
  // Both take a string of bytes or anything that becomes one.
  const nameOf = (value, prefix) => {
    const name = converters.ByteString(value, prefix, 'the name');
    if (!isToken(name)) throw new TypeError(`${prefix}: '${name}' is not a header's name`);
    for (let index = 0; index < name.length; index++) {
      if ((classes[StringPrototypeCharCodeAt(name, index)] & UPPER) !== 0) return StringPrototypeToLowerCase(name);
    }
    return name;
  };
  const valueOf = (value, prefix) => {
    const text = trim(converters.ByteString(value, prefix, 'the value'), isHTTPSpace);
    for (let index = 0; index < text.length; index++) {
      if ((classes[StringPrototypeCharCodeAt(text, index)] & FORBIDDEN) !== 0) {
        throw new TypeError(`${prefix}: the value has a line break or NUL`);
      }
    }
    return text;
  };

  const secret = {};
  let makeHeaders, listOf, entries;

  class HeaderList {
    constructor(text, items) {
      this.text = text;
      this.parsed = items;
      // Sorted and combined, as iteration shows it; undefined after a change.
      this.sorted = undefined;
    }

    // The array; the caller may change it after `change`.
    items() {
      if (this.parsed !== undefined) return this.parsed;
      const items = [];
      const { text } = this;
      for (let start = 0; start < text.length;) {
        const end = StringPrototypeIndexOf(text, '\n', start);
        const stop = end < 0 ? text.length : end;
        ArrayPrototypePush(items, StringPrototypeSlice(text, start, stop));
        start = stop + 1;
      }
      if (items.length % 2 === 1) ArrayPrototypePush(items, '');
      this.parsed = items;
      return items;
    }

    change() {
      const items = this.items();
      this.text = this.sorted = undefined;
      return items;
    }

    // "name\nvalue\n" for each.
    serialized() {
      if (this.text !== undefined) return this.text;
      const items = this.parsed;
      let text = '';
      for (let index = 0; index < items.length; index += 2) text += items[index] + '\n' + items[index + 1] + '\n';
      this.text = text;
      return text;
    }

    // All values of a name, joined; null: none.
    get(name) {
      const items = this.items();
      let value = null;
      for (let index = 0; index < items.length; index += 2) {
        if (items[index] === name) value = value === null ? items[index + 1] : value + ', ' + items[index + 1];
      }
      return value;
    }

    has(name) {
      const items = this.items();
      for (let index = 0; index < items.length; index += 2) if (items[index] === name) return true;
      return false;
    }

    append(name, value) {
      ArrayPrototypePush(this.change(), name, value);
    }

    delete(name) {
      if (!this.has(name)) return;
      const items = this.change();
      let kept = 0;
      for (let index = 0; index < items.length; index += 2) {
        if (items[index] === name) continue;
        items[kept++] = items[index];
        items[kept++] = items[index + 1];
      }
      items.length = kept;
    }

    // The first of the name gets the value, the others go.
    set(name, value) {
      const items = this.change();
      let kept = 0;
      let isSet = false;
      for (let index = 0; index < items.length; index += 2) {
        const isIt = items[index] === name;
        if (isIt && isSet) continue;
        items[kept++] = items[index];
        items[kept++] = isIt ? value : items[index + 1];
        isSet ||= isIt;
      }
      items.length = kept;
      if (!isSet) ArrayPrototypePush(items, name, value);
    }

    copy() { return new HeaderList(this.serialized(), undefined); }

    pairs() {
      if (this.sorted !== undefined) return this.sorted;
      const items = this.items();
      const entries = [];
      for (let index = 0; index < items.length; index += 2) ArrayPrototypePush(entries, [items[index], items[index + 1], index]);
      ArrayPrototypeSort(entries, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[2] - b[2]));
      const pairs = [];
      let last;
      for (let index = 0; index < entries.length; index++) {
        const entry = entries[index];
        if (last !== undefined && last[0] === entry[0] && entry[0] !== 'set-cookie') {
          last[1] += ', ' + entry[1];
        } else {
          last = [entry[0], entry[1]];
          ArrayPrototypePush(pairs, last);
        }
      }
      this.sorted = pairs;
      return pairs;
    }
  }
  ObjectSetPrototypeOf(HeaderList.prototype, null);

  // https://fetch.spec.whatwg.org/#concept-headers-fill
  const fill = (list, init, prefix) => {
    if (!isObject(init)) throw new TypeError(`${prefix}: headers are not an object`);
    const method = init[SymbolIterator];
    const other = listOf(init);
    if (other !== undefined && method === entries) {
      const source = other.items();
      const target = list.change();
      for (let index = 0; index < source.length; index++) ArrayPrototypePush(target, source[index]);
      return;
    }
    if (method !== undefined && method !== null) {
      if (typeof method !== 'function') throw new TypeError(`${prefix}: headers are not iterable`);
      // All are converted before the first counts.
      const pairs = sequenceFrom(init, method, (pair) => sequence(pair, ByteString, prefix, "a header's pair"), prefix, 'headers');
      for (let index = 0; index < pairs.length; index++) {
        const pair = pairs[index];
        if (pair.length !== 2) throw new TypeError(`${prefix}: a header's pair does not have two items`);
        list.append(nameOf(pair[0], prefix), valueOf(pair[1], prefix));
      }
      return;
    }
    const keys = ReflectOwnKeys(init);
    const items = list.change();
    const from = items.length;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index];
      if (!ObjectPrototypePropertyIsEnumerable(init, key)) continue;
      const name = ByteString(key, prefix, "a header's name");
      ArrayPrototypePush(items, name, ByteString(init[name], prefix, "a header's value"));
    }
    for (let index = from; index < items.length; index += 2) {
      items[index] = nameOf(items[index], prefix);
      items[index + 1] = valueOf(items[index + 1], prefix);
    }
  };

  class Headers {
    #list;
    #isImmutable = false;

    constructor(init = undefined, list = undefined, isImmutable = false) {
      if (init === secret) {
        this.#list = list;
        this.#isImmutable = isImmutable;
        return;
      }
      this.#list = new HeaderList(undefined, []);
      if (init !== undefined) fill(this.#list, init, 'Headers');
    }

    append(name, value) {
      const list = this.#list;
      requireArguments(arguments.length, 2, 'Headers.append');
      const key = nameOf(name, 'Headers.append');
      const text = valueOf(value, 'Headers.append');
      this.#requireMutable('append');
      list.append(key, text);
    }

    delete(name) {
      const list = this.#list;
      requireArguments(arguments.length, 1, 'Headers.delete');
      const key = nameOf(name, 'Headers.delete');
      this.#requireMutable('delete');
      list.delete(key);
    }

    get(name) {
      const list = this.#list;
      requireArguments(arguments.length, 1, 'Headers.get');
      return list.get(nameOf(name, 'Headers.get'));
    }

    getSetCookie() {
      const items = this.#list.items();
      const values = [];
      for (let index = 0; index < items.length; index += 2) {
        if (items[index] === 'set-cookie') ArrayPrototypePush(values, items[index + 1]);
      }
      return values;
    }

    has(name) {
      const list = this.#list;
      requireArguments(arguments.length, 1, 'Headers.has');
      return list.has(nameOf(name, 'Headers.has'));
    }

    set(name, value) {
      const list = this.#list;
      requireArguments(arguments.length, 2, 'Headers.set');
      const key = nameOf(name, 'Headers.set');
      const text = valueOf(value, 'Headers.set');
      this.#requireMutable('set');
      list.set(key, text);
    }

    #requireMutable(method) {
      if (this.#isImmutable) throw new TypeError(`Headers.${method}: these headers are immutable; change a copy: new Headers(headers)`);
    }

    static {
      makeHeaders = (list, isImmutable) => new Headers(secret, list, isImmutable);
      listOf = (value) => (isObject(value) && #list in value ? value.#list : undefined);
      pairIterable(Headers, 'Headers', (headers) => headers.#list.pairs());
      ({ entries } = Headers.prototype);
    }
  }
  configure(Headers, 'Headers');

  internal.registerInspector((value) => {
    const list = listOf(value);
    if (list === undefined) return undefined;
    const shown = { __proto__: null };
    const pairs = list.pairs();
    for (let index = 0; index < pairs.length; index++) {
      const name = pairs[index][0];
      shown[name] = name in shown ? shown[name] + ', ' + pairs[index][1] : pairs[index][1];
    }
    return ['Headers', shown];
  });

  internal.headers = {
    __proto__: null,
    HeaderList, isHTTPSpace, isToken, listOf, makeHeaders,
    // A new list of what an `init.headers` says.
    listFrom: (init, prefix) => {
      const list = new HeaderList(undefined, []);
      fill(list, init, prefix);
      return list;
    },
  };
  internal.expose('Headers', Headers);
})
