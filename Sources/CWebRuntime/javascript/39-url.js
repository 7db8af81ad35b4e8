(function (internal) {
  'use strict';
  // URL: https://url.spec.whatwg.org/#url-class
  const {
    RegExpPrototypeExec, RegExpPrototypeSymbolReplace, StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeToLowerCase,
    TypeError,
  } = internal.primordials;
  const { configure, converters, isObject, requireArguments } = internal.webidl;
  const { makeSearchParams, setSearchParams } = internal;
  const {
    FRAGMENT, QUERY, SPECIAL_QUERY, USERINFO, authorityEnd, defaultPorts, isSpecial, parseHost, parsePathStart, parsePort, parseURL,
    percentEncode, portColon, serializeURL,
  } = internal.url;
  const { USVString } = converters;

  // A domain, IP address or opaque host may have a port and credentials; an empty one and a file URL may not.
  const cannotHaveCredentialsOrPort = (url) => url.host === null || url.host === '' || url.scheme === 'file';
  const tabsAndLines = /[\t\n\r]+/g;
  const withoutTabsAndLines = (text) => (RegExpPrototypeExec(/[\t\n\r]/, text) === null ? text : RegExpPrototypeSymbolReplace(tabsAndLines, text, ''));
  const schemeOnly = /^([A-Za-z][A-Za-z0-9+\-.]*)(?::|$)/;
  const leadingDigits = /^[0-9]+/;

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
      if (this.#params !== null) setSearchParams(this.#params, parsed.query ?? '');
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
      const scheme = StringPrototypeToLowerCase(match[1]);
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
        if (this.#params !== null) setSearchParams(this.#params, '');
        return;
      }
      const query = withoutTabsAndLines(text[0] === '?' ? StringPrototypeSlice(text, 1) : text);
      url.query = percentEncode(query, isSpecial(url.scheme) ? SPECIAL_QUERY : QUERY);
      if (this.#params !== null) setSearchParams(this.#params, text[0] === '?' ? StringPrototypeSlice(text, 1) : text);
    }

    get searchParams() {
      this.#params ??= makeSearchParams(this.#record.query, (query) => { this.#record.query = query === '' ? null : query; });
      return this.#params;
    }

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

  internal.registerInspector((value) =>
    internal.isURL(value) ? ['URL', { __proto__: null, href: serializeURL(internal.urlRecord(value), false) }] : undefined);
  internal.URL = URL;
  internal.expose('URL', URL);
})
