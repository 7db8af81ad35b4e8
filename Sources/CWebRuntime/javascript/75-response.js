(function (internal) {
  'use strict';
  // Response: https://fetch.spec.whatwg.org/#response-class. A string or bytes stay what they are until they are sent.
  const {
    ArrayPrototypeIndexOf, JSONStringify, ObjectSetPrototypeOf, RangeError, StringPrototypeCharCodeAt, TypeError,
  } = internal.primordials;
  const { configure, converters, dictionary, isObject, requireArguments } = internal.webidl;
  const { HeaderList, listFrom, makeHeaders } = internal.headers;
  const { cloneBody, defineBody, extract, hasBody } = internal.body;
  const { parseURL, serializeURL } = internal.url;

  class ResponseState {
    constructor() {
      this.status = 200;
      this.statusText = '';
      this.isError = false;
      // The content type that goes with the body while that is the only header, else a list; then also the object.
      this.type = null;
      this.list = undefined;
      this.headers = undefined;
      this.isImmutable = false;
      // The holder's fields: see the body.
      this.raw = null;
      this.isShared = false;
      this.incoming = null;
      this.stream = null;
      this.isUsed = false;
    }
  }
  ObjectSetPrototypeOf(ResponseState.prototype, null);

  const listOfState = (state) => (state.list ??= new HeaderList(undefined, state.type === null ? [] : ['content-type', state.type]));

  const isReason = (text) => {
    for (let index = 0; index < text.length; index++) {
      const code = StringPrototypeCharCodeAt(text, index);
      if ((code < 0x20 && code !== 0x09) || code === 0x7F) return false;
    }
    return true;
  };
  const isNullBodyStatus = (status) => status === 204 || status === 205 || status === 304;

  // `body`: what the tenant gave, or null. `defaultType`: what JSON has instead of a text's type.
  const construct = (state, body, init, defaultType) => {
    if (init !== undefined) {
      const options = dictionary(init, 'Response', 'the options');
      const { headers, status, statusText } = options;
      if (headers !== undefined) state.list = listFrom(headers, 'Response');
      if (status !== undefined) {
        const code = converters['unsigned short'](status, 'Response', 'the status');
        if (code < 200 || code > 599) throw new RangeError(`Response: the status ${code} is not between 200 and 599`);
        state.status = code;
      }
      if (statusText !== undefined) {
        const text = converters.ByteString(statusText, 'Response', 'the status text');
        if (!isReason(text)) throw new TypeError('Response: the status text has a character that it cannot have');
        state.statusText = text;
      }
    }
    if (body === null || body === undefined) return;
    if (isNullBodyStatus(state.status)) throw new TypeError(`Response: a response with the status ${state.status} cannot have a body`);
    const type = extract(state, body, 'Response');
    const contentType = defaultType ?? type;
    if (contentType === null) return;
    if (state.list === undefined) state.type = contentType;
    else if (!state.list.has('content-type')) state.list.append('content-type', contentType);
  };

  const redirectStatuses = [301, 302, 303, 307, 308];
  const secret = {};
  let makeResponse, stateOf;

  class Response {
    #state;

    constructor(body = null, init = undefined) {
      if (init === secret) {
        this.#state = body;
        return;
      }
      const state = new ResponseState();
      construct(state, body, init, null);
      this.#state = state;
    }

    static error() {
      const state = new ResponseState();
      state.status = 0;
      state.isError = true;
      state.isImmutable = true;
      return makeResponse(state);
    }

    static redirect(url, status = 302) {
      requireArguments(arguments.length, 1, 'Response.redirect');
      const text = converters.USVString(url, 'Response.redirect', 'the URL');
      const code = converters['unsigned short'](status, 'Response.redirect', 'the status');
      const record = parseURL(text, null);
      if (record === null) throw new TypeError(`Response.redirect: '${text}' is not an absolute URL`);
      if (ArrayPrototypeIndexOf(redirectStatuses, code) < 0) {
        throw new RangeError(`Response.redirect: ${code} is not the status of a redirect`);
      }
      const state = new ResponseState();
      state.status = code;
      state.list = new HeaderList(undefined, ['location', serializeURL(record, false)]);
      state.isImmutable = true;
      return makeResponse(state);
    }

    static json(data, init = undefined) {
      requireArguments(arguments.length, 1, 'Response.json');
      const text = JSONStringify(data);
      if (text === undefined) throw new TypeError('Response.json: the value cannot be written as JSON');
      const state = new ResponseState();
      construct(state, text, init, 'application/json');
      return makeResponse(state);
    }

    get type() { return this.#state.isError ? 'error' : 'default'; }
    get url() {
      this.#state;
      return '';
    }
    get redirected() {
      this.#state;
      return false;
    }
    get status() { return this.#state.status; }
    get ok() {
      const { status } = this.#state;
      return status >= 200 && status <= 299;
    }
    get statusText() { return this.#state.statusText; }
    get headers() {
      const state = this.#state;
      return (state.headers ??= makeHeaders(listOfState(state), state.isImmutable));
    }

    clone() {
      const state = this.#state;
      const copy = new ResponseState();
      // Also when there is none, a body that was read cannot be cloned.
      cloneBody(state, copy, 'Response.clone');
      copy.status = state.status;
      copy.statusText = state.statusText;
      copy.isError = state.isError;
      copy.isImmutable = state.isImmutable;
      copy.type = state.type;
      if (state.list !== undefined) copy.list = state.list.copy();
      return makeResponse(copy);
    }

    static {
      makeResponse = (state) => new Response(state, secret);
      stateOf = (value) => (isObject(value) && #state in value ? value.#state : undefined);
      defineBody(Response, (response) => response.#state, (state) => listOfState(state).get('content-type'), 'Response');
    }
  }
  configure(Response, 'Response');

  const textHeaders = 'content-type\n' + internal.body.textType + '\n';
  const jsonHeaders = 'content-type\napplication/json\n';
  // As `respond` takes them.
  const headersText = (state) => {
    if (state.list !== undefined) return state.list.serialized();
    const { type } = state;
    if (type === internal.body.textType) return textHeaders;
    if (type === null) return '';
    return type === 'application/json' ? jsonHeaders : 'content-type\n' + type + '\n';
  };

  internal.registerInspector((value) => {
    const state = stateOf(value);
    if (state === undefined) return undefined;
    const { status, statusText } = state;
    return ['Response', { __proto__: null, status, statusText, headers: value.headers, hasBody: hasBody(state) }];
  });

  internal.response = { __proto__: null, headersText, isNullBodyStatus, stateOf };
  internal.expose('Response', Response);
})
