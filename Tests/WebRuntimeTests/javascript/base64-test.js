test('btoa and atob turn bytes into base64 and back', () => {
  assertEquals(btoa(''), '');
  assertEquals(btoa('\0\xFF\x80'), 'AP+A');
  assertEquals(atob('AP+A'), '\0\xFF\x80');
  assertEquals(btoa(null), 'bnVsbA==');
  assertEquals(atob(' a G\tk\n='), 'hi');
});
test('atob refuses what is not base64', () => {
  for (const text of ['a', 'a===', '-_8=', '\u0100', 'ab=c']) assertThrows(() => atob(text), 'InvalidCharacterError', /not base64/);
});
test('btoa refuses characters above U+00FF', () => {
  assertThrows(() => btoa('\u0100'), 'InvalidCharacterError', /above U\+00FF/);
});
test('atob and btoa ask for their argument', () => {
  assertThrows(() => atob(), TypeError, /1 argument required/);
  assertThrows(() => btoa(), TypeError, /1 argument required/);
  assertEquals(atob.length, 1);
});
