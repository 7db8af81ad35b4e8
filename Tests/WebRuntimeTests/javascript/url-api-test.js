// Setters: [href, attribute, value, href afterwards].
const setters = [
  ['http://h/', 'protocol', 'https', 'https://h/'],
  ['http://h/', 'protocol', 'HTTPS:x', 'https://h/'],
  ['http://h:443/', 'protocol', 'https', 'https://h/'],
  ['http://h/', 'protocol', 'foo', 'http://h/'],
  ['foo://h/', 'protocol', 'http', 'foo://h/'],
  ['foo://h/', 'protocol', 'bar', 'bar://h/'],
  ['http://h/', 'protocol', '1x', 'http://h/'],
  ['http://h/', 'protocol', '', 'http://h/'],
  ['http://h:8/', 'protocol', 'file', 'http://h:8/'],
  ['http://u@h/', 'protocol', 'file', 'http://u@h/'],
  ['file:///a', 'protocol', 'http', 'file:///a'],
  ['http://h/', 'username', 'a b@', 'http://a%20b%40@h/'],
  ['http://u:p@h/', 'username', '', 'http://:p@h/'],
  ['file:///a', 'username', 'u', 'file:///a'],
  ['mailto:x', 'username', 'u', 'mailto:x'],
  ['foo:///x', 'password', 'u', 'foo:///x'],
  ['http://u@h/', 'password', ':', 'http://u:%3A@h/'],
  ['http://u:p@h/', 'password', '', 'http://u@h/'],
  ['http://h:81/a', 'host', 'x:82', 'http://x:82/a'],
  ['http://h:81/a', 'host', 'x', 'http://x:81/a'],
  ['http://h/a', 'host', 'x:80', 'http://x/a'],
  ['http://h/a', 'host', 'x:99999', 'http://x/a'],
  ['http://h/a', 'host', 'x:8q', 'http://x:8/a'],
  ['http://h/a', 'host', 'x/y?z#w', 'http://x/a'],
  ['http://h/a', 'host', 'x\\y', 'http://x/a'],
  ['http://h/a', 'host', '', 'http://h/a'],
  ['http://h/a', 'host', ':80', 'http://h/a'],
  ['http://h/a', 'host', 'a b', 'http://h/a'],
  ['http://h/a', 'host', '[::1]:8', 'http://[::1]:8/a'],
  ['http://h/a', 'host', '0x7f.1', 'http://127.0.0.1/a'],
  ['foo://h/a', 'host', '', 'foo:///a'],
  ['foo://u@h/a', 'host', '', 'foo://u@h/a'],
  ['mailto:x', 'host', 'h', 'mailto:x'],
  ['file:///a', 'host', 'h', 'file://h/a'],
  ['file://h/a', 'host', 'localhost', 'file:///a'],
  ['foo:/.//p', 'host', 'h', 'foo://h//p'],
  ['http://h:81/a', 'hostname', 'x', 'http://x:81/a'],
  ['http://h/a', 'hostname', 'x:82', 'http://h/a'],
  ['http://h/a', 'hostname', 'B\u00FCcher', 'http://xn--bcher-kva/a'],
  ['http://h/', 'port', '81', 'http://h:81/'],
  ['http://h:81/', 'port', '', 'http://h/'],
  ['http://h:81/', 'port', '80', 'http://h/'],
  ['http://h/', 'port', '8x', 'http://h:8/'],
  ['http://h:8/', 'port', 'x8', 'http://h:8/'],
  ['http://h:8/', 'port', '65536', 'http://h:8/'],
  ['http://h:8/', 'port', '9\t0', 'http://h:90/'],
  ['file:///a', 'port', '8', 'file:///a'],
  ['http://h/a', 'pathname', 'b/../c d', 'http://h/c%20d'],
  ['http://h/a', 'pathname', '', 'http://h/'],
  ['http://h/a', 'pathname', '?#', 'http://h/%3F%23'],
  ['http://h/a', 'pathname', '\\b', 'http://h/b'],
  ['foo://h/a', 'pathname', '', 'foo://h'],
  ['foo:/a', 'pathname', '', 'foo:/'],
  ['foo:/a', 'pathname', '//b', 'foo:/.//b'],
  ['mailto:x', 'pathname', 'y', 'mailto:x'],
  ['http://h/?a', 'search', 'b', 'http://h/?b'],
  ['http://h/?a', 'search', '?b#', 'http://h/?b%23'],
  ['http://h/?a', 'search', '', 'http://h/'],
  ['http://h/?a', 'search', '?', 'http://h/?'],
  ["http://h/", 'search', "'", 'http://h/?%27'],
  ['http://h/#a', 'hash', 'b c', 'http://h/#b%20c'],
  ['http://h/#a', 'hash', '##', 'http://h/##'],
  ['http://h/#a', 'hash', '', 'http://h/'],
  ['http://h/', 'href', 'https://x', 'https://x/'],
];
for (const [href, name, value, expected] of setters) {
  test(`${name} = ${JSON.stringify(value)} makes ${href} ${expected}`, () => {
    const url = new URL(href);
    url[name] = value;
    assertEquals(url.href, expected);
  });
}

test('the parts of a URL', () => {
  const url = new URL('https://u:p@ex.com:8443/a/b?x=1&y#frag');
  const { hash, host, hostname, href, origin, password, pathname, port, protocol, search, username } = url;
  assertEquals(
    { hash, host, hostname, origin, password, pathname, port, protocol, search, username },
    {
      hash: '#frag', host: 'ex.com:8443', hostname: 'ex.com', origin: 'https://ex.com:8443', password: 'p', pathname: '/a/b', port: '8443',
      protocol: 'https:', search: '?x=1&y', username: 'u',
    });
  assertEquals(String(url), href);
  assertEquals(JSON.stringify({ url }), `{"url":"${href}"}`);
});
test('an empty query and fragment read as empty', () => {
  const url = new URL('http://h/?#');
  assertEquals([url.search, url.hash, url.href], ['', '', 'http://h/?#']);
});
test('origins', () => {
  for (const [href, origin] of [
    ['blob:https://h:1/x', 'https://h:1'], ['blob:foo:x', 'null'], ['file:///a', 'null'], ['foo://h/', 'null'], ['ftp://h/', 'ftp://h'],
    ['http://b\u00FCcher/', 'http://xn--bcher-kva'],
  ]) assertEquals(new URL(href).origin, origin, href);
});
test('an invalid href is refused and changes nothing', () => {
  const url = new URL('http://h/');
  assertThrows(() => { url.href = 'x'; }, TypeError, /'x' is not a valid URL/);
  assertEquals(url.href, 'http://h/');
});
test('a setter does nothing to the URL that was parsed before', () => {
  const a = new URL('http://h/a');
  const b = new URL('b', a);
  a.pathname = '/x';
  assertEquals(b.href, 'http://h/b');
});
test('searchParams and search follow each other', () => {
  const url = new URL('http://h/?a=1&b=%20#f');
  const params = url.searchParams;
  assertEquals(params, url.searchParams);
  assert(params === url.searchParams);
  assertEquals(params.get('b'), ' ');
  params.append('c', '\u00FC&');
  assertEquals(url.href, 'http://h/?a=1&b=+&c=%C3%BC%26#f');
  url.search = '?z=9';
  assertEquals([...params], [['z', '9']]);
  params.delete('z');
  assertEquals(url.href, 'http://h/#f');
  url.href = 'http://h/?q=1';
  assertEquals(params.get('q'), '1');
});
test('URL is an interface as Web IDL has it', () => {
  assertEquals(Object.prototype.toString.call(new URL('a:b')), '[object URL]');
  assertEquals(URL.length, 1);
  assert(Object.getOwnPropertyDescriptor(URL.prototype, 'href').enumerable);
  assert(Object.getOwnPropertyDescriptor(URL.prototype, 'toJSON').enumerable);
  assert(!Object.getOwnPropertyDescriptor(globalThis, 'URL').enumerable);
  assertThrows(() => URL('a:b'), TypeError);
  assertThrows(() => new URL(), TypeError, /1 argument required/);
  assertThrows(() => URL.prototype.href, TypeError);
  assertThrows(() => Object.getOwnPropertyDescriptor(URL.prototype, 'host').get.call({}), TypeError);
  assertThrows(() => new URL(Symbol('x')), TypeError);
});
test('URL works with prototypes that the tenant broke', () => {
  const saved = [String.prototype.indexOf, String.prototype.slice, Array.prototype.push];
  try {
    String.prototype.indexOf = String.prototype.slice = Array.prototype.push = () => { throw new Error('hijacked'); };
    const url = new URL('../x?y=1#z', 'http://u@B\u00FCcher/a/b/c');
    assertEquals(url.href, 'http://u@xn--bcher-kva/a/x?y=1#z');
    assertEquals(url.searchParams.get('y'), '1');
  } finally {
    [String.prototype.indexOf, String.prototype.slice, Array.prototype.push] = saved;
  }
});

// URLSearchParams: [text, pairs, text again].
const queries = [
  ['', [], ''],
  ['?a=b', [['a', 'b']], 'a=b'],
  ['??a=b', [['?a', 'b']], '%3Fa=b'],
  ['a&b=&=c&&=', [['a', ''], ['b', ''], ['', 'c'], ['', '']], 'a=&b=&=c&='],
  ['a=b=c', [['a', 'b=c']], 'a=b%3Dc'],
  ['a+b=c%20d%2B', [['a b', 'c d+']], 'a+b=c+d%2B'],
  ['%zz=%4&%', [['%zz', '%4'], ['%', '']], '%25zz=%254&%25='],
  ['\u00FC=%FF', [['\u00FC', '\uFFFD']], '%C3%BC=%EF%BF%BD'],
  ['%EF%BB%BFx=1', [['\uFEFFx', '1']], '%EF%BB%BFx=1'],
  ["*-._~!'()=1", [["*-._~!'()", '1']], '*-._%7E%21%27%28%29=1'],
];
for (const [text, pairs, again] of queries) {
  test(`the query ${JSON.stringify(text)} parses and serializes`, () => {
    const params = new URLSearchParams(text);
    assertEquals([...params], pairs);
    assertEquals(params.size, pairs.length);
    assertEquals(params.toString(), again);
  });
}
test('URLSearchParams from sequences, records and params', () => {
  assertEquals(new URLSearchParams([['a', 1], new Set(['b', 2])]).toString(), 'a=1&b=2');
  assertEquals(new URLSearchParams({ a: 1, b: [2, 3] }).toString(), 'a=1&b=2%2C3');
  assertEquals(new URLSearchParams(new URLSearchParams('a=1&a=2')).toString(), 'a=1&a=2');
  assertEquals(new URLSearchParams(new Map([['k', 'v']])).toString(), 'k=v');
  assertEquals(new URLSearchParams(undefined).toString(), '');
  assertEquals(new URLSearchParams(null).toString(), 'null=');
  assertEquals(new URLSearchParams({ 'a\uD800': 1, 'a\uDC00': 2 }).toString(), 'a%EF%BF%BD=2');
  assertThrows(() => new URLSearchParams([['a']]), TypeError, /two items/);
  assertThrows(() => new URLSearchParams(['ab', 'c']), TypeError);
  assertThrows(() => new URLSearchParams({ [Symbol.iterator]: 1 }), TypeError, /not iterable/);
});
test('URLSearchParams: append, delete, get, getAll, has, set, sort', () => {
  const params = new URLSearchParams('a=1&b=2&a=3');
  params.append('c', 4);
  assertEquals(params.getAll('a'), ['1', '3']);
  assertEquals([params.get('a'), params.get('x')], ['1', null]);
  assertEquals([params.has('a'), params.has('a', '3'), params.has('a', '2'), params.has('x')], [true, true, false, false]);
  params.set('a', 'n');
  assertEquals(params.toString(), 'a=n&b=2&c=4');
  params.set('d', '5');
  params.delete('b', 'no');
  params.delete('c');
  assertEquals(params.toString(), 'a=n&b=2&d=5');
  const order = new URLSearchParams('z=1&\uD83C\uDF08=2&\uFB03=3&a=4&a=3');
  order.sort();
  assertEquals([...order.keys()], ['a', 'a', 'z', '\uD83C\uDF08', '\uFB03']);
  assertEquals(order.getAll('a'), ['4', '3']);
});
test('URLSearchParams iterates live', () => {
  const params = new URLSearchParams('a=1&b=2&c=3');
  const seen = [];
  for (const [key] of params) {
    seen.push(key);
    if (key === 'a') params.delete('b');
  }
  assertEquals(seen, ['a', 'c']);
  params.forEach(function (value, key, all) {
    assert(all === params && this.x === 1);
    seen.push(key + value);
  }, { x: 1 });
  assertEquals(seen, ['a', 'c', 'a1', 'c3']);
  const iterator = params.entries();
  assertEquals(Object.prototype.toString.call(iterator), '[object URLSearchParams Iterator]');
  assert(iterator[Symbol.iterator]() === iterator);
  assertEquals(params[Symbol.iterator], params.entries);
  assertThrows(() => iterator.next.call({}), TypeError);
  assertThrows(() => params.forEach(), TypeError);
});
