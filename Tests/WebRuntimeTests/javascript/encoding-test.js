const bytes = (...values) => new Uint8Array(values);
const utf8 = (input, options) => new TextDecoder('utf-8', options).decode(input);

test('TextEncoder writes UTF-8 and replaces lone surrogates', () => {
  const encoder = new TextEncoder();
  assertEquals(encoder.encoding, 'utf-8');
  assertEquals([...encoder.encode('a\u00FC\u20AC\uD83D\uDE00')], [97, 0xC3, 0xBC, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80]);
  assertEquals([...encoder.encode('\uD800x\uDC00')], [0xEF, 0xBF, 0xBD, 120, 0xEF, 0xBF, 0xBD]);
  assertEquals(encoder.encode().length, 0);
  assertEquals(encoder.encode(undefined).length, 0);
  assertEquals([...encoder.encode(null)], [110, 117, 108, 108]);
  assert(encoder.encode('x') instanceof Uint8Array);
  assertThrows(() => TextEncoder.prototype.encode.call({}, 'x'), TypeError);
});
test('encodeInto writes whole characters and says how far it came', () => {
  const encoder = new TextEncoder();
  const room = new Uint8Array(4);
  assertEquals(encoder.encodeInto('a\u20AC\u20AC', room), { read: 2, written: 4 });
  assertEquals([...room], [97, 0xE2, 0x82, 0xAC]);
  assertEquals(encoder.encodeInto('\uD83D\uDE00', new Uint8Array(3)), { read: 0, written: 0 });
  assertEquals(encoder.encodeInto('\uD83D\uDE00', room), { read: 2, written: 4 });
  assertEquals(encoder.encodeInto('', room), { read: 0, written: 0 });
  assertEquals(encoder.encodeInto('x', new Uint8Array(0)), { read: 0, written: 0 });
  assertEquals(encoder.encodeInto('abc', new Uint8Array(room.buffer, 1, 2)), { read: 2, written: 2 });
  assertEquals([...room], [0xF0, 97, 98, 0x80], 'a view is filled from its own start');
  assertThrows(() => encoder.encodeInto('x', new ArrayBuffer(1)), TypeError, /Uint8Array/);
  assertThrows(() => encoder.encodeInto('x', new Uint8ClampedArray(1)), TypeError);
});
test('TextDecoder knows its labels', () => {
  for (const [label, name] of [
    ['utf8', 'utf-8'], [' UTF-8\n', 'utf-8'], ['unicode-1-1-utf-8', 'utf-8'], ['utf-16', 'utf-16le'], ['UTF-16BE', 'utf-16be'],
    ['latin1', 'windows-1252'], ['ascii', 'windows-1252'], ['iso-8859-1', 'windows-1252'],
  ]) assertEquals(new TextDecoder(label).encoding, name, label);
  for (const label of ['utf-7', 'shift_jis', 'x', '', '__proto__', 'constructor']) {
    assertThrows(() => new TextDecoder(label), RangeError, /not supported/);
  }
  assertMatch(assertThrows(() => new TextDecoder('big5'), RangeError).message, /'big5'/);
  const decoder = new TextDecoder();
  assertEquals([decoder.encoding, decoder.fatal, decoder.ignoreBOM], ['utf-8', false, false]);
});
test('invalid UTF-8 is replaced as the standard says', () => {
  for (const [input, text] of [
    [[0xFF], '\uFFFD'], [[0x80, 0x80], '\uFFFD\uFFFD'], [[0xC0, 0xAF], '\uFFFD\uFFFD'], [[0xE2, 0x82], '\uFFFD'],
    [[0xE2, 0x82, 0x41], '\uFFFDA'], [[0xED, 0xA0, 0x80], '\uFFFD\uFFFD\uFFFD'], [[0xF0, 0x9F, 0x98], '\uFFFD'],
    [[0xF0, 0x9F, 0x41], '\uFFFDA'], [[0xF5, 0x80, 0x80, 0x80], '\uFFFD\uFFFD\uFFFD\uFFFD'], [[0xE0, 0x80, 0x80], '\uFFFD\uFFFD\uFFFD'],
    [[0xF4, 0x90, 0x80, 0x80], '\uFFFD\uFFFD\uFFFD\uFFFD'], [[0xC2], '\uFFFD'], [[0x41, 0xC2, 0x41], 'A\uFFFDA'], [[], ''],
  ]) {
    assertEquals(utf8(bytes(...input)), text, String(input));
    if (text.includes('\uFFFD')) assertThrows(() => utf8(bytes(...input), { fatal: true }), TypeError, /not valid utf-8/);
    // Byte by byte it is the same.
    const decoder = new TextDecoder();
    let streamed = '';
    for (const byte of input) streamed += decoder.decode(bytes(byte), { stream: true });
    assertEquals(streamed + decoder.decode(), text, `streamed ${input}`);
  }
  assertEquals(utf8(bytes(0xEF, 0xBF, 0xBD), { fatal: true }), '\uFFFD', 'U+FFFD itself is valid');
  assertEquals(utf8(bytes(0xC3, 0xBC, 0xF0, 0x9F, 0x98, 0x80), { fatal: true }), '\u00FC\uD83D\uDE00');
});
test('every split of a text streams to the same text', () => {
  const text = 'a\u00FC\u20AC\uD83D\uDE00z';
  const all = new TextEncoder().encode(text);
  for (let first = 0; first <= all.length; first++) {
    for (let second = first; second <= all.length; second++) {
      const decoder = new TextDecoder('utf-8', { fatal: true });
      const got = decoder.decode(all.subarray(0, first), { stream: true }) + decoder.decode(all.subarray(first, second), { stream: true }) +
        decoder.decode(all.subarray(second));
      assertEquals(got, text, `${first} ${second}`);
    }
  }
});
test('a byte order mark is dropped once, unless ignoreBOM', () => {
  const marked = bytes(0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF, 65);
  assertEquals(utf8(marked), '\uFEFFA');
  assertEquals(utf8(marked, { ignoreBOM: true }), '\uFEFF\uFEFFA');
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(bytes(0xEF), { stream: true }), '');
  assertEquals(decoder.decode(bytes(0xBB, 0xBF, 65), { stream: true }), 'A');
  assertEquals(decoder.decode(bytes(0xEF, 0xBB, 0xBF), { stream: true }), '\uFEFF');
  assertEquals(decoder.decode(), '');
  assertEquals(decoder.decode(marked), '\uFEFFA', 'a new stream begins');
});
test('a decoder can be used again after a fatal error', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  assertThrows(() => decoder.decode(bytes(0xE2, 0x82)), TypeError);
  assertEquals(decoder.decode(bytes(0x41)), 'A');
  decoder.decode(bytes(0xE2), { stream: true });
  assertThrows(() => decoder.decode(bytes(0x41), { stream: true }), TypeError);
  assertEquals(decoder.decode(bytes(0x42)), 'B');
});
test('decode takes every kind of buffer', () => {
  const buffer = bytes(0, 104, 105, 0).buffer;
  assertEquals(utf8(buffer), '\0hi\0');
  assertEquals(utf8(new DataView(buffer, 1, 2)), 'hi');
  assertEquals(utf8(new Uint16Array(buffer)), '\0hi\0');
  assertEquals(utf8(new Int8Array(buffer, 1, 2)), 'hi');
  for (const bad of [[1], 'x', 1, null, {}]) assertThrows(() => utf8(bad), TypeError);
});
test('UTF-16 in both orders, whole, in pieces and invalid', () => {
  const text = 'a\u20AC\uD83D\uDE00';
  for (const label of ['utf-16le', 'utf-16be']) {
    const all = [];
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      all.push(...(label === 'utf-16be' ? [unit >> 8, unit & 255] : [unit & 255, unit >> 8]));
    }
    assertEquals(new TextDecoder(label, { fatal: true }).decode(bytes(...all)), text);
    const decoder = new TextDecoder(label, { fatal: true });
    assertEquals(all.map((byte) => decoder.decode(bytes(byte), { stream: true })).join('') + decoder.decode(), text);
  }
  const le = new TextDecoder('utf-16le');
  assertEquals(le.decode(bytes(0x00, 0xD8, 0x41, 0x00)), '\uFFFDA');
  assertEquals(le.decode(bytes(0x00, 0xDC)), '\uFFFD');
  assertEquals(le.decode(bytes(0x41)), '\uFFFD');
  assertEquals(le.decode(bytes(0x00, 0xD8)), '\uFFFD');
  assertEquals(le.decode(bytes(0xFF, 0xFE, 0x41, 0x00)), 'A');
  assertThrows(() => new TextDecoder('utf-16le', { fatal: true }).decode(bytes(0x00, 0xDC)), TypeError);
});
test('windows-1252 maps every byte', () => {
  const all = new Uint8Array(256).map((_, index) => index);
  const text = new TextDecoder('latin1').decode(all);
  assertEquals(text.length, 256);
  assertEquals([text[0x41], text[0x80], text[0x99], text[0x81], text[0xFF]], ['A', '\u20AC', '\u2122', '\x81', '\u00FF']);
  assertEquals(new TextDecoder('ascii').decode(new Uint8Array(100_000).fill(0xE9)), '\u00E9'.repeat(100_000));
});
test('large texts go through unharmed', () => {
  const text = 'x\u00FC\uD83D\uDE00'.repeat(100_000);
  assert(utf8(new TextEncoder().encode(text)) === text);
});
