(function (internal) {
  'use strict';
  // URL and URLSearchParams: https://url.spec.whatwg.org/#api
  const {
    ArrayPrototypePush, ArrayPrototypeSort, RegExpPrototypeExec, RegExpPrototypeSymbolReplace,
    StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeReplaceAll, StringPrototypeSlice, StringPrototypeSplit,
    StringPrototypeStartsWith, SymbolIterator, TypeError,
  } = internal.primordials;
  const { configure, converters, isObject, pairIterable, record, requireArguments, sequence, sequenceFrom } = internal.webidl;
  const {
    FORM, FRAGMENT, QUERY, SPECIAL_QUERY, USERINFO, authorityEnd, defaultPorts, isSpecial, parseHost, parsePathStart, parsePort, parseURL,
    percentDecode, percentEncode, portColon, serializeURL,
  } = internal.url;

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
  let makeParams, setPairs;

  class URLSearchParams {
    #pairs = [];
    #url = null;

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

    #update() { if (this.#url !== null) setSearch(this.#url, serializeParams(this.#pairs)); }

    static {
      makeParams = (url, text) => {
        const params = new URLSearchParams();
        params.#url = url;
        params.#pairs = text === null ? [] : parseParams(text);
        return params;
      };
      setPairs = (params, text) => { params.#pairs = parseParams(text); };
      internal.searchParamsPairs = (params) => params.#pairs;
      internal.isURLSearchParams = (value) => isObject(value) && #pairs in value;
    }
  }
  configure(URLSearchParams, 'URLSearchParams');
  pairIterable(URLSearchParams, 'URLSearchParams', internal.searchParamsPairs);

  // A domain, IP address or opaque host may have a port and credentials; an empty one and a file URL may not.
  const cannotHaveCredentialsOrPort = (url) => url.host === null || url.host === '' || url.scheme === 'file';
  const tabsAndLines = /[\t\n\r]+/g;
  const withoutTabsAndLines = (text) => (RegExpPrototypeExec(/[\t\n\r]/, text) === null ? text : RegExpPrototypeSymbolReplace(tabsAndLines, text, ''));
  const schemeOnly = /^([A-Za-z][A-Za-z0-9+\-.]*)(?::|$)/;
  const leadingDigits = /^[0-9]+/;
  let setSearch;

  const parseArguments = (url, base, name) => {
    const text = USVString(url, name, 'the URL');
    if (base === undefined) return parseURL(text, null);
    const baseRecord = parseURL(USVString(base, name, 'the base'), null);
    return baseRecord === null ? null : parseURL(text, baseRecord);
  };
  const shown = (value) => StringPrototypeSlice(value, 0, 256);

  class URL {
    #record;
    #params = null;

    constructor(url, base = undefined) {
      requireArguments(arguments.length, 1, 'URL');
      const text = USVString(url, 'URL', 'the URL');
      let baseRecord = null;
      if (base !== undefined) {
        const baseText = USVString(base, 'URL', 'the base');
        baseRecord = parseURL(baseText, null);
        if (baseRecord === null) throw new TypeError(`URL: the base '${shown(baseText)}' is not a valid URL`);
      }
      const parsed = parseURL(text, baseRecord);
      if (parsed === null) {
        throw new TypeError(`URL: '${shown(text)}' is not a valid URL` + (baseRecord === null ? '' : ` with the base '${shown(serializeURL(baseRecord))}'`));
      }
      this.#record = parsed;
    }

    static parse(url, base = undefined) {
      requireArguments(arguments.length, 1, 'URL.parse');
      const parsed = parseArguments(url, base, 'URL.parse');
      if (parsed === null) return null;
      const result = new URL('about:blank');
      result.#record = parsed;
      return result;
    }

    static canParse(url, base = undefined) {
      requireArguments(arguments.length, 1, 'URL.canParse');
      return parseArguments(url, base, 'URL.canParse') !== null;
    }

    get href() { return serializeURL(this.#record, false); }
    set href(value) {
      const text = USVString(value, 'URL.href', 'the value');
      const parsed = parseURL(text, null);
      if (parsed === null) throw new TypeError(`URL.href: '${shown(text)}' is not a valid URL`);
      this.#record = parsed;
      if (this.#params !== null) setPairs(this.#params, parsed.query ?? '');
    }

    get origin() {
      const url = this.#record;
      if (url.scheme === 'blob') {
        const inner = parseURL(url.path, null);
        return inner !== null && (inner.scheme === 'http' || inner.scheme === 'https') ? originOf(inner) : 'null';
      }
      return isSpecial(url.scheme) && url.scheme !== 'file' ? originOf(url) : 'null';
    }

    get protocol() { return this.#record.scheme + ':'; }
    set protocol(value) {
      const url = this.#record;
      const match = RegExpPrototypeExec(schemeOnly, withoutTabsAndLines(USVString(value, 'URL.protocol', 'the value')));
      if (match === null) return;
      const scheme = internal.primordials.StringPrototypeToLowerCase(match[1]);
      if (isSpecial(scheme) !== isSpecial(url.scheme)) return;
      if (scheme === 'file' && (url.username !== '' || url.password !== '' || url.port !== null)) return;
      if (url.scheme === 'file' && url.host === '') return;
      url.scheme = scheme;
      if (url.port !== null && url.port === defaultPorts[scheme]) url.port = null;
    }

    get username() { return this.#record.username; }
    set username(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.username', 'the value');
      if (!cannotHaveCredentialsOrPort(url)) url.username = percentEncode(text, USERINFO);
    }

    get password() { return this.#record.password; }
    set password(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.password', 'the value');
      if (!cannotHaveCredentialsOrPort(url)) url.password = percentEncode(text, USERINFO);
    }

    get host() {
      const { host, port } = this.#record;
      return host === null ? '' : port === null ? host : host + ':' + port;
    }
    set host(value) { this.#setHost(USVString(value, 'URL.host', 'the value'), true); }

    get hostname() { return this.#record.host ?? ''; }
    set hostname(value) { this.#setHost(USVString(value, 'URL.hostname', 'the value'), false); }

    #setHost(value, withPort) {
      const url = this.#record;
      if (url.isOpaque) return;
      const special = isSpecial(url.scheme);
      let text = withoutTabsAndLines(value);
      const hash = StringPrototypeIndexOf(text, '#');
      if (hash >= 0) text = StringPrototypeSlice(text, 0, hash);
      text = StringPrototypeSlice(text, 0, authorityEnd(text, special));
      if (url.scheme === 'file') {
        const host = text === '' ? '' : parseHost(text, false);
        if (host !== null) url.host = host === 'localhost' ? '' : host;
        return;
      }
      const colon = portColon(text);
      if (colon >= 0 && !withPort) return;
      const hostText = colon < 0 ? text : StringPrototypeSlice(text, 0, colon);
      if (hostText === '' && (special || colon >= 0 || url.username !== '' || url.password !== '' || url.port !== null)) return;
      const host = hostText === '' ? '' : parseHost(hostText, !special);
      if (host === null) return;
      url.host = host;
      if (colon >= 0) setPort(url, StringPrototypeSlice(text, colon + 1));
    }

    get port() {
      const { port } = this.#record;
      return port === null ? '' : `${port}`;
    }
    set port(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.port', 'the value');
      if (cannotHaveCredentialsOrPort(url)) return;
      if (text === '') url.port = null;
      else setPort(url, withoutTabsAndLines(text));
    }

    get pathname() { return this.#record.path; }
    set pathname(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.pathname', 'the value');
      if (url.isOpaque) return;
      url.path = '';
      // With a setter "?" and "#" belong to the path: both are encoded.
      const path = withoutTabsAndLines(text);
      if (path === '' && !isSpecial(url.scheme)) {
        if (url.host === null) url.path = '/';
        return;
      }
      parsePathStart(url, path);
    }

    get search() {
      const { query } = this.#record;
      return query === null || query === '' ? '' : '?' + query;
    }
    set search(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.search', 'the value');
      if (text === '') {
        url.query = null;
        if (this.#params !== null) setPairs(this.#params, '');
        return;
      }
      const query = withoutTabsAndLines(text[0] === '?' ? StringPrototypeSlice(text, 1) : text);
      url.query = percentEncode(query, isSpecial(url.scheme) ? SPECIAL_QUERY : QUERY);
      if (this.#params !== null) setPairs(this.#params, text[0] === '?' ? StringPrototypeSlice(text, 1) : text);
    }

    get searchParams() { return (this.#params ??= makeParams(this, this.#record.query)); }

    get hash() {
      const { fragment } = this.#record;
      return fragment === null || fragment === '' ? '' : '#' + fragment;
    }
    set hash(value) {
      const url = this.#record;
      const text = USVString(value, 'URL.hash', 'the value');
      if (text === '') {
        url.fragment = null;
        return;
      }
      url.fragment = percentEncode(withoutTabsAndLines(text[0] === '#' ? StringPrototypeSlice(text, 1) : text), FRAGMENT);
    }

    toString() { return serializeURL(this.#record, false); }
    toJSON() { return serializeURL(this.#record, false); }

    static {
      setSearch = (url, text) => { url.#record.query = text === '' ? null : text; };
      internal.isURL = (value) => isObject(value) && #record in value;
      internal.urlRecord = (url) => url.#record;
    }
  }

  const originOf = (url) => url.scheme + '://' + url.host + (url.port === null ? '' : ':' + url.port);
  const setPort = (url, text) => {
    const digits = RegExpPrototypeExec(leadingDigits, text);
    if (digits !== null) parsePort(url, digits[0]);
  };
  configure(URL, 'URL');

  internal.registerInspector((value) => {
    if (internal.isURL(value)) {
      const url = internal.urlRecord(value);
      return ['URL', { __proto__: null, href: serializeURL(url, false) }];
    }
    if (internal.isURLSearchParams(value)) {
      const shownPairs = { __proto__: null };
      const pairs = internal.searchParamsPairs(value);
      for (let index = 0; index < pairs.length; index++) shownPairs[pairs[index][0]] = pairs[index][1];
      return ['URLSearchParams', shownPairs];
    }
    return undefined;
  });
  internal.URL = URL;
  internal.URLSearchParams = URLSearchParams;
  internal.parseSearchParams = parseParams;
  internal.serializeSearchParams = serializeParams;
  internal.expose('URL', URL);
  internal.expose('URLSearchParams', URLSearchParams);
})
