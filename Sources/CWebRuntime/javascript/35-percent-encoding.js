(function (internal) {
  'use strict';
  // Percent-encoding and its sets: https://url.spec.whatwg.org/#percent-encoded-bytes
  const {
    NumberPrototypeToString, StringFromCharCode, StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice,
    StringPrototypeToUpperCase, TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteOffset, Uint8Array,
  } = internal.primordials;
  const { utf8Decode, utf8Encode } = internal.ops;

  // Which ASCII characters a set encodes, one bit a set; all sets encode what is above "~".
  const C0 = 1, FRAGMENT = 2, QUERY = 4, SPECIAL_QUERY = 8, PATH = 16, USERINFO = 32, FORM = 64;
  const encodeSets = new Uint8Array(128);
  const addToSets = (characters, bits) => {
    for (let index = 0; index < characters.length; index++) encodeSets[StringPrototypeCharCodeAt(characters, index)] |= bits;
  };
  for (let code = 0; code < 0x20; code++) encodeSets[code] = 127;
  encodeSets[0x7F] = 127;
  addToSets(' "<>', FRAGMENT | QUERY | SPECIAL_QUERY | PATH | USERINFO);
  addToSets('`', FRAGMENT | PATH | USERINFO);
  addToSets('#', QUERY | SPECIAL_QUERY | PATH | USERINFO);
  addToSets("'", SPECIAL_QUERY);
  addToSets('?^{}', PATH | USERINFO);
  addToSets('/:;=@[\\]|', USERINFO);
  // application/x-www-form-urlencoded keeps letters, digits and *-._ (and writes a space as +).
  addToSets(' !"#$%&\'()+,/:;<=>?@[\\]^`{|}~', FORM);

  const hexDigits = [];
  for (let byte = 0; byte < 256; byte++) {
    hexDigits[byte] = '%' + (byte < 16 ? '0' : '') + StringPrototypeToUpperCase(NumberPrototypeToString(byte, 16));
  }

  const percentEncode = (string, set) => {
    let index = 0;
    const count = string.length;
    for (; index < count; index++) {
      const code = StringPrototypeCharCodeAt(string, index);
      if (code > 0x7E || (encodeSets[code] & set) !== 0) break;
    }
    if (index === count) return string;
    let text = StringPrototypeSlice(string, 0, index);
    const bytes = utf8Encode(StringPrototypeSlice(string, index));
    for (let place = 0; place < bytes.length; place++) {
      const byte = bytes[place];
      text += byte > 0x7E || (encodeSets[byte] & set) !== 0 ? (set === FORM && byte === 0x20 ? '+' : hexDigits[byte]) : StringFromCharCode(byte);
    }
    return text;
  };

  const hexValue = (code) =>
    code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x41 && code <= 0x46 ? code - 0x37 : code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;

  // Percent-decodes and reads the bytes as UTF-8 (a byte order mark stays).
  const percentDecode = (string) => {
    if (StringPrototypeIndexOf(string, '%') < 0) return string;
    const bytes = utf8Encode(string);
    const count = bytes.length;
    let written = 0;
    for (let index = 0; index < count; index++) {
      let byte = bytes[index];
      if (byte === 0x25 && index + 2 < count) {
        const high = hexValue(bytes[index + 1]), low = hexValue(bytes[index + 2]);
        if (high >= 0 && low >= 0) {
          byte = high * 16 + low;
          index += 2;
        }
      }
      bytes[written++] = byte;
    }
    return utf8Decode(new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes), written), false);
  };

  internal.url = { __proto__: null, FORM, FRAGMENT, PATH, QUERY, SPECIAL_QUERY, USERINFO, C0, encodeSets, hexValue, percentDecode, percentEncode };
})
