(function (internal) {
  'use strict';
  // TextEncoderStream and TextDecoderStream: https://encoding.spec.whatwg.org/#interface-textencoderstream
  const { StringPrototypeCharCodeAt, StringPrototypeSlice, Uint8Array } = internal.primordials;
  const { configure, converters } = internal.webidl;
  const { createTransform } = internal.source('transform-streams');
  const { utf8Encode, decodeText, TextDecoder } = internal;
  const replacement = '\uFFFD';

  class TextEncoderStream {
    #transform;
    // The first half of a character whose second half the next chunk may bring.
    #lead = '';

    constructor() {
      this.#transform = createTransform((chunk, stream) => {
        let text = this.#lead + converters.DOMString(chunk, 'TextEncoderStream', 'a chunk');
        this.#lead = '';
        if (text === '') return;
        const last = StringPrototypeCharCodeAt(text, text.length - 1);
        if (last >= 0xD800 && last <= 0xDBFF) {
          this.#lead = StringPrototypeSlice(text, text.length - 1);
          text = StringPrototypeSlice(text, 0, text.length - 1);
        }
        if (text !== '') stream.enqueue(utf8Encode(text));
      }, (stream) => {
        if (this.#lead !== '') stream.enqueue(utf8Encode(replacement));
      });
    }

    get encoding() {
      this.#transform;
      return 'utf-8';
    }
    get readable() { return this.#transform.readable; }
    get writable() { return this.#transform.writable; }
  }
  configure(TextEncoderStream, 'TextEncoderStream');

  class TextDecoderStream {
    #transform;
    #decoder;
    #encoding;
    #fatal;
    #ignoreBOM;

    constructor(label = 'utf-8', options = undefined) {
      const decoder = new TextDecoder(label, options);
      ({ encoding: this.#encoding, fatal: this.#fatal, ignoreBOM: this.#ignoreBOM } = decoder);
      this.#decoder = decoder;
      const more = { __proto__: null, stream: true };
      this.#transform = createTransform((chunk, stream) => {
        const text = decodeText(this.#decoder, converters.BufferSource(chunk, 'TextDecoderStream', 'a chunk'), more);
        if (text !== '') stream.enqueue(text);
      }, (stream) => {
        const text = decodeText(this.#decoder, new Uint8Array(0));
        if (text !== '') stream.enqueue(text);
      });
    }

    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    get readable() { return this.#transform.readable; }
    get writable() { return this.#transform.writable; }
  }
  configure(TextDecoderStream, 'TextDecoderStream');

  return { __proto__: null, TextDecoderStream, TextEncoderStream };
})
