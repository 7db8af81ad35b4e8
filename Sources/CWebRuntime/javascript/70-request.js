(function (internal) {
  'use strict';
  // Request: https://fetch.spec.whatwg.org/#request-class. One from outside is made for every event: it keeps what it came as, and makes
  // Headers, a signal or a stream only when they are asked for.
  const { ObjectSetPrototypeOf, StringPrototypeToUpperCase, TypeError } = internal.primordials;
  const { configure, converters, dictionary, enumeration, isObject, requireArguments } = internal.webidl;
  const { HeaderList, isToken, listFrom, makeHeaders } = internal.headers;
  const { cloneBody, defineBody, extract, hasBody, isUnusable } = internal.body;
  const { parseURL, serialized, serializeURL } = internal.url;

  // What a request that says nothing about them has.
  const defaults = {
    __proto__: null,
    cache: 'default', credentials: 'same-origin', destination: '', integrity: '', keepalive: false, mode: 'cors', redirect: 'follow',
    referrer: 'about:client', referrerPolicy: '',
  };

  class RequestState {
    constructor(method, url, text, list) {
      this.method = method;
      // From outside it is what the client asked for, until somebody looks at it.
      this.url = url;
      this.isSerialized = list !== undefined;
      // The headers: as text while they are only that, then a list, then also the object.
      this.text = text;
      this.list = list;
      this.headers = undefined;
      this.isImmutable = list === undefined;
      this.settings = defaults;
      // The holder's fields: see the body.
      this.raw = null;
      this.isShared = false;
      this.incoming = null;
      this.stream = null;
      this.isUsed = false;
      // The signal, or the request or signal that it will follow, or why it will be aborted from the start.
      this.signal = undefined;
      this.follows = undefined;
      this.abort = undefined;
      this.abortReason = undefined;
    }
  }
  ObjectSetPrototypeOf(RequestState.prototype, null);

  const listOfState = (state) => (state.list ??= new HeaderList(state.text, undefined));
  const urlOfState = (state) => {
    if (!state.isSerialized) {
      state.url = serialized(state.url);
      state.isSerialized = true;
    }
    return state.url;
  };

  let makeRequest, stateOf;
  const signalOf = (state) => {
    if (state.signal !== undefined) return state.signal;
    if (state.follows !== undefined) {
      const other = stateOf(state.follows);
      state.signal = internal.dependentAbortSignal([other === undefined ? state.follows : signalOf(other)]);
      state.follows = undefined;
    } else {
      const made = internal.createAbortSignal();
      state.signal = made.signal;
      state.abort = made.abort;
      if (state.abortReason !== undefined) made.abort(state.abortReason);
    }
    return state.signal;
  };

  const forbiddenMethods = { __proto__: null, CONNECT: true, TRACE: true, TRACK: true };
  const normalizedMethods = { __proto__: null, DELETE: true, GET: true, HEAD: true, OPTIONS: true, POST: true, PUT: true };
  const methodOf = (value) => {
    const method = converters.ByteString(value, 'Request', 'the method');
    const upper = StringPrototypeToUpperCase(method);
    if (!isToken(method) || forbiddenMethods[upper]) throw new TypeError(`Request: '${method}' is not a method that a request can have`);
    return normalizedMethods[upper] ? upper : method;
  };

  const choices = {
    __proto__: null,
    cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
    credentials: ['omit', 'same-origin', 'include'],
    mode: ['navigate', 'same-origin', 'no-cors', 'cors'],
    redirect: ['follow', 'error', 'manual'],
    referrerPolicy: [
      '', 'no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin', 'origin-when-cross-origin',
      'strict-origin-when-cross-origin', 'unsafe-url',
    ],
  };

  const urlOf = (value) => {
    const text = converters.USVString(value, 'Request', 'the URL');
    const record = parseURL(text, null);
    if (record === null) throw new TypeError(`Request: '${text}' is not an absolute URL`);
    if (record.username !== '' || record.password !== '') throw new TypeError('Request: the URL must not have a user name or password');
    return serializeURL(record, false);
  };

  // https://fetch.spec.whatwg.org/#dom-request
  const construct = (input, init) => {
    const other = stateOf(input);
    const options = dictionary(init, 'Request', 'the options');
    // Members of the dictionary in the order that converts them.
    const {
      body, cache, credentials, duplex, headers, integrity, keepalive, method, mode, redirect, referrer, referrerPolicy, signal, window,
    } = options;
    const settings = { __proto__: null, ...(other === undefined ? defaults : other.settings) };
    const choose = (name, value) => {
      if (value !== undefined) settings[name] = enumeration(value, choices[name], 'Request', name);
    };
    choose('cache', cache);
    choose('credentials', credentials);
    if (duplex !== undefined) enumeration(duplex, ['half'], 'Request', 'duplex');
    if (integrity !== undefined) settings.integrity = converters.DOMString(integrity, 'Request', 'integrity');
    if (keepalive !== undefined) settings.keepalive = !!keepalive;
    choose('mode', mode);
    choose('redirect', redirect);
    choose('referrerPolicy', referrerPolicy);
    if (signal !== undefined && signal !== null && !internal.isAbortSignal(signal)) {
      throw new TypeError('Request: options.signal is not an AbortSignal');
    }
    if (window !== undefined && window !== null) throw new TypeError('Request: options.window can only be null');
    if (settings.mode === 'navigate') throw new TypeError("Request: the mode 'navigate' cannot be asked for");
    if (referrer !== undefined) settings.referrer = referrerOf(referrer);
    const url = other === undefined ? urlOf(input) : urlOfState(other);
    if (settings.cache === 'only-if-cached' && settings.mode !== 'same-origin') {
      throw new TypeError("Request: the cache 'only-if-cached' needs the mode 'same-origin'");
    }
    const list = headers !== undefined ? listFrom(headers, 'Request')
      : other !== undefined ? listOfState(other).copy() : new HeaderList(undefined, []);
    const verb = method === undefined ? (other === undefined ? 'GET' : other.method) : methodOf(method);
    const state = new RequestState(verb, url, undefined, list);
    state.settings = settings;
    state.follows = signal === undefined ? (other === undefined ? undefined : input) : signal === null ? undefined : signal;
    const hasOwnBody = body !== undefined && body !== null;
    if ((hasOwnBody || (other !== undefined && hasBody(other))) && (verb === 'GET' || verb === 'HEAD')) {
      throw new TypeError(`Request: a request with the method ${verb} cannot have a body`);
    }
    if (settings.mode === 'no-cors' && verb !== 'GET' && verb !== 'HEAD' && verb !== 'POST') {
      throw new TypeError(`Request: the mode 'no-cors' does not go with the method ${verb}`);
    }
    if (hasOwnBody) {
      const type = extract(state, body, 'Request');
      if (settings.keepalive && state.stream !== null) throw new TypeError('Request: keepalive does not go with a stream');
      if (type !== null && !list.has('content-type')) list.append('content-type', type);
    } else if (other !== undefined && hasBody(other)) {
      if (isUnusable(other)) throw new TypeError("Request: the other request's body is locked or has been read already");
      takeBody(state, other);
    }
    return state;
  };

  // The new request gets the body, the other one has been read.
  const takeBody = (state, other) => {
    if (other.stream === null) {
      state.raw = other.raw;
      state.isShared = other.isShared;
      state.incoming = other.incoming;
      other.isUsed = true;
    } else {
      state.stream = internal.source('transform-streams').throughIdentity(other.stream);
    }
  };

  const referrerOf = (value) => {
    const text = converters.USVString(value, 'Request', 'the referrer');
    if (text === '') return 'no-referrer';
    const record = parseURL(text, null);
    if (record === null) throw new TypeError(`Request: the referrer '${text}' is not an absolute URL`);
    return serializeURL(record, false);
  };

  const secret = {};
  class Request {
    #state;

    constructor(input, init = undefined) {
      if (init === secret) {
        this.#state = input;
        return;
      }
      requireArguments(arguments.length, 1, 'Request');
      this.#state = construct(input, init);
    }

    get method() { return this.#state.method; }
    get url() { return urlOfState(this.#state); }
    get headers() {
      const state = this.#state;
      return (state.headers ??= makeHeaders(listOfState(state), state.isImmutable));
    }
    get destination() { return this.#state.settings.destination; }
    get referrer() {
      const { referrer } = this.#state.settings;
      return referrer === 'no-referrer' ? '' : referrer;
    }
    get referrerPolicy() { return this.#state.settings.referrerPolicy; }
    get mode() { return this.#state.settings.mode; }
    get credentials() { return this.#state.settings.credentials; }
    get cache() { return this.#state.settings.cache; }
    get redirect() { return this.#state.settings.redirect; }
    get integrity() { return this.#state.settings.integrity; }
    get keepalive() { return this.#state.settings.keepalive; }
    get signal() { return signalOf(this.#state); }
    get duplex() {
      this.#state;
      return 'half';
    }

    clone() {
      const state = this.#state;
      const copy = new RequestState(state.method, urlOfState(state), undefined, listOfState(state).copy());
      if (hasBody(state)) cloneBody(state, copy, 'Request.clone');
      copy.isImmutable = state.isImmutable;
      copy.settings = state.settings;
      copy.follows = this;
      return makeRequest(copy);
    }

    static {
      makeRequest = (state) => new Request(state, secret);
      stateOf = (value) => (isObject(value) && #state in value ? value.#state : undefined);
      defineBody(Request, (request) => request.#state, (state) => listOfState(state).get('content-type'), 'Request');
    }
  }
  configure(Request, 'Request');

  internal.registerInspector((value) => {
    const state = stateOf(value);
    if (state === undefined) return undefined;
    return ['Request', { __proto__: null, method: state.method, url: urlOfState(state), headers: value.headers }];
  });

  internal.RequestState = RequestState;
  internal.makeRequest = makeRequest;
  internal.requestStateOf = stateOf;
  internal.requestSignalOf = signalOf;
  internal.constructRequest = construct;
  internal.expose('Request', Request);
})
