const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (string) => new TextEncoder().encode(string);

// ---------------------------------------------------------------------------------------------------------------- Headers

test('names are case-insensitive, values are trimmed and joined', () => {
  const headers = new Headers({ 'X-A': '\t 1 \r\n', b: '2' });
  headers.append('x-a', '3');
  assertEquals([headers.get('X-a'), headers.get('B'), headers.get('c')], ['1, 3', '2', null]);
  headers.set('x-A', '4');
  assertEquals(headers.get('x-a'), '4');
  headers.delete('X-A');
  assert(!headers.has('x-a'));
});
test('iteration is sorted and joined, but cookies stay apart', () => {
  const headers = new Headers([['b', '1'], ['Set-Cookie', 'x=1'], ['a', '2'], ['set-cookie', 'y=2'], ['B', '3']]);
  assertEquals([...headers], [['a', '2'], ['b', '1, 3'], ['set-cookie', 'x=1'], ['set-cookie', 'y=2']]);
  assertEquals(headers.getSetCookie(), ['x=1', 'y=2']);
  assertEquals(headers.get('set-cookie'), 'x=1, y=2');
  assertEquals([[...headers.keys()].length, [...headers.values()][0]], [4, '2']);
  const seen = [];
  headers.forEach((value, name, object) => seen.push([value, name, object === headers]));
  assertEquals(seen[0], ['2', 'a', true]);
});
test('a change during iteration shows', () => {
  const headers = new Headers({ a: '1', c: '3' });
  const seen = [];
  for (const [name] of headers) {
    seen.push(name);
    if (name === 'a') headers.append('b', '2');
  }
  assertEquals(seen, ['a', 'b', 'c']);
});
test('what a header cannot be is refused', () => {
  const headers = new Headers();
  for (const name of ['', ' ', 'a b', 'a:', 'a\n', '\u00e9', 'a\0', '(']) assertThrows(() => headers.append(name, 'x'), TypeError);
  for (const value of ['a\nb', 'a\rb', 'a\0b', 'a\r\nx-injected: 1', '\u0100']) assertThrows(() => headers.set('a', value), TypeError);
  headers.set('a', '\u00e9\x01\x7F');
  assertEquals(headers.get('a'), '\u00e9\x01\x7F');
  for (const init of [null, 5, 'text', [['a']], [['a', 'b', 'c']], [5], { a: 'x\ny' }]) assertThrows(() => new Headers(init), TypeError);
});
test('headers are made from headers, records and iterables', () => {
  assertEquals([...new Headers(new Headers([['a', '1'], ['a', '2']]))], [['a', '1, 2']]);
  assertEquals([...new Headers(new Map([['a', '1']]))], [['a', '1']]);
  assertEquals([...new Headers({ a: 5, b: { toString: () => 'six' } })], [['a', '5'], ['b', 'six']]);
  const record = Object.create({ inherited: '1' }, { hidden: { value: '2', enumerable: false }, own: { value: '3', enumerable: true } });
  assertEquals([...new Headers(record)], [['own', '3']]);
});

// --------------------------------------------------------------------------------------------------------------- Response

test('defaults', async () => {
  const response = new Response();
  assertEquals(
    [response.type, response.url, response.redirected, response.status, response.ok, response.statusText, response.body, response.bodyUsed],
    ['default', '', false, 200, true, '', null, false]);
  assertEquals([...response.headers], []);
  assertEquals(await response.text(), '');
  assertEquals(await response.text(), '');
});
test('content types that go with bodies', () => {
  const cases = [
    ['text', 'text/plain;charset=UTF-8'], [new URLSearchParams('a=b'), 'application/x-www-form-urlencoded;charset=UTF-8'], [bytes('x'), null],
    [new Blob(['x'], { type: 'Image/PNG' }), 'image/png'], [new Blob(['x']), null], [new ReadableStream(), null], [5, 'text/plain;charset=UTF-8'],
  ];
  for (const [body, type] of cases) assertEquals(new Response(body).headers.get('content-type'), type);
  assertMatch(new Response(new FormData()).headers.get('content-type'), /^multipart\/form-data; boundary=/);
  assertEquals(new Response('x', { headers: { 'Content-Type': 'a/b' } }).headers.get('content-type'), 'a/b');
});
test('statuses', () => {
  for (const status of [0, 100, 101, 199, 600, 1000]) assertThrows(() => new Response('x', { status }), RangeError);
  for (const status of [204, 205, 304]) {
    assertThrows(() => new Response('x', { status }), TypeError);
    assertThrows(() => new Response('', { status }), TypeError);
    assertEquals(new Response(null, { status }).status, status);
  }
  assertEquals([new Response('x', { status: 299 }).ok, new Response('x', { status: 300 }).ok], [true, false]);
  assertEquals(new Response(null, { statusText: 'Fine' }).statusText, 'Fine');
  assertThrows(() => new Response(null, { statusText: 'a\nb' }), TypeError);
  assertThrows(() => new Response(null, 5), TypeError);
});
test('Response.json, redirect and error', async () => {
  const json = Response.json({ a: [1] }, { status: 201, headers: { x: 'y' } });
  assertEquals([json.status, json.headers.get('content-type'), json.headers.get('x'), await json.text()], [201, 'application/json', 'y', '{"a":[1]}']);
  assertEquals(Response.json(1, { headers: { 'content-type': 'a/b' } }).headers.get('content-type'), 'a/b');
  assertThrows(() => Response.json(undefined), TypeError);
  assertThrows(() => Response.json(() => {}), TypeError);
  assertThrows(() => Response.json({ toJSON() { throw new RangeError('mine'); } }), RangeError);
  const redirect = Response.redirect('http://h/a b', 307);
  assertEquals([redirect.status, redirect.headers.get('location')], [307, 'http://h/a%20b']);
  assertThrows(() => redirect.headers.set('location', 'x'), TypeError, /immutable/);
  assertThrows(() => Response.redirect('/relative'), TypeError);
  assertThrows(() => Response.redirect('http://h/', 200), RangeError);
  const error = Response.error();
  assertEquals([error.type, error.status, error.ok], ['error', 0, false]);
  assertThrows(() => error.headers.append('a', 'b'), TypeError, /immutable/);
});
test('a body is read once, in any form', async () => {
  const forms = {
    text: 'h\u00e9', json: null, arrayBuffer: null, bytes: null, blob: null,
  };
  for (const name of Object.keys(forms)) {
    for (const make of [() => '[1]', () => bytes('[1]'), () => new Blob(['[1]']), () => new Response('[1]').body]) {
      const response = new Response(make());
      assert(!response.bodyUsed);
      await response[name]();
      assert(response.bodyUsed, name);
      await assertRejects(response.text(), TypeError, /read already/);
      assertThrows(() => response.clone(), TypeError);
    }
  }
  assertEquals(await new Response(bytes('h\u00e9')).text(), 'h\u00e9');
  assertEquals(await new Response('[1,{"a":2}]').json(), [1, { a: 2 }]);
  await assertRejects(new Response('{').json(), SyntaxError);
  await assertRejects(new Response().json(), SyntaxError);
  assertEquals(text(await new Response('abc').bytes()), 'abc');
  assertEquals((await new Response('abc').arrayBuffer()).byteLength, 3);
});
test('a byte order mark and lone surrogates in text', async () => {
  assertEquals(await new Response('\uFEFFabc').text(), 'abc');
  assertEquals(await new Response(bytes('\uFEFFabc')).text(), 'abc');
  assertEquals(await new Response('a\uD800b').text(), 'a\uFFFDb');
});
test('bytes are copied when a body is made of them, and again when it is shared', async () => {
  const given = bytes('abc');
  const response = new Response(given);
  given.fill(0);
  const clone = response.clone();
  const first = await response.bytes();
  first.fill(1);
  assertEquals(await clone.text(), 'abc');
  const view = new Uint8Array(bytes('abcdef').buffer, 2, 2);
  assertEquals(await new Response(view).text(), 'cd');
  assertEquals(await new Response(new DataView(bytes('xyz').buffer, 1)).text(), 'yz');
  const blob = new Blob(['abc']);
  (await new Response(blob).bytes()).fill(0);
  assertEquals(await blob.text(), 'abc');
});
test('body is a stream of bytes, the same each time', async () => {
  const response = new Response('abc');
  const { body } = response;
  assert(body instanceof ReadableStream && response.body === body);
  const reader = body.getReader({ mode: 'byob' });
  assertEquals(text((await reader.read(new Uint8Array(8))).value), 'abc');
  assert(response.bodyUsed);
  reader.releaseLock();
  await assertRejects(response.text(), TypeError);
  const used = new Response('abc');
  await used.text();
  assert(used.body.locked && used.bodyUsed);
});
test('a stream that is locked or read cannot be a body', async () => {
  const locked = new ReadableStream();
  locked.getReader();
  assertThrows(() => new Response(locked), TypeError);
  const read = new Response('x').body;
  await read.cancel();
  assertThrows(() => new Response(read), TypeError);
  await assertRejects(new Response(new ReadableStream({ start(controller) { controller.enqueue('text'); controller.close(); } })).text(), TypeError);
});
test('clones read alike, streams too', async () => {
  for (const make of [() => 'abc', () => new Response('abc').body, () => new Blob(['abc'])]) {
    const response = new Response(make(), { status: 201, headers: { a: 'b' } });
    const clone = response.clone();
    clone.headers.set('a', 'c');
    assertEquals([response.headers.get('a'), clone.status], ['b', 201]);
    assertEquals(await Promise.all([response.text(), clone.text()]), ['abc', 'abc']);
  }
});
test('reading does not look at Object.prototype.then', async () => {
  const stream = new Response('real').body;
  const response = new Response(stream);
  let reading;
  Object.defineProperty(Object.prototype, 'then', {
    get() { return ArrayBuffer.isView(this) ? (resolve) => resolve(bytes('fake')) : undefined; }, configurable: true,
  });
  try {
    reading = response.text();
    assertEquals(await reading, 'real');
  } finally {
    delete Object.prototype.then;
  }
});

// ---------------------------------------------------------------------------------------------------------------- Request

test("a request's defaults", () => {
  const request = new Request('HTTP://Example.com/a/../b?c#d');
  assertEquals(
    [request.method, request.url, request.redirect, request.mode, request.credentials, request.cache, request.referrer, request.integrity,
      request.keepalive, request.destination, request.body, request.duplex],
    ['GET', 'http://example.com/b?c#d', 'follow', 'cors', 'same-origin', 'default', 'about:client', '', false, '', null, 'half']);
  assert(request.signal instanceof AbortSignal && !request.signal.aborted && request.signal === request.signal);
});
test('what a request cannot be is refused', () => {
  for (const url of ['/relative', '', 'http://', 'http://user:password@h/', {}]) assertThrows(() => new Request(url), TypeError);
  assertThrows(() => new Request(), TypeError);
  const options = [
    { method: 'CONNECT' }, { method: 'trace' }, { method: 'a b' }, { method: '' }, { mode: 'navigate' }, { mode: 'x' }, { redirect: 'x' },
    { cache: 'only-if-cached' }, { credentials: 'x' }, { window: {} }, { signal: {} }, { body: 'x' }, { body: 'x', method: 'HEAD' }, { duplex: 'full' },
    { referrer: '/x' }, { headers: [['a']] }, { method: 'PUT', mode: 'no-cors' },
  ];
  for (const option of options) assertThrows(() => new Request('http://h/', option), TypeError);
});
test('methods', () => {
  const methods = { get: 'GET', Post: 'POST', patch: 'patch', Custom: 'Custom', delete: 'DELETE' };
  for (const [given, method] of Object.entries(methods)) assertEquals(new Request('http://h/', { method: given }).method, method);
});
test('a request from a request', async () => {
  const first = new Request('http://h/', { method: 'POST', body: 'abc', headers: { a: 'b' }, redirect: 'manual' });
  const second = new Request(first, { headers: { c: 'd' } });
  assert(first.bodyUsed && !second.bodyUsed);
  assertEquals([second.method, second.redirect, second.headers.get('a'), second.headers.get('c'), await second.text()], ['POST', 'manual', null, 'd', 'abc']);
  assertThrows(() => new Request(first), TypeError, /read already/);
  assertEquals(await new Request(first, { body: 'new' }).text(), 'new');
  assertThrows(() => new Request(new Request('http://h/', { method: 'POST', body: 'x' }), { method: 'GET' }), TypeError);
  const streamed = new Request('http://h/', { method: 'POST', body: new Response('stream').body });
  assertEquals(await new Request(streamed).text(), 'stream');
  assert(streamed.bodyUsed);
  const clone = first.clone.call(new Request('http://h/', { method: 'POST', body: 'abc' }));
  assertEquals(await clone.text(), 'abc');
});
test('a signal follows the one it was given, also through a request', () => {
  const controller = new AbortController();
  const first = new Request('http://h/', { signal: controller.signal });
  const second = new Request(first);
  const third = second.clone();
  controller.abort('why');
  assertEquals([first, second, third].map(({ signal }) => signal.reason), ['why', 'why', 'why']);
  assert(!new Request(first, { signal: null }).signal.aborted);
});
test('the request that a handler gets is immutable and lazily complete', async () => {
  const { hooks } = fixture.internal;
  let request;
  await hooks[1](Promise.resolve(), { default: { fetch(given) {
    request = given;
    return new Response();
  } } });
  hooks[2](1, 'POST', 'http://h/p?q', 'host\nh\ncookie\na=1\ncookie\nb=2\nempty\n\n', 1, bytes('abc'));
  assert(request instanceof Request);
  assertEquals([request.method, request.url, request.headers.get('Cookie'), request.headers.get('empty')], ['POST', 'http://h/p?q', 'a=1, b=2', '']);
  assertEquals([...request.headers], [['cookie', 'a=1, b=2'], ['empty', ''], ['host', 'h']]);
  assertThrows(() => request.headers.set('a', 'b'), TypeError, /immutable/);
  assertThrows(() => request.clone().headers.delete('host'), TypeError, /immutable/);
  const copy = new Request(request, { method: 'PUT' });
  copy.headers.set('a', 'b');
  assertEquals([await copy.text(), copy.headers.get('host')], ['abc', 'h']);
});
test('brands, tags and enumerability', async () => {
  for (const [constructor, name] of [[Request, 'Request'], [Response, 'Response'], [Headers, 'Headers']]) {
    assertEquals(constructor.prototype[Symbol.toStringTag], name);
    for (const [key, { enumerable }] of Object.entries(Object.getOwnPropertyDescriptors(constructor.prototype))) {
      if (key !== 'constructor') assert(enumerable, `${name}.${key}`);
    }
    assert(!Object.getOwnPropertyDescriptor(globalThis, name).enumerable);
  }
  assertThrows(() => Object.getOwnPropertyDescriptor(Request.prototype, 'url').get.call({}), TypeError);
  assertThrows(() => Object.getOwnPropertyDescriptor(Response.prototype, 'body').get.call({}), TypeError);
  await assertRejects(Response.prototype.text.call({}), TypeError);
  assertThrows(() => Headers.prototype.get.call({}, 'a'), TypeError);
  assertEquals([Request.length, Response.length, Headers.length, fetch.length, Response.json.length, Response.redirect.length], [1, 0, 0, 1, 1, 1]);
  class Mine extends Response { get mine() { return true; } }
  assertEquals([new Mine('x').mine, await new Mine('x').text()], [true, 'x']);
});
