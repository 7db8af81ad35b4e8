const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const abc = new TextEncoder().encode('abc');

test('crypto comes into being on first use and is then an ordinary global', () => {
  assert('get' in Object.getOwnPropertyDescriptor(globalThis, 'crypto'));
  assertEquals(Object.prototype.toString.call(crypto), '[object Crypto]');
  assert(Object.getOwnPropertyDescriptor(globalThis, 'crypto').value === crypto);
  assert(crypto instanceof Crypto && crypto.subtle instanceof SubtleCrypto && crypto.subtle === crypto.subtle);
  assertThrows(() => new Crypto(), TypeError, /Illegal constructor/);
  assertThrows(() => new SubtleCrypto(), TypeError);
  assertThrows(() => new CryptoKey(), TypeError);
});
test('getRandomValues fills integer arrays', () => {
  for (const kind of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array]) {
    const array = new kind(64);
    assert(crypto.getRandomValues(array) === array);
    assert(array.some((value) => value != 0), kind.name);
  }
  const whole = new Uint8Array(300);
  crypto.getRandomValues(whole.subarray(0, 290));
  assert(whole.subarray(290).every((byte) => byte === 0), 'nothing is written past a view');
  assert(whole.subarray(260, 290).some((byte) => byte !== 0), 'the view is filled to its end');
});
test('getRandomValues refuses other views and too much', () => {
  for (const bad of [new Float32Array(1), new Float64Array(1), new DataView(new ArrayBuffer(1))]) {
    assertThrows(() => crypto.getRandomValues(bad), 'TypeMismatchError');
  }
  assertThrows(() => crypto.getRandomValues(new Uint8Array(65537)), 'QuotaExceededError', /65536/);
  crypto.getRandomValues(new Uint8Array(65536));
  for (const bad of [new ArrayBuffer(1), {}, undefined, [1]]) assertThrows(() => crypto.getRandomValues(bad), TypeError);
});
test('randomUUID is of version 4 and never the same', () => {
  const seen = new Set();
  for (let index = 0; index < 100; index++) {
    const id = crypto.randomUUID();
    assertMatch(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    seen.add(id);
  }
  assertEquals(seen.size, 100);
});
test('digests are those of their standards', async () => {
  for (const [name, text] of [
    ['SHA-1', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['sha-256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [{ name: 'SHA-384' }, 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7'],
    ['SHA-512', 'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'],
  ]) assertEquals(hex(await crypto.subtle.digest(name, abc)), text);
  assertEquals(hex(await crypto.subtle.digest('SHA-256', new ArrayBuffer(0))), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assertEquals(hex(await crypto.subtle.digest('SHA-1', new DataView(abc.buffer, 1, 2))), hex(await crypto.subtle.digest('SHA-1', abc.slice(1))));
  assert((await crypto.subtle.digest('SHA-1', abc)) instanceof ArrayBuffer);
});
test('digest rejects what it cannot do', async () => {
  await assertRejects(crypto.subtle.digest('SHA-3', abc), 'NotSupportedError', /'SHA-3'/);
  await assertRejects(crypto.subtle.digest('__proto__', abc), 'NotSupportedError');
  await assertRejects(crypto.subtle.digest({}, abc), TypeError);
  await assertRejects(crypto.subtle.digest('SHA-1', 'text'), TypeError);
  await assertRejects(crypto.subtle.digest('SHA-1'), TypeError);
  await assertRejects(SubtleCrypto.prototype.digest.call({}, 'SHA-1', abc), TypeError);
});
test('what subtle lacks rejects and says its name', async () => {
  for (const name of ['encrypt', 'decrypt', 'sign', 'verify', 'generateKey', 'importKey', 'exportKey', 'deriveKey', 'deriveBits', 'wrapKey', 'unwrapKey']) {
    await assertRejects(crypto.subtle[name](), 'NotSupportedError', new RegExp(`SubtleCrypto.${name} is not supported`));
  }
});
test('crypto\'s interfaces cannot be constructed and expect no argument', () => {
  for (const name of ['Crypto', 'CryptoKey', 'SubtleCrypto']) {
    assertThrows(() => new globalThis[name](), TypeError, /Illegal constructor/);
    assertEquals(globalThis[name].length, 0, name);
  }
});
