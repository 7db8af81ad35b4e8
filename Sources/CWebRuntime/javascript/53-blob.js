(function (internal) {
  'use strict';
  // Blob and File: https://w3c.github.io/FileAPI/. A blob's bytes never change, so that slices and bodies share them.
  const {
    MathMax, MathMin, RegExpPrototypeExec, RegExpPrototypeSymbolReplace, StringPrototypeToLowerCase, TypeError,
    TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset, TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { configure, converters, dictionary, enumeration, isObject, requireArguments, sequence } = internal.webidl;
  const { isArrayBuffer, isArrayBufferView } = internal;
  const { copyOf } = internal.body;
  const secret = {};

  const part = (bytes, start, end) =>
    new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes) + start, end - start);

  const notType = /[^\x20-\x7E]/;
  const typeOf = (text) => (RegExpPrototypeExec(notType, text) === null ? StringPrototypeToLowerCase(text) : '');
  const lineEnds = /\r\n?/g;

  const join = (parts, endings) => {
    const pieces = [];
    let byteCount = 0;
    for (let index = 0; index < parts.length; index++) {
      const item = parts[index];
      const bytes = typeof item === 'string'
        ? internal.utf8Encode(endings === 'native' ? RegExpPrototypeSymbolReplace(lineEnds, item, '\n') : item)
        : stateOf(item)?.bytes ?? internal.bytesOf(item);
      pieces[index] = bytes;
      byteCount += TypedArrayPrototypeGetByteLength(bytes);
    }
    const whole = new Uint8Array(byteCount);
    let offset = 0;
    for (let index = 0; index < pieces.length; index++) {
      TypedArrayPrototypeSet(whole, pieces[index], offset);
      offset += TypedArrayPrototypeGetByteLength(pieces[index]);
    }
    return whole;
  };

  // { bytes, type } of the arguments of a constructor.
  const construct = (parts, options, prefix) => {
    const list = parts === undefined ? [] : sequence(parts, (item) => {
      if (isArrayBufferView(item) || isArrayBuffer(item) || stateOf(item) !== undefined) return item;
      return converters.USVString(item, prefix, 'a part');
    }, prefix, 'the parts');
    const { endings, type } = dictionary(options, prefix, 'the options');
    const chosen = endings === undefined ? 'transparent' : enumeration(endings, ['transparent', 'native'], prefix, 'endings');
    const kind = type === undefined ? '' : typeOf(converters.DOMString(type, prefix, 'the type'));
    return { bytes: join(list, chosen), type: kind };
  };

  let stateOf;
  class Blob {
    #state;

    constructor(blobParts = undefined, options = undefined) {
      this.#state = options === secret ? blobParts : construct(blobParts, options, 'Blob');
    }

    get size() { return TypedArrayPrototypeGetByteLength(this.#state.bytes); }
    get type() { return this.#state.type; }

    slice(start = undefined, end = undefined, contentType = undefined) {
      const { bytes } = this.#state;
      const size = TypedArrayPrototypeGetByteLength(bytes);
      const position = (value, standard) => {
        if (value === undefined) return standard;
        const number = converters['long long'](value, 'Blob.slice', 'the position', { __proto__: null, clamp: true });
        return number < 0 ? MathMax(size + number, 0) : MathMin(number, size);
      };
      const from = position(start, 0);
      const to = MathMax(position(end, size), from);
      const type = contentType === undefined ? '' : typeOf(converters.DOMString(contentType, 'Blob.slice', 'the type'));
      return new Blob({ bytes: part(bytes, from, to), type }, secret);
    }

    async arrayBuffer() { return TypedArrayPrototypeGetBuffer(copyOf(this.#state.bytes)); }
    async bytes() { return copyOf(this.#state.bytes); }
    async text() { return internal.utf8Decode(this.#state.bytes); }
    stream() { return internal.source('byte-streams').streamOfBytes(this.#state.bytes); }

    static {
      stateOf = (value) => (isObject(value) && #state in value ? value.#state : undefined);
    }
  }
  configure(Blob, 'Blob');

  let fileStateOf;
  class File extends Blob {
    #name;
    #lastModified;

    constructor(fileBits, fileName, options = undefined) {
      if (options === secret) {
        super(fileBits, secret);
        this.#name = fileName;
        this.#lastModified = fileBits.lastModified ?? internal.ops.time();
        return;
      }
      requireArguments(arguments.length, 2, 'File');
      if (!isObject(fileBits)) throw new TypeError('File: the parts are not iterable');
      super(construct(fileBits, options, 'File'), secret);
      this.#name = converters.USVString(fileName, 'File', 'the name');
      const { lastModified } = dictionary(options, 'File', 'the options');
      this.#lastModified = lastModified === undefined ? internal.ops.time() : converters['long long'](lastModified, 'File', 'lastModified');
    }

    get name() { return this.#name; }
    get lastModified() { return this.#lastModified; }

    static {
      fileStateOf = (value) => (isObject(value) && #name in value ? { name: value.#name, lastModified: value.#lastModified } : undefined);
    }
  }
  configure(File, 'File');

  internal.blobStateOf = stateOf;
  internal.registerInspector((value) => {
    const state = stateOf(value);
    if (state === undefined) return undefined;
    const file = fileStateOf(value);
    const size = TypedArrayPrototypeGetByteLength(state.bytes);
    if (file === undefined) return ['Blob', { __proto__: null, size, type: state.type }];
    return ['File', { __proto__: null, name: file.name, size, type: state.type }];
  });

  return {
    __proto__: null,
    Blob, File, fileStateOf,
    // Of bytes that nobody changes any more; `type` is in lower case.
    makeBlob: (bytes, type) => new Blob({ bytes, type }, secret),
    // `lastModified`: undefined for now.
    makeFile: (bytes, type, name, lastModified) => new File({ bytes, type, lastModified }, name, secret),
  };
})
