(function (internal) {
  'use strict';
  // The life of a request: the handler is called, its Response sent, and when nothing is left to do for it, it is over.
  const {
    Error, FunctionPrototypeCall, ObjectGetPrototypeOf, ObjectSetPrototypeOf, RegExpPrototypeExec, SafeMap, TypeError,
    TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetSymbolToStringTag, Uint8Array,
  } = internal.primordials;
  const { configure, illegalConstructor, isObject, requireArguments } = internal.webidl;
  const { DOMException, IncomingBody, RequestState, describeKind, entry, environment, makeRequest } = internal;
  const { cancelBody, isUnusable } = internal.body;
  const { headersText, isNullBodyStatus, stateOf } = internal.response;
  const { bodyBroken, bodyEnd, bodyWrite, fail, finished, log, respond } = internal.ops;

  // Codes of `fail`.
  const EXCEPTION = 2, INVALID_RESPONSE = 3;
  // Kinds of a request's body.
  const COMPLETE = 1, STREAMED = 2;
  // What `respond` says of the body.
  const PIECES_FOLLOW = 0, IS_COMPLETE = 1, IS_FINISHED = 2;
  // Longer ones HTTP clients and proxies refuse, and so does the supervisor.
  const HEADERS_BYTES_LIMIT = 65536;
  // Phases of an exchange.
  const AWAITED = 0, SENDING = 1, ANSWERED = 2;
  // Why a request is aborted.
  const CLIENT_GONE = 0, WALL_LIMIT = 1, FAILED = 3;

  class Exchange {
    constructor(rid, request) {
      this.rid = rid;
      this.request = request;
      this.phase = AWAITED;
      this.isAborted = false;
      this.isOver = false;
      // Promises given to waitUntil that are pending.
      this.waitingCount = 0;
      this.subrequestCount = 0;
      this.pump = undefined;
    }
  }
  ObjectSetPrototypeOf(Exchange.prototype, null);

  // Requests that outlive the turn they came with.
  const exchanges = new SafeMap();
  // The one whose handler is being called right now: it is not in the map yet.
  let entered;
  const exchangeOf = (rid) => (entered !== undefined && entered.rid === rid ? entered : exchanges.get(rid));
  // Of the code that runs; undefined: none, or it is over.
  internal.currentExchange = () => exchangeOf(internal.currentRequest());

  const bodyIsOver = () => new TypeError("the request's body cannot be read any more: the response has been sent");

  const leave = (exchange) => {
    exchange.isOver = true;
    exchanges.delete(exchange.rid);
    internal.endTimersOf(exchange.rid);
  };
  const conclude = (exchange) => {
    exchange.phase = ANSWERED;
    exchange.pump = undefined;
    // The rest of it does not come once the answer is complete.
    const { incoming } = exchange.request;
    if (incoming !== null) incoming.fail(bodyIsOver());
  };
  const finishIfDone = (exchange) => {
    if (exchange.phase !== ANSWERED || exchange.waitingCount > 0 || exchange.isOver) return;
    leave(exchange);
    finished(exchange.rid);
  };

  const refuse = (exchange, code, message) => {
    if (exchange.phase !== AWAITED) return;
    conclude(exchange);
    if (exchange.isAborted) {
      if (!exchange.isOver) log(4, message);
    } else {
      fail(exchange.rid, code, message);
    }
    finishIfDone(exchange);
  };

  class ExecutionContext {
    #exchange;
    constructor(exchange) {
      if (typeof exchange !== 'object' || exchange === null || ObjectGetPrototypeOf(exchange) !== Exchange.prototype) {
        throw illegalConstructor();
      }
      this.#exchange = exchange;
    }

    static #of(context, name) {
      if (isObject(context) && #exchange in context) return context.#exchange;
      throw new TypeError(`ctx.${name}: call it as a method of ctx, not taken out of it`);
    }

    waitUntil(promise) {
      const exchange = ExecutionContext.#of(this, 'waitUntil');
      requireArguments(arguments.length, 1, 'ctx.waitUntil');
      if (exchange.isOver) return;
      exchange.waitingCount++;
      waitFor(exchange, promise);
    }

    passThroughOnException() {
      ExecutionContext.#of(this, 'passThroughOnException');
      throw new Error('ctx.passThroughOnException is not supported: there is no origin behind the tenant to pass the request to');
    }
  }
  configure(ExecutionContext, 'ExecutionContext');

  const waitFor = async (exchange, promise) => {
    try {
      await promise;
    } catch (error) {
      log(4, 'Uncaught (in waitUntil) ' + internal.describeError(error));
    }
    exchange.waitingCount--;
    finishIfDone(exchange);
  };

  internal.hooks[2] = (rid, method, url, headers, kind, body) => {
    const request = new RequestState(method, url, headers, undefined);
    if (kind === COMPLETE) request.raw = body ?? new Uint8Array(0);
    else if (kind === STREAMED) request.incoming = new IncomingBody(rid, body);
    const exchange = new Exchange(rid, request);
    entered = exchange;
    try {
      const result = FunctionPrototypeCall(entry.fetch, entry.target, makeRequest(request), entry.env ?? environment(), new ExecutionContext(exchange));
      const response = stateOf(result);
      if (response !== undefined) answer(exchange, response);
      else if (isObject(result)) follow(exchange, result);
      else refuse(exchange, INVALID_RESPONSE, notAResponse(result));
    } catch (error) {
      refuse(exchange, EXCEPTION, internal.describeError(error));
    }
    entered = undefined;
    if (!exchange.isOver) exchanges.set(rid, exchange);
  };

  const notAResponse = (value) => `the handler returned ${describeKind(value)} instead of a Response`;

  const follow = async (exchange, promise) => {
    try {
      const result = await promise;
      const response = stateOf(result);
      if (response !== undefined) answer(exchange, response);
      else refuse(exchange, INVALID_RESPONSE, notAResponse(result));
    } catch (error) {
      refuse(exchange, EXCEPTION, internal.describeError(error));
    }
  };

  const answer = (exchange, response) => {
    const { rid, request } = exchange;
    if (exchange.isAborted) {
      cancelBody(response, request.abortReason);
      conclude(exchange);
      finishIfDone(exchange);
      return;
    }
    if (response.isError) {
      refuse(exchange, INVALID_RESPONSE, 'the handler returned Response.error(), which HTTP cannot carry');
      return;
    }
    if (isUnusable(response)) {
      refuse(exchange, INVALID_RESPONSE, 'the handler returned a Response whose body is locked or has been read already');
      return;
    }
    const { status } = response;
    const headers = headersText(response);
    if (headers.length > HEADERS_BYTES_LIMIT) {
      cancelBody(response, undefined);
      refuse(
        exchange, INVALID_RESPONSE, `the response's headers take ${headers.length} bytes; at most ${HEADERS_BYTES_LIMIT} can be carried`);
      return;
    }
    let body;
    if (request.method === 'HEAD' || isNullBodyStatus(status)) {
      cancelBody(response, undefined);
    } else if (response.stream !== null) {
      exchange.phase = SENDING;
      respond(rid, status, headers, undefined, PIECES_FOLLOW);
      exchange.pump = new Pump(exchange, internal.streamStateOf(response.stream), statedLength(response));
      exchange.pump.run();
      return;
    } else {
      response.isUsed = true;
      body = response.raw ?? undefined;
    }
    conclude(exchange);
    if (exchange.waitingCount > 0) {
      respond(rid, status, headers, body, IS_COMPLETE);
    } else {
      leave(exchange);
      respond(rid, status, headers, body, IS_FINISHED);
    }
  };

  // The content-length that the gateway will hold the body to; Infinity: none.
  const oneNumber = /^[0-9]{1,18}$/;
  const statedLength = ({ list }) => {
    const text = list === undefined ? null : list.get('content-length');
    return text !== null && RegExpPrototypeExec(oneNumber, text) !== null ? +text : Infinity;
  };

  // Sends what a stream gives, a piece at a time, and waits while the window is full. It is a read request of its reader.
  class Pump {
    constructor(exchange, stream, length) {
      const streams = internal.source('readable-states');
      this.exchange = exchange;
      this.streams = streams;
      this.reader = streams.acquireReader(stream);
      this.length = length;
      this.sent = 0;
      this.hasEnded = false;
      this.isBlocked = false;
      this.isReading = false;
      this.goesOn = false;
    }

    // Pieces that are there already come before `read` returns: a loop, not a recursion.
    run() {
      this.isReading = true;
      do {
        this.goesOn = false;
        this.endIfWhole();
        this.streams.read(this.reader, this);
      } while (this.goesOn);
      this.isReading = false;
    }

    // With as many bytes as it was told the client has all of the answer and may ask for something else, whenever the tenant closes the
    // stream; unless it has yet to send the rest of its request, which would not come any more.
    isWhole() {
      const { incoming } = this.exchange.request;
      return this.sent === this.length && (incoming === null || incoming.isEnded || incoming.hasFailed);
    }

    endIfWhole() {
      if (this.hasEnded || !this.isWhole()) return;
      this.hasEnded = true;
      bodyEnd(this.exchange.rid);
    }

    requestEnded() {
      this.endIfWhole();
      // No room will come for an answer that has ended.
      if (this.hasEnded) this.resume();
    }

    chunk(bytes) {
      const { exchange } = this;
      if (exchange.pump !== this) return;
      if (TypedArrayPrototypeGetSymbolToStringTag(bytes) !== 'Uint8Array') {
        this.refuse(`a piece of the response's body is ${describeKind(bytes)} instead of a Uint8Array`);
        return;
      }
      const count = TypedArrayPrototypeGetByteLength(bytes);
      this.sent += count;
      if (this.sent > this.length) {
        this.refuse(`the response's body is longer than its content-length of ${this.length} bytes`);
      } else if (count > 0 && !bodyWrite(exchange.rid, bytes) && !this.isWhole()) {
        this.isBlocked = true;
        const { incoming } = exchange.request;
        if (incoming !== null) incoming.dropUnlessTouched();
      } else if (this.isReading) {
        this.goesOn = true;
      } else {
        this.run();
      }
    }

    refuse(message) {
      const error = new TypeError(message);
      this.cancel(error);
      this.end(error);
    }

    close() {
      if (this.exchange.pump !== this) return;
      const isWhole = this.length === Infinity || this.sent === this.length;
      this.end(isWhole ? undefined : new TypeError(`the response's body has ${this.sent} bytes, but its content-length is ${this.length}`));
    }
    error(error) { if (this.exchange.pump === this) this.end(error ?? new Error(`the stream failed with ${error}`)); }

    end(error) {
      const { exchange } = this;
      if (this.hasEnded) {
        if (error !== undefined) log(4, `after the end of the response's body: ${internal.describeErrorBriefly(error)}`);
      } else if (error === undefined) {
        bodyEnd(exchange.rid);
      } else {
        bodyBroken(exchange.rid, internal.describeErrorBriefly(error));
      }
      conclude(exchange);
      finishIfDone(exchange);
    }

    resume() {
      if (!this.isBlocked) return;
      this.isBlocked = false;
      this.run();
    }

    cancel(reason) { this.streams.cancelQuietly(this.reader.stream, reason); }
  }
  ObjectSetPrototypeOf(Pump.prototype, null);

  internal.hooks[3] = (rid, bytes, isEnd) => {
    const exchange = exchanges.get(rid);
    const incoming = exchange?.request.incoming;
    if (incoming === undefined || incoming === null) return;
    incoming.deliver(bytes, isEnd);
    if (isEnd) exchange.pump?.requestEnded();
  };

  internal.hooks[4] = (rid) => { exchanges.get(rid)?.pump?.resume(); };

  internal.hooks[5] = (rid, reason) => {
    const exchange = exchanges.get(rid);
    if (exchange === undefined) return;
    const { pump, request } = exchange;
    if (!exchange.isAborted) {
      exchange.isAborted = true;
      const error = reason === CLIENT_GONE ? new DOMException('the client is gone', 'AbortError')
        : reason === WALL_LIMIT ? new DOMException('the request took longer than it may', 'TimeoutError')
        : reason === FAILED ? new DOMException('the request has failed', 'AbortError')
        : new DOMException('the server is shutting down', 'AbortError');
      request.abortReason = error;
      if (exchange.phase === SENDING) {
        exchange.phase = ANSWERED;
        exchange.pump = undefined;
        pump.cancel(error);
      }
      if (request.incoming !== null) request.incoming.fail(error);
      if (request.abort !== undefined) request.abort(error);
    }
    if (reason === CLIENT_GONE) {
      finishIfDone(exchange);
    } else if (!exchange.isOver) {
      leave(exchange);
      finished(rid);
    }
  };
})
