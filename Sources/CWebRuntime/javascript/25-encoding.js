(function (internal) {
  'use strict';
  // TextEncoder and TextDecoder: https://encoding.spec.whatwg.org. Of the encodings: UTF-8, UTF-16 and windows-1252 (which is what the
  // labels latin1 and ascii mean).
  const {
    MathMin, ObjectCreate, RangeError, ReflectApply, StringFromCharCode, StringPrototypeCharCodeAt, StringPrototypeSlice, StringPrototypeSplit,
    StringPrototypeToLowerCase, TypeError, TypedArrayPrototypeGetSymbolToStringTag, TypedArrayPrototypeSet,
    TypedArrayPrototypeSubarray, Uint8Array,
  } = internal.primordials;
  const { configure, converters, dictionary, isASCIIWhitespace, requireArguments, trim } = internal.webidl;
  const { utf8Decode, utf8Encode, utf8EncodeInto } = internal.ops;

  class TextEncoder {
    #brand;
    get encoding() {
      this.#brand;
      return 'utf-8';
    }
    encode(input = '') {
      this.#brand;
      return utf8Encode(converters.DOMString(input, 'TextEncoder.encode', 'the input'));
    }
    encodeInto(source, destination) {
      this.#brand;
      requireArguments(arguments.length, 2, 'TextEncoder.encodeInto');
      const string = converters.DOMString(source, 'TextEncoder.encodeInto', 'the source');
      if (TypedArrayPrototypeGetSymbolToStringTag(destination) !== 'Uint8Array') {
        throw new TypeError('TextEncoder.encodeInto: the destination is not a Uint8Array');
      }
      const counts = utf8EncodeInto(string, destination);
      return { read: counts % 4294967296, written: (counts - (counts % 4294967296)) / 4294967296 };
    }
  }
  configure(TextEncoder, 'TextEncoder');

  const labels = ObjectCreate(null);
  const addLabels = (name, list) => {
    const names = StringPrototypeSplit(list, ' ');
    for (let index = 0; index < names.length; index++) labels[names[index]] = name;
  };
  addLabels('utf-8', 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8');
  addLabels('utf-16le', 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le');
  addLabels('utf-16be', 'unicodefffe utf-16be');
  addLabels(
    'windows-1252',
    'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 ' +
    'us-ascii windows-1252 x-cp1252');

  // windows-1252 from 0x80 to 0x9F.
  const windows1252 =
    '\u20AC\x81\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\x8D\u017D\x8F' +
    '\x90\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\x9D\u017E\u0178';

  // Units become a string in pieces: a call has a limited number of arguments.
  const unitsPerCall = 4096;
  const fromUnits = (units, count) => {
    let text = '';
    for (let start = 0; start < count; start += unitsPerCall) {
      text += ReflectApply(StringFromCharCode, undefined, TypedArrayPrototypeSubarray(units, start, MathMin(count, start + unitsPerCall)));
    }
    return text;
  };

  const concat = (a, b) => {
    const all = new Uint8Array(a.length + b.length);
    TypedArrayPrototypeSet(all, a);
    TypedArrayPrototypeSet(all, b, a.length);
    return all;
  };

  // How many bytes at the end begin a UTF-8 sequence that may still become whole.
  const unfinished = (bytes) => {
    const count = bytes.length;
    for (let back = 1; back <= 3 && back <= count; back++) {
      const byte = bytes[count - back];
      if (byte >= 0x80 && byte < 0xC0) continue;
      const needed = byte >= 0xC2 && byte < 0xE0 ? 2 : byte >= 0xE0 && byte < 0xF0 ? 3 : byte >= 0xF0 && byte < 0xF5 ? 4 : 0;
      if (needed <= back) return 0;
      if (back > 1) {
        const second = bytes[count - back + 1];
        if ((byte === 0xE0 && second < 0xA0) || (byte === 0xED && second > 0x9F) || (byte === 0xF0 && second < 0x90) ||
            (byte === 0xF4 && second > 0x8F)) return 0;
      }
      return back;
    }
    return 0;
  };

  class TextDecoder {
    #encoding; #fatal; #ignoreBOM;
    // Between calls of a stream: bytes of an unfinished character, and whether the start has been seen.
    #rest = undefined;
    #bomSeen = false;

    constructor(label = 'utf-8', options = undefined) {
      const given = converters.DOMString(label, 'TextDecoder', 'the label');
      const name = labels[StringPrototypeToLowerCase(trim(given, isASCIIWhitespace))];
      if (name === undefined) throw new RangeError(`TextDecoder: the encoding '${StringPrototypeSlice(given, 0, 64)}' is not supported`);
      const { fatal, ignoreBOM } = dictionary(options, 'TextDecoder', 'the options');
      this.#encoding = name;
      this.#fatal = !!fatal;
      this.#ignoreBOM = !!ignoreBOM;
    }

    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }

    decode(input = undefined, options = undefined) {
      const encoding = this.#encoding;
      let bytes = input === undefined ? new Uint8Array(0) : internal.bytesOf(converters.BufferSource(input, 'TextDecoder.decode', 'the input'));
      const stream = !!dictionary(options, 'TextDecoder.decode', 'the options').stream;
      if (this.#rest !== undefined) {
        bytes = concat(this.#rest, bytes);
        this.#rest = undefined;
      }
      let text = null;
      if (encoding === 'utf-8') {
        const kept = stream ? unfinished(bytes) : 0;
        if (kept > 0) {
          this.#rest = new Uint8Array(TypedArrayPrototypeSubarray(bytes, bytes.length - kept));
          bytes = TypedArrayPrototypeSubarray(bytes, 0, bytes.length - kept);
        }
        text = utf8Decode(bytes, this.#fatal);
      } else if (encoding === 'windows-1252') {
        const units = new internal.primordials.Uint16Array(bytes.length);
        for (let index = 0; index < bytes.length; index++) {
          const byte = bytes[index];
          units[index] = byte >= 0x80 && byte < 0xA0 ? StringPrototypeCharCodeAt(windows1252, byte - 0x80) : byte;
        }
        text = fromUnits(units, units.length);
      } else {
        text = this.#decodeUTF16(bytes, stream);
      }
      if (text === null) {
        this.#bomSeen = false;
        this.#rest = undefined;
        throw new TypeError(`TextDecoder.decode: the input is not valid ${encoding}`);
      }
      if (!this.#bomSeen && text.length > 0) {
        this.#bomSeen = true;
        if (!this.#ignoreBOM && encoding !== 'windows-1252' && StringPrototypeCharCodeAt(text, 0) === 0xFEFF) text = StringPrototypeSlice(text, 1);
      }
      if (!stream) this.#bomSeen = false;
      return text;
    }

    // null: fatal and invalid.
    #decodeUTF16(bytes, stream) {
      const high = this.#encoding === 'utf-16be' ? 0 : 1;
      const units = new internal.primordials.Uint16Array((bytes.length >> 1) + 1);
      let count = 0;
      let index = 0;
      for (; index + 1 < bytes.length; index += 2) {
        const unit = (bytes[index + high] << 8) | bytes[index + 1 - high];
        if (unit < 0xD800 || unit > 0xDFFF) {
          units[count++] = unit;
          continue;
        }
        const isLead = unit < 0xDC00;
        if (isLead && index + 3 >= bytes.length && stream) break;
        const next = isLead && index + 3 < bytes.length ? (bytes[index + 2 + high] << 8) | bytes[index + 3 - high] : 0;
        if (next >= 0xDC00 && next <= 0xDFFF) {
          units[count++] = unit;
          units[count++] = next;
          index += 2;
        } else {
          if (this.#fatal) return null;
          units[count++] = 0xFFFD;
          // A lead whose trail is cut off is one error, with the odd byte.
          if (isLead && index + 3 === bytes.length) {
            index += 3;
            break;
          }
        }
      }
      if (index < bytes.length) {
        if (stream) {
          this.#rest = new Uint8Array(TypedArrayPrototypeSubarray(bytes, index));
        } else {
          if (this.#fatal) return null;
          units[count++] = 0xFFFD;
        }
      }
      return fromUnits(units, count);
    }
  }
  configure(TextDecoder, 'TextDecoder');

  const {
    ArrayBufferPrototypeGetByteLength, DataViewPrototypeGetBuffer, DataViewPrototypeGetByteLength, DataViewPrototypeGetByteOffset,
    TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset,
  } = internal.primordials;
  // A Uint8Array over the bytes of a BufferSource, without a copy.
  internal.bytesOf = (source) => {
    const tag = TypedArrayPrototypeGetSymbolToStringTag(source);
    if (tag === 'Uint8Array') return source;
    if (tag !== undefined) {
      return new Uint8Array(TypedArrayPrototypeGetBuffer(source), TypedArrayPrototypeGetByteOffset(source), TypedArrayPrototypeGetByteLength(source));
    }
    if (internal.isArrayBuffer(source)) return new Uint8Array(source, 0, ArrayBufferPrototypeGetByteLength(source));
    return new Uint8Array(DataViewPrototypeGetBuffer(source), DataViewPrototypeGetByteOffset(source), DataViewPrototypeGetByteLength(source));
  };

  internal.utf8Encode = utf8Encode;
  // "UTF-8 decode without BOM": invalid sequences become U+FFFD, a byte order mark stays.
  internal.utf8DecodeAll = (bytes) => utf8Decode(bytes, false);
  // "UTF-8 decode": invalid sequences become U+FFFD, a byte order mark is dropped.
  internal.utf8Decode = (bytes) => {
    const text = utf8Decode(bytes, false);
    return StringPrototypeCharCodeAt(text, 0) === 0xFEFF ? StringPrototypeSlice(text, 1) : text;
  };
  internal.TextEncoder = TextEncoder;
  internal.TextDecoder = TextDecoder;
  internal.expose('TextEncoder', TextEncoder);
  internal.expose('TextDecoder', TextDecoder);
})
