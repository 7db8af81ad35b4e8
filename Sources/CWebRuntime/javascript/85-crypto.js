(function (internal) {
  'use strict';
  // crypto: random values and digests. https://w3c.github.io/webcrypto/
  const {
    ObjectDefineProperty, StringPrototypeSlice, StringPrototypeToUpperCase, TypeError,
    TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetSymbolToStringTag,
    Uint8Array,
  } = internal.primordials;
  const { configure, converters, illegalConstructor, isObject, requireArguments } = internal.webidl;
  const { DOMException } = internal;
  const { digest, random } = internal.ops;

  const secret = {};
  const bytesLimit = 65536;
  const integerArrays = {
    __proto__: null, Int8Array: true, Uint8Array: true, Uint8ClampedArray: true, Int16Array: true, Uint16Array: true, Int32Array: true,
    Uint32Array: true, BigInt64Array: true, BigUint64Array: true,
  };
  const digests = { __proto__: null, 'SHA-1': 0, 'SHA-256': 1, 'SHA-384': 2, 'SHA-512': 3, MD5: 4 };

  const hexDigits = '0123456789abcdef';

  class SubtleCrypto {
    #brand;
    constructor(key = undefined) { if (key !== secret) throw illegalConstructor(); }

    async digest(algorithm, data) {
      this.#brand;
      requireArguments(arguments.length, 2, 'SubtleCrypto.digest');
      let given = algorithm;
      if (isObject(algorithm)) {
        given = algorithm.name;
        if (given === undefined) throw new TypeError('SubtleCrypto.digest: the algorithm has no name');
      }
      const name = converters.DOMString(given, 'SubtleCrypto.digest', 'the algorithm');
      const bytes = internal.bytesOf(converters.BufferSource(data, 'SubtleCrypto.digest', 'the data'));
      const number = digests[StringPrototypeToUpperCase(name)];
      if (number === undefined) {
        throw new DOMException(`SubtleCrypto.digest: the algorithm '${StringPrototypeSlice(name, 0, 64)}' is not supported`, 'NotSupportedError');
      }
      return TypedArrayPrototypeGetBuffer(digest(number, bytes));
    }
  }
  const missing = [
    ['decrypt', 3], ['deriveBits', 3], ['deriveKey', 5], ['encrypt', 3], ['exportKey', 2], ['generateKey', 3], ['importKey', 5], ['sign', 3],
    ['unwrapKey', 7], ['verify', 4], ['wrapKey', 4],
  ];
  for (let index = 0; index < missing.length; index++) {
    const name = missing[index][0];
    const method = {
      async [name]() { throw new DOMException(`SubtleCrypto.${name} is not supported yet`, 'NotSupportedError'); },
    }[name];
    ObjectDefineProperty(method, 'length', { __proto__: null, value: missing[index][1], configurable: true });
    ObjectDefineProperty(SubtleCrypto.prototype, name, { __proto__: null, value: method, writable: true, enumerable: true, configurable: true });
  }
  configure(SubtleCrypto, 'SubtleCrypto');

  class Crypto {
    #subtle = new SubtleCrypto(secret);
    constructor(key = undefined) { if (key !== secret) throw illegalConstructor(); }

    get subtle() { return this.#subtle; }

    getRandomValues(array) {
      this.#subtle;
      requireArguments(arguments.length, 1, 'Crypto.getRandomValues');
      const kind = TypedArrayPrototypeGetSymbolToStringTag(array);
      if (kind === undefined && !internal.isArrayBufferView(array)) throw new TypeError('Crypto.getRandomValues: the argument is not a view');
      if (integerArrays[kind] !== true) {
        throw new DOMException('Crypto.getRandomValues: the argument is not an integer typed array', 'TypeMismatchError');
      }
      const count = TypedArrayPrototypeGetByteLength(array);
      if (count > bytesLimit) {
        throw new DOMException(`Crypto.getRandomValues: ${count} bytes were asked for, ${bytesLimit} is the most`, 'QuotaExceededError');
      }
      random(array);
      return array;
    }

    randomUUID() {
      this.#subtle;
      const bytes = new Uint8Array(16);
      random(bytes);
      bytes[6] = (bytes[6] & 0x0F) | 0x40;
      bytes[8] = (bytes[8] & 0x3F) | 0x80;
      let text = '';
      for (let index = 0; index < 16; index++) {
        if (index === 4 || index === 6 || index === 8 || index === 10) text += '-';
        text += hexDigits[bytes[index] >> 4] + hexDigits[bytes[index] & 15];
      }
      return text;
    }
  }
  configure(Crypto, 'Crypto');

  class CryptoKey {
    constructor() { throw illegalConstructor(); }
  }
  configure(CryptoKey, 'CryptoKey');

  return { __proto__: null, Crypto, SubtleCrypto, CryptoKey, crypto: new Crypto(secret) };
})
