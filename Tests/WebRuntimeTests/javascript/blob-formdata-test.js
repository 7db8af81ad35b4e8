const bytes = (string) => new TextEncoder().encode(string);
const parse = (body, type = 'multipart/form-data; boundary=X') => new Response(body, { headers: { 'content-type': type } }).formData();

// ------------------------------------------------------------------------------------------------------------- Blob, File

test('a blob joins its parts', async () => {
  const blob = new Blob(['a\uD800', bytes('b'), bytes('cd').buffer, new Blob(['e']), new DataView(bytes('xfx').buffer, 1, 1), 5], { type: 'Text/HTML' });
  assertEquals([await blob.text(), blob.size, blob.type], ['a\uFFFDbcdef5', 10, 'text/html']);
  assertEquals([new Blob().size, new Blob([], { type: 'a\u00e9' }).type], [0, '']);
  assertEquals(await new Blob(['a\r\nb\rc'], { endings: 'native' }).text(), 'a\nb\nc');
  for (const parts of ['text', 5, null, {}]) assertThrows(() => new Blob(parts), TypeError);
  assertThrows(() => new Blob([], { endings: 'x' }), TypeError);
});
test('a slice shares nothing that can change', async () => {
  const blob = new Blob(['abcdef'], { type: 'a/b' });
  const cases = [[[1, 3], 'bc'], [[-2], 'ef'], [[0, -1], 'abcde'], [[4, 2], ''], [[0, 100], 'abcdef'], [[NaN, 2], 'ab'], [[-100, 1], 'a']];
  for (const [range, expected] of cases) assertEquals(await blob.slice(...range).text(), expected, String(range));
  assertEquals([blob.slice(0, 1, 'C/D').type, blob.slice().type], ['c/d', '']);
  new Uint8Array(await blob.arrayBuffer()).fill(0);
  (await blob.bytes()).fill(0);
  assertEquals(await blob.text(), 'abcdef');
  assertEquals(await new Response(blob.stream()).text(), 'abcdef');
});
test('a large blob streams in pieces', async () => {
  let count = 0;
  let total = 0;
  for await (const piece of new Blob([new Uint8Array(200000)]).stream()) {
    count++;
    total += piece.byteLength;
  }
  assertEquals([total, count > 1], [200000, true]);
});
test('a file has a name and a date', async () => {
  const file = new File(['abc'], 'n\uD800.txt', { type: 'a/b', lastModified: 5 });
  assertEquals([file.name, file.type, file.lastModified, file.size, await file.text()], ['n\uFFFD.txt', 'a/b', 5, 3, 'abc']);
  assert(file instanceof Blob);
  assertThrows(() => new File(['x']), TypeError);
  assertThrows(() => new File('x', 'n'), TypeError);
  assertEquals([Object.prototype.toString.call(file), File.length, Blob.length], ['[object File]', 2, 0]);
  assertThrows(() => Object.getOwnPropertyDescriptor(Blob.prototype, 'size').get.call({}), TypeError);
});

// --------------------------------------------------------------------------------------------------------------- FormData

test('entries keep their order and become strings or files', () => {
  const data = new FormData();
  data.append('a', 1);
  data.append('b', new Blob(['x'], { type: 'c/d' }));
  data.append('a', '2');
  data.append('f', new File(['y'], 'name', { lastModified: 7 }), 'renamed');
  assertEquals([...data.keys()], ['a', 'b', 'a', 'f']);
  assertEquals([data.get('a'), data.getAll('a'), data.get('c'), data.has('b')], ['1', ['1', '2'], null, true]);
  assertEquals([data.get('b').name, data.get('b').type, data.get('f').name, data.get('f').lastModified], ['blob', 'c/d', 'renamed', 7]);
  data.set('a', '3');
  assertEquals([...data.keys()], ['a', 'b', 'f']);
  data.delete('b');
  assert(!data.has('b'));
  assertThrows(() => data.append('a', 'x', 'file'), TypeError);
  assertThrows(() => new FormData({}), TypeError);
});
test('what is sent is what is read', async () => {
  const data = new FormData();
  data.append('plain', 'line one\nline two');
  data.append('na"me\r\n', 'x');
  data.append('file', new File([new Uint8Array([0, 13, 10, 45, 45, 255])], 'a"b.bin', { type: 'a/b' }));
  data.append('empty', '');
  data.append('none', new File([], ''));
  const response = new Response(data);
  const read = await response.formData();
  assertEquals(read.get('plain'), 'line one\r\nline two');
  assertEquals(read.get('na"me\r\n'), 'x');
  const file = read.get('file');
  assertEquals([file.name, file.type, [...await file.bytes()]], ['a"b.bin', 'a/b', [0, 13, 10, 45, 45, 255]]);
  assertEquals([read.get('empty'), read.get('none').size, read.get('none').type], ['', 0, 'application/octet-stream']);
  assertEquals([...read.keys()].length, 5);
  assertEquals([...await new Response(new FormData()).formData()], []);
});
test('what others send', async () => {
  const data = await parse('--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--X\r\ncontent-type: text/css; charset="utf-8"\r\n' +
    'CONTENT-DISPOSITION: form-data; filename="f.css"; name="b"\r\nX-Other: y\r\n\r\nbody{}\r\n--not\r\n--X--\r\n');
  assertEquals(data.get('a'), '1');
  assertEquals([data.get('b').name, data.get('b').type, await data.get('b').text()], ['f.css', 'text/css;charset=utf-8', 'body{}\r\n--not']);
  assertEquals([...await parse('--X--')], []);
});
test('what is not multipart is refused', async () => {
  const bodies = [
    '', 'x', '--Y--', '--X', '--X\r\n', '--X\r\n\r\nno name\r\n--X--', '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end',
    '--X\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--X--', '--X\r\nno colon\r\n\r\nx\r\n--X--',
    '--Xy\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--X--',
  ];
  for (const body of bodies) await assertRejects(parse(body), TypeError, /multipart/);
  await assertRejects(parse('--X--', 'multipart/form-data'), TypeError, /boundary/);
  await assertRejects(parse('a=b', 'text/plain'), TypeError, /text\/plain/);
  await assertRejects(new Response(bytes('a=b')).formData(), TypeError, /missing/);
});
test('a URL-encoded form', async () => {
  const data = await parse('a=1&b=%20+x&a=%C3%A9&c', 'application/x-www-form-urlencoded; charset=utf-8');
  assertEquals([...data], [['a', '1'], ['b', '  x'], ['a', '\u00e9'], ['c', '']]);
  assertEquals((await new Response(new URLSearchParams({ a: 'b c' })).formData()).get('a'), 'b c');
});
test('a hostile boundary search takes linear time', async () => {
  const near = '\r\n--XXXXXXX'.repeat(20000);
  const boundary = 'XXXXXXXX';
  const body = `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${near}\r\n--${boundary}--`;
  assertEquals((await parse(body, `multipart/form-data; boundary=${boundary}`)).get('a').length, near.length);
});
test("a blob's type is its response's", async () => {
  const cases = [['text/HTML; Charset="utf-8"', 'text/html;charset=utf-8'], ['nonsense', ''], ['a/b;c="d e";c=f;=g;h', 'a/b;c="d e"']];
  for (const [header, type] of cases) assertEquals((await new Response('x', { headers: { 'content-type': header } }).blob()).type, type);
  assertEquals((await new Response(bytes('x')).blob()).type, '');
});
test('a byte order mark in a form is part of its names and values', async () => {
  const mark = '\uFEFF';
  const url = await parse(`${mark}a=${mark}1`, 'application/x-www-form-urlencoded');
  assertEquals([...url], [[`${mark}a`, `${mark}1`]]);
  const multipart = await parse(`--X\r\nContent-Disposition: form-data; name="${mark}a"\r\n\r\n${mark}1\r\n--X--`);
  assertEquals([...multipart], [[`${mark}a`, `${mark}1`]]);
});
