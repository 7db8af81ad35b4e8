const { internal } = fixture;
const { hooks } = internal;
const START = 1, REQUEST = 2, BODY = 3, CREDIT = 4, ABORT = 5;
const TEXT = 'content-type\ntext/plain;charset=UTF-8\n';
const bytes = (text) => new TextEncoder().encode(text);

const start = async (exported, rest = {}) => {
  await hooks[START](Promise.resolve(), { default: exported, ...rest });
  return fixture.takeNotes();
};
let lastRequest = 1000;
// Calls the handler once; returns what was noted until nothing more happens.
const call = async (fetch, { method = 'GET', url = 'http://hello.localhost/', headers = '', kind = 0, body } = {}) => {
  await start({ fetch });
  hooks[REQUEST](++lastRequest, method, url, headers, kind, body);
  await nextTurn();
  return fixture.takeNotes();
};
const respond = (status, headers, body, state) => ['respond', lastRequest, status, headers, body, state];

// ------------------------------------------------------------------------------------------------------------------- start

test('a default export with fetch is ready', async () => {
  assertEquals(await start({ fetch() {} }), [['ready']]);
});
test('what is missing is named', async () => {
  const cases = [
    [undefined, {}, /no default export/], [undefined, { fetch() {} }, /exports 'fetch' by name/], [{}, {}, /has no 'fetch' method/],
    [{ fetch: 5 }, {}, /'fetch'.*a number instead of a function/], [() => {}, {}, /is a function/], [class {}, {}, /is a class/],
    ['text', {}, /is a string instead of an object/], [null, {}, /is null/],
  ];
  for (const [exported, rest, pattern] of cases) {
    const notes = await start(exported, rest);
    assertEquals(notes.length, 1, String(pattern));
    assertEquals(notes[0][0], 'startFailed');
    assertMatch(notes[0][1], pattern);
  }
});
test('a module that throws, or whose fetch is a getter that throws, fails to start', async () => {
  await hooks[START](Promise.reject(new Error('top level')), {});
  assertMatch(fixture.takeNotes()[0][1], /top level/);
  const notes = await start({ get fetch() { throw new RangeError('from the getter'); } });
  assertMatch(notes[0][1], /from the getter/);
});
test('requests may come only when the top-level await is over', async () => {
  let settle;
  const evaluated = new Promise((resolve) => { settle = resolve; });
  const done = hooks[START](evaluated, { default: { fetch() {} } });
  await nextTurn();
  assertEquals(fixture.takeNotes(), []);
  settle();
  await done;
  assertEquals(fixture.takeNotes(), [['ready']]);
});
test('env has the variables and secrets as plain properties', async () => {
  let env;
  await call((request, given) => {
    env = given;
    return new Response();
  });
  assertEquals(env.GREETING, 'hello');
  assertEquals(env.API_KEY, 'secret value');
  assertEquals(Object.getOwnPropertyDescriptor(env, '__proto__').value, 'polluted');
  assert(Object.getPrototypeOf(env) === Object.prototype);
});

// ---------------------------------------------------------------------------------------------------------------- answers

test('a text answer is one operation', async () => {
  assertEquals(await call(() => new Response('hello')), [respond(200, TEXT, 'hello', 2)]);
});
test('an async handler is answered likewise', async () => {
  assertEquals(await call(async () => new Response('hello')), [respond(200, TEXT, 'hello', 2)]);
  assertEquals(await call(async () => {
    await nextTurn(0);
    return new Response('later');
  }), [respond(200, TEXT, 'later', 2)]);
});
test('a thenable for a Response counts', async () => {
  assertEquals(await call(() => ({ then(resolve) { resolve(new Response('thenable')); } })), [respond(200, TEXT, 'thenable', 2)]);
});
test('bytes, JSON, and nothing', async () => {
  assertEquals(await call(() => new Response(bytes('raw'))), [respond(200, '', 'raw', 2)]);
  assertEquals(await call(() => Response.json({ a: 1 }, { status: 201 })), [respond(201, 'content-type\napplication/json\n', '{"a":1}', 2)]);
  assertEquals(await call(() => new Response()), [respond(200, '', '', 2)]);
  assertEquals(await call(() => new Response(null, { status: 204 })), [respond(204, '', '', 2)]);
});
test('headers are sent as they were set', async () => {
  const answer = new Response('x', { headers: { 'X-One': '1', 'content-type': 'text/html' } });
  answer.headers.append('Set-Cookie', 'a=1');
  answer.headers.append('Set-Cookie', 'b=2');
  assertEquals(await call(() => answer), [respond(200, 'x-one\n1\ncontent-type\ntext/html\nset-cookie\na=1\nset-cookie\nb=2\n', 'x', 2)]);
});
test('this is the default export', async () => {
  const exported = { greeting: 'mine', fetch() { return new Response(this.greeting); } };
  await start(exported);
  hooks[REQUEST](++lastRequest, 'GET', 'http://h/', '', 0);
  assertEquals(fixture.takeNotes(), [respond(200, TEXT, 'mine', 2)]);
});
test('what is not a Response is invalid', async () => {
  for (const value of [undefined, null, 5, 'text', {}, [], new Request('http://h/'), { status: 200, headers: new Headers(), body: null }]) {
    for (const handler of [() => value, async () => value]) {
      const notes = await call(handler);
      assertEquals(notes.map((note) => note[0]), ['fail', 'finished'], String(value));
      assertEquals(notes[0][2], 3);
      assertMatch(notes[0][3], /instead of a Response/);
    }
  }
});
test('an object that only looks like a Response is invalid', async () => {
  const notes = await call(() => Object.create(Response.prototype));
  assertEquals([notes[0][0], notes[0][2]], ['fail', 3]);
});
test('Response.error() and a read body are invalid', async () => {
  assertEquals((await call(() => Response.error()))[0].slice(0, 3), ['fail', lastRequest, 3]);
  const notes = await call(async () => {
    const answer = new Response('x');
    await answer.text();
    return answer;
  });
  assertEquals(notes[0].slice(0, 3), ['fail', lastRequest, 3]);
  const twice = new Response('once');
  assertEquals((await call(() => twice))[0][0], 'respond');
  assertEquals((await call(() => twice))[0].slice(0, 3), ['fail', lastRequest, 3]);
});
test('an exception fails the request with its stack', async () => {
  for (const handler of [() => { throw new RangeError('boom'); }, async () => { throw new RangeError('boom'); }]) {
    const notes = await call(handler);
    assertEquals(notes.map((note) => note[0]), ['fail', 'finished']);
    assertEquals(notes[0][2], 2);
    assertMatch(notes[0][3], /RangeError: boom[^]*entry-test|RangeError: boom[^]*test\.js/);
  }
});
test('anything can be thrown', async () => {
  const hostile = [
    undefined, null, 5, 'text', Symbol('s'), {}, Object.create(null), { get message() { throw new Error('x'); }, toString() { throw 1; } },
    new Proxy({}, { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } }), () => {},
    Object.defineProperty(new Error('e'), 'stack', { get() { throw new Error('stack'); } }),
  ];
  for (const value of hostile) {
    const notes = await call(() => { throw value; });
    assertEquals(notes.map((note) => note[0]), ['fail', 'finished']);
    assertEquals(notes[0][2], 2);
    assertEquals((await call(async () => { throw value; }))[0].slice(0, 3), ['fail', lastRequest, 2]);
  }
});
test('a body is not sent for HEAD, and its stream is cancelled', async () => {
  assertEquals(await call(() => new Response('text'), { method: 'HEAD' }), [respond(200, TEXT, '', 2)]);
  let reason = 'not cancelled';
  const stream = new ReadableStream({ cancel() { reason = 'cancelled'; } });
  assertEquals(await call(() => new Response(stream), { method: 'HEAD' }), [respond(200, '', '', 2)]);
  assertEquals(reason, 'cancelled');
});

// -------------------------------------------------------------------------------------------------------------- waitUntil

test('waitUntil keeps a request alive until its promises settle', async () => {
  const notes = await call((request, env, ctx) => {
    ctx.waitUntil(nextTurn(5).then(() => console.log('work done')));
    ctx.waitUntil(Promise.reject(new Error('work failed')));
    return new Response('x');
  });
  const failure = notes.findIndex((note) => note[0] === 'log');
  assertMatch(notes[failure][2], /waitUntil.*work failed/);
  notes.splice(failure, 1);
  assertEquals(notes, [respond(200, TEXT, 'x', 1)]);
  await nextTurn(20);
  assertEquals(fixture.takeNotes(), [['log', 1, 'work done'], ['finished', lastRequest]]);
});
test('waitUntil takes any value, and after an exception too', async () => {
  const notes = await call((request, env, ctx) => {
    ctx.waitUntil(5);
    throw new Error('after');
  });
  assertEquals(notes.map((note) => note[0]), ['fail', 'finished']);
});
test('ctx methods want their ctx; passThroughOnException says that it is not supported', async () => {
  await call((request, env, ctx) => {
    const { waitUntil } = ctx;
    assertThrows(() => waitUntil(1), TypeError, /as a method of ctx/);
    assertThrows(() => ctx.waitUntil(), TypeError);
    assertThrows(() => ctx.passThroughOnException(), Error, /not supported/);
    assertThrows(() => new ctx.constructor({}), TypeError, /Illegal constructor/);
    return new Response();
  });
});

// ---------------------------------------------------------------------------------------------------------------- streams

test('a stream is sent piece by piece, then its end', async () => {
  const stream = new ReadableStream({
    async start(controller) {
      controller.enqueue(bytes('one'));
      await nextTurn(1);
      controller.enqueue(bytes('two'));
      controller.close();
    },
  });
  await call(() => new Response(stream, { headers: { 'x-a': 'b' } }));
  await nextTurn(10);
  // The first notes were taken by `call`.
  const answer = new Response(new ReadableStream({ start(controller) { controller.enqueue(bytes('1')); controller.enqueue(bytes('2')); controller.close(); } }));
  fixture.takeNotes();
  assertEquals(await call(() => answer), [
    respond(200, '', '', 0), ['bodyWrite', lastRequest, '1'], ['bodyWrite', lastRequest, '2'], ['bodyEnd', lastRequest], ['finished', lastRequest],
  ]);
});
test('a full window holds a stream back until there is credit', async () => {
  let pulled = 0;
  const stream = new ReadableStream({ pull(controller) { controller.enqueue(bytes(String(++pulled))); if (pulled === 3) controller.close(); } }, { highWaterMark: 0 });
  fixture.setWindow(false);
  const notes = await call(() => new Response(stream));
  assertEquals(notes, [respond(200, '', '', 0), ['bodyWrite', lastRequest, '1']]);
  assertEquals(pulled, 1);
  hooks[CREDIT](lastRequest);
  await nextTurn();
  assertEquals(fixture.takeNotes(), [['bodyWrite', lastRequest, '2']]);
  fixture.setWindow(true);
  hooks[CREDIT](lastRequest);
  await nextTurn();
  assertEquals(fixture.takeNotes(), [['bodyWrite', lastRequest, '3'], ['bodyEnd', lastRequest], ['finished', lastRequest]]);
  hooks[CREDIT](lastRequest);
  assertEquals(fixture.takeNotes(), []);
});
test('only bytes can be sent', async () => {
  let reason;
  const stream = new ReadableStream({ start(controller) { controller.enqueue('text'); }, cancel(given) { reason = given; } });
  const notes = await call(() => new Response(stream));
  assertEquals(notes.map((note) => note[0]), ['respond', 'bodyBroken', 'finished']);
  assertMatch(notes[1][2], /a string instead of a Uint8Array/);
  assert(reason instanceof TypeError);
});
test('a stream that fails breaks the body off', async () => {
  const stream = new ReadableStream({ pull(controller) { controller.error(new Error('lost')); } });
  const notes = await call(() => new Response(stream));
  assertEquals(notes.map((note) => note[0]), ['respond', 'bodyBroken', 'finished']);
  assertMatch(notes[1][2], /lost/);
});
test('a stream that fails with undefined breaks the body off too', async () => {
  const notes = await call(() => new Response(new ReadableStream({ pull(controller) { controller.error(undefined); } })));
  assertEquals(notes.map((note) => note[0]), ['respond', 'bodyBroken', 'finished']);
});
test('a TransformStream as a body', async () => {
  const notes = await call((request, env, ctx) => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    ctx.waitUntil((async () => {
      await writer.write(bytes('a'));
      await writer.write(bytes('b'));
      await writer.close();
    })());
    return new Response(readable);
  });
  assertEquals(notes, [
    respond(200, '', '', 0), ['bodyWrite', lastRequest, 'a'], ['bodyWrite', lastRequest, 'b'], ['bodyEnd', lastRequest], ['finished', lastRequest],
  ]);
});

test('a stream of another length than the tenant says is broken off', async () => {
  const stream = (...pieces) => new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(bytes(piece));
      controller.close();
    },
  });
  const notes = async (length, ...pieces) => {
    const made = await call(() => new Response(stream(...pieces), { headers: { 'content-length': length } }));
    return made.slice(1).map((note) => note.filter((part) => part !== lastRequest));
  };
  assertEquals(await notes('5', 'ab', '', 'cde'), [['bodyWrite', 'ab'], ['bodyWrite', 'cde'], ['bodyEnd'], ['finished']]);
  const [, [kind, why]] = await notes('9', 'abcde');
  assertEquals(kind, 'bodyBroken');
  assertMatch(why, /has 5 bytes, but its content-length is 9/);
  const longer = await notes('3', 'ab', 'cde');
  assertEquals(longer.map((note) => note[0]), ['bodyWrite', 'bodyBroken', 'finished']);
  assertMatch(longer[1][1], /longer than its content-length of 3 bytes/);
  // What the gateway does not take for a length binds nobody.
  for (const length of ['x', '-1', '5, 5', '']) assertEquals((await notes(length, 'abc')).at(-2), ['bodyEnd']);
});

// --------------------------------------------------------------------------------------------------------------- addresses

test('the URL of a request is serialized', async () => {
  const cases = [
    ['http://a/', 'http://a/'], ['https://a.b:8443/p/q.r?s=t?u', 'https://a.b:8443/p/q.r?s=t?u'],
    ['http://a/jsonp?<script>"x', 'http://a/jsonp?%3Cscript%3E%22x'], ['http://a/x/../jsonp', 'http://a/jsonp'],
    ['http://a/x/%2e%2E/admin', 'http://a/admin'], ['http://a/./x/.', 'http://a/x/'], ['http://a/\\..\\x', 'http://a/x'],
    ['http://a//x/..//admin', 'http://a///admin'], ['http://a/{}`^|', 'http://a/%7B%7D%60%5E|'], ["http://a/'?'", "http://a/'?%27"],
    ['http://a/%E9%FF', 'http://a/%E9%FF'], ['http://a/?', 'http://a/?'], ['http://127.1:81/x', 'http://127.0.0.1:81/x'],
    ['http://[0::1]/x', 'http://[::1]/x'],
  ];
  for (const [url, expected] of cases) {
    let seen;
    await call((request) => {
      const copy = request.clone();
      seen = [new Request(request).url, copy.url, copy.clone().url, request.url, request.url];
      return new Response();
    }, { url });
    assertEquals(seen, [expected, expected, expected, expected, expected], url);
    assertEquals(new URL(expected).href, expected);
  }
});
test('what follows a host that is none to the URL standard is serialized all the same', async () => {
  let url;
  await call((request) => {
    ({ url } = request);
    return new Response();
  }, { url: 'http://xn--a.b.localhost:81/x/../y?<' });
  assertThrows(() => new URL('http://xn--a.b.localhost/'), TypeError);
  assertEquals(url, 'http://xn--a.b.localhost:81/y?%3C');
});

// ---------------------------------------------------------------------------------------------------------- request bodies

test('a complete body is read in every form', async () => {
  const options = { method: 'POST', kind: 1, headers: 'content-type\napplication/json\n' };
  assertEquals((await call(async (request) => new Response(await request.text()), { ...options, body: bytes('h\u00e9') }))[0], respond(200, TEXT, 'h\u00e9', 2));
  assertEquals((await call(async (request) => new Response((await request.json()).a), { ...options, body: bytes('{"a":"b"}') }))[0][4], 'b');
  assertEquals((await call(async (request) => new Response(await request.arrayBuffer()), { ...options, body: bytes('buf') }))[0][4], 'buf');
  assertEquals((await call((request) => new Response(request.body), { ...options, body: bytes('echo') })).filter((note) => note[0] === 'bodyWrite')[0][2], 'echo');
});
test('a body in pieces is collected and credited', async () => {
  let text;
  const notes = await call(async (request) => {
    text = await request.text();
    return new Response(text);
  }, { method: 'POST', kind: 2, body: bytes('one ') });
  assertEquals(notes, [['requestCredit', lastRequest, 4]]);
  hooks[BODY](lastRequest, bytes('two '), false);
  hooks[BODY](lastRequest, undefined, false);
  assertEquals(fixture.takeNotes(), [['requestCredit', lastRequest, 4]]);
  hooks[BODY](lastRequest, bytes('three'), true);
  await nextTurn();
  assertEquals(text, 'one two three');
  assertEquals(fixture.takeNotes(), [respond(200, TEXT, 'one two three', 2)]);
});
test('a streamed body is credited as it is consumed', async () => {
  let reader;
  await call((request) => {
    reader = request.body.getReader();
    return new Promise(() => {});
  }, { method: 'POST', kind: 2, body: bytes('one') });
  assertEquals(fixture.takeNotes(), []);
  hooks[BODY](lastRequest, bytes('two'), false);
  await nextTurn();
  assertEquals(fixture.takeNotes(), []);
  assertEquals(new TextDecoder().decode((await reader.read()).value), 'one');
  assertEquals(fixture.takeNotes(), [['requestCredit', lastRequest, 3]]);
  assertEquals(new TextDecoder().decode((await reader.read()).value), 'two');
  const pending = reader.read();
  hooks[BODY](lastRequest, undefined, true);
  assertEquals(await pending, { value: undefined, done: true });
  assertEquals(fixture.takeNotes(), [['requestCredit', lastRequest, 3]]);
});
test('a reader with its own buffer sees the end of a streamed body', async () => {
  let reader;
  await call((request) => {
    reader = request.body.getReader({ mode: 'byob' });
    return new Promise(() => {});
  }, { method: 'POST', kind: 2, body: bytes('abc') });
  const { value } = await reader.read(new Uint8Array(10));
  assertEquals(new TextDecoder().decode(value), 'abc');
  const pending = reader.read(new Uint8Array(10));
  hooks[BODY](lastRequest, undefined, true);
  const { value: last, done } = await pending;
  assertEquals([last.byteLength, done], [0, true]);
});
test('an echo of a streamed body', async () => {
  await call((request) => new Response(request.body), { method: 'POST', kind: 2, body: bytes('a') });
  hooks[BODY](lastRequest, bytes('b'), false);
  await nextTurn();
  hooks[BODY](lastRequest, bytes('c'), true);
  await nextTurn();
  const notes = fixture.takeNotes();
  assertEquals(notes.filter((note) => note[0] === 'bodyWrite').map((note) => note[2]), ['b', 'c']);
  assertEquals(notes.slice(-2), [['bodyEnd', lastRequest], ['finished', lastRequest]]);
});
test('a body that was cancelled is credited and thrown away', async () => {
  await call(async (request) => {
    await request.body.cancel();
    return new Promise(() => {});
  }, { method: 'POST', kind: 2, body: bytes('abc') });
  hooks[BODY](lastRequest, bytes('defg'), false);
  assertEquals(fixture.takeNotes(), [['requestCredit', lastRequest, 4]]);
});
test('an untouched body is dropped when the answer waits for the client', async () => {
  let kept;
  fixture.setWindow(false);
  const notes = await call((request) => {
    kept = request;
    return new Response(new ReadableStream({ pull(controller) { controller.enqueue(bytes('x')); } }));
  }, { method: 'POST', kind: 2, body: bytes('abc') });
  fixture.setWindow(true);
  assertEquals(notes, [respond(200, '', '', 0), ['bodyWrite', lastRequest, 'x'], ['requestCredit', lastRequest, 3]]);
  await assertRejects(kept.text(), TypeError, /dropped/);
  hooks[ABORT](lastRequest, 0);
});
test('a body cannot be read any more when the answer is complete', async () => {
  let kept;
  await call((request, env, ctx) => {
    kept = request;
    ctx.waitUntil(new Promise(() => {}));
    return new Response('early');
  }, { method: 'POST', kind: 2 });
  await assertRejects(kept.text(), TypeError, /response has been sent/);
  let reading;
  await call((request) => {
    reading = request.text();
    return new Response('early');
  }, { method: 'POST', kind: 2 });
  await assertRejects(reading, TypeError, /response has been sent/);
});

// ------------------------------------------------------------------------------------------------------------------ abort

test('a client that is gone aborts the signal, the body and the stream', async () => {
  let request, cancelled;
  await call((given) => {
    request = given;
    request.signal.addEventListener('abort', () => console.log('heard'));
    return new Response(new ReadableStream({ cancel(reason) { cancelled = reason; } }));
  }, { method: 'POST', kind: 2 });
  const body = request.text();
  hooks[ABORT](lastRequest, 0);
  assert(request.signal.aborted);
  assert(request.signal.reason instanceof DOMException);
  assertEquals(request.signal.reason.name, 'AbortError');
  assert(cancelled === request.signal.reason);
  await assertRejects(body, 'AbortError');
  assertEquals(fixture.takeNotes(), [['log', 1, 'heard'], ['finished', lastRequest]]);
});
test('a signal that nobody had asked for is aborted all the same', async () => {
  let request, answer;
  await call((given) => {
    request = given;
    return new Promise((resolve) => { answer = resolve; });
  });
  hooks[ABORT](lastRequest, 0);
  assert(request.signal.aborted);
  assertEquals(fixture.takeNotes(), []);
  let isCancelled = false;
  answer(new Response(new ReadableStream({ cancel() { isCancelled = true; } })));
  await nextTurn();
  assert(isCancelled);
  assertEquals(fixture.takeNotes(), [['finished', lastRequest]]);
});
test('the wall limit ends everything for a request', async () => {
  let signal;
  await call((request, env, ctx) => {
    ({ signal } = request);
    ctx.waitUntil(new Promise(() => {}));
    return new Promise(() => {});
  });
  hooks[ABORT](lastRequest, 1);
  assertEquals(signal.reason.name, 'TimeoutError');
  assertEquals(fixture.takeNotes(), [['finished', lastRequest]]);
  hooks[ABORT](lastRequest, 1);
  hooks[CREDIT](lastRequest);
  hooks[BODY](lastRequest, bytes('late'), true);
  assertEquals(fixture.takeNotes(), []);
});
test('a handler that throws after its client went is only logged', async () => {
  let fail;
  await call(() => new Promise((resolve, reject) => { fail = reject; }));
  hooks[ABORT](lastRequest, 0);
  fail(new Error('too late'));
  await nextTurn();
  const notes = fixture.takeNotes();
  assertEquals(notes.map((note) => note[0]), ['log', 'finished']);
});

// ------------------------------------------------------------------------------------------------------------------ fetch

test('fetch counts subrequests, then refuses; nothing is allowed out', async () => {
  const { currentRequest } = internal;
  internal.currentRequest = () => lastRequest;
  try {
    const codes = [];
    await call(async () => {
      for (let index = 0; index < 4; index++) {
        try {
          await fetch('https://example.com/');
        } catch (error) {
          codes.push([error.constructor.name, error.code, error.message]);
        }
      }
      return new Response();
    });
    // Not that the policy forbids it: it may well not.
    const message = 'outbound_denied: this version offers no outgoing requests: GET https://example.com/';
    const denied = ['TypeError', 'outbound_denied', message];
    assertEquals(codes, [denied, denied, denied, ['Error', 'subrequest_limit', 'subrequest_limit: a request may make 3 subrequests at most']]);
  } finally {
    internal.currentRequest = currentRequest;
  }
});
test('fetch checks its arguments first', async () => {
  await assertRejects(fetch(), TypeError, /1 argument/);
  await assertRejects(fetch('/relative'), TypeError, /absolute/);
  await assertRejects(fetch('http://h/', { method: 'TRACE' }), TypeError);
  await assertRejects(fetch('http://h/', { body: 'x' }), TypeError);
  await assertRejects(fetch('http://h/', { integrity: 'sha256-x' }), TypeError, /integrity/);
  await assertRejects(fetch('http://h/', { signal: AbortSignal.abort('why') }).catch((reason) => { throw new RangeError(reason); }), RangeError, /why/);
  await assertRejects(fetch('http://h/'), Error, /start-up/);
});

// -------------------------------------------------------------------------------------------------------------- pollution

const withPollution = (pollute, act) => {
  const undo = pollute();
  try {
    act();
  } finally {
    undo();
  }
};

test('a polluted Object.prototype changes neither answers nor failures', async () => {
  const names = [
    'raw', 'stream', 'state', 'status', 'then', 'next', 'phase', 'isOver', 'text', 'type', 'incoming', 'list', 'pump', 'isAborted', 'rid', 'headers',
    'settings', 'signal', 'parsed', 'sorted', 'isUsed', 'first', 'bytes',
  ];
  const fail = () => { throw new Error('polluted'); };
  for (const isAccessor of [false, true]) {
    await start({ fetch: (request) => (request.url.endsWith('/throw') ? JSON.parse('{') : new Response('clean', { __proto__: null, headers: { a: 'b' } })) });
    withPollution(() => {
      for (const name of names) {
        const shape = isAccessor ? { get: fail, set: fail } : { value: fail, writable: false };
        Object.defineProperty(Object.prototype, name, { __proto__: null, ...shape, configurable: true });
      }
      return () => { for (const name of names) delete Object.prototype[name]; };
    }, () => {
      hooks[REQUEST](++lastRequest, 'POST', 'http://h/', 'x\ny\n', 2, bytes('abc'));
      hooks[REQUEST](lastRequest + 1, 'GET', 'http://h/throw', '', 0);
    });
    const notes = fixture.takeNotes();
    assertEquals(notes[0], respond(200, 'a\nb\ncontent-type\ntext/plain;charset=UTF-8\n', 'clean', 2));
    assertEquals(notes[1].slice(0, 3), ['fail', ++lastRequest, 2]);
  }
});
test('changed methods of built-in objects change nothing', async () => {
  await start({ fetch: (request) => new Response(request.headers.get('x'), { headers: [['k', 'v']] }) });
  const fail = () => { throw new Error('polluted'); };
  const changes = [
    [Map.prototype, 'get'], [Map.prototype, 'set'], [Map.prototype, 'delete'], [Array.prototype, 'push'], [Array.prototype, 'slice'],
    [String.prototype, 'split'], [String.prototype, 'indexOf'], [String.prototype, 'slice'], [String.prototype, 'charCodeAt'],
    [RegExp.prototype, 'exec'], [Function.prototype, 'call'], [Function.prototype, 'apply'], [Function.prototype, 'bind'],
    [Object, 'defineProperty'], [Reflect, 'apply'], [Response.prototype, 'headers'], [Request.prototype, 'signal'], [Headers.prototype, 'get'],
    [Array.prototype, Symbol.iterator], [Promise.prototype, 'then'], [globalThis, 'Response'], [globalThis, 'Headers'],
  ];
  for (const [object, key] of changes) {
    if (object === Headers.prototype || key === Symbol.iterator || object === globalThis) continue;
    const descriptor = Object.getOwnPropertyDescriptor(object, key);
    const { defineProperty } = Object;
    withPollution(() => {
      defineProperty(object, key, { __proto__: null, value: fail, writable: true, configurable: true });
      return () => { defineProperty(object, key, descriptor); };
    }, () => { hooks[REQUEST](++lastRequest, 'GET', 'http://h/', 'x\ny\nz\n1\n', 0); });
    assertEquals(fixture.takeNotes(), [respond(200, 'k\nv\n' + TEXT, 'y', 2)], String(key));
  }
});
test("a stream is sent whatever became of promises' and iterators' methods", async () => {
  const { then } = Promise.prototype;
  const stream = new ReadableStream({ start(controller) { controller.enqueue(bytes('a')); controller.close(); } });
  await start({ fetch: () => new Response(stream) });
  Promise.prototype.then = () => { throw new Error('polluted'); };
  Object.defineProperty(Object.prototype, 'then', { __proto__: null, get() { throw new Error('polluted'); }, configurable: true });
  try {
    hooks[REQUEST](++lastRequest, 'GET', 'http://h/', '', 0);
  } finally {
    Promise.prototype.then = then;
    delete Object.prototype.then;
  }
  assertEquals(fixture.takeNotes().map((note) => note[0]), ['respond', 'bodyWrite', 'bodyEnd', 'finished']);
});
