(function (internal) {
  'use strict';
  // Streams (https://streams.spec.whatwg.org) and what else few tenants touch are evaluated on first use: most answer with a string.
  // Lazy sources run after the tenant's code: they may use only what `internal` and its primordials hold.
  const { uncurryThis } = internal.primordials;
  const { exposeLazily, load } = internal;

  exposeLazily('readable-streams', ['ReadableStream', 'ReadableStreamDefaultReader', 'ReadableStreamDefaultController']);
  exposeLazily('byte-streams', ['ReadableStreamBYOBReader', 'ReadableByteStreamController', 'ReadableStreamBYOBRequest']);
  exposeLazily('writable-streams', ['WritableStream', 'WritableStreamDefaultWriter', 'WritableStreamDefaultController']);
  exposeLazily('transform-streams', ['TransformStream', 'TransformStreamDefaultController']);
  exposeLazily('stream-base', ['ByteLengthQueuingStrategy', 'CountQueuingStrategy']);
  exposeLazily('text-streams', ['TextEncoderStream', 'TextDecoderStream']);
  exposeLazily('blob', ['Blob', 'File']);
  exposeLazily('formdata', ['FormData']);

  // `internal.source(name)`: what a lazy source returned.
  const sources = { __proto__: null };
  internal.source = (name) => (sources[name] ??= load(name));
  // Nothing is one of these until its source has been evaluated, which replaces the function.
  internal.streamStateOf = () => undefined;
  internal.blobStateOf = () => undefined;
  internal.formDataEntriesOf = () => undefined;
  internal.decodeText = uncurryThis(internal.TextDecoder.prototype.decode);
})
