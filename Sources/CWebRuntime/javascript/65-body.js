(function (internal) {
  'use strict';
  // The body that Request and Response have: https://fetch.spec.whatwg.org/#body-mixin. What holds a body (a "holder") has these fields:
  //   raw       a string, a Uint8Array that nobody else changes, or null
  //   isShared  somebody else reads `raw` too: hand out copies
  //   incoming  the body of a request from outside that still comes, or null
  //   stream    the ReadableStream that the tenant sees: made only when it is asked for, then the only way to the bytes
  //   isUsed    read without a stream
  const {
    ArrayBufferPrototypeGetByteLength, JSONParse, ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ReflectOwnKeys,
    StringPrototypeCharCodeAt, StringPrototypeSlice, TypeError, TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength,
    TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { converters, isObject, toUSV } = internal.webidl;
  const { isArrayBuffer, isArrayBufferView, source, utf8Encode } = internal;
  const textType = 'text/plain;charset=UTF-8';

  // A copy on its own buffer, of the same kind whatever the tenant made of constructors.
  const copyOf = (bytes) => {
    const copy = new Uint8Array(TypedArrayPrototypeGetByteLength(bytes));
    TypedArrayPrototypeSet(copy, bytes);
    return copy;
  };

  // Fills a new holder from what the tenant gave; returns the content type that goes with it, or null.
  const extract = (holder, body, prefix) => {
    if (typeof body === 'string') {
      holder.raw = body;
      return textType;
    }
    if (isObject(body)) {
      const stream = internal.streamStateOf(body);
      if (stream !== undefined) {
        if (stream.isDisturbed || stream.reader !== undefined) throw new TypeError(`${prefix}: the stream is locked or has been read from`);
        holder.stream = body;
        return null;
      }
      if (isArrayBufferView(body) || isArrayBuffer(body)) {
        holder.raw = copyOf(internal.bytesOf(body));
        return null;
      }
      const blob = internal.blobStateOf(body);
      if (blob !== undefined) {
        holder.raw = blob.bytes;
        holder.isShared = true;
        return blob.type === '' ? null : blob.type;
      }
      if (internal.isURLSearchParams(body)) {
        holder.raw = internal.serializeSearchParams(internal.searchParamsPairs(body));
        return 'application/x-www-form-urlencoded;charset=UTF-8';
      }
      const entries = internal.formDataEntriesOf(body);
      if (entries !== undefined) {
        const { bytes, type } = source('formdata').serializeMultipart(entries);
        holder.raw = bytes;
        return type;
      }
    }
    holder.raw = converters.USVString(body, prefix, 'the body');
    return textType;
  };

  const hasBody = (holder) => holder.raw !== null || holder.stream !== null || holder.incoming !== null;
  const isUsed = (holder) => (holder.stream === null ? holder.isUsed : internal.streamStateOf(holder.stream).isDisturbed);
  const isUnusable = (holder) => {
    if (holder.stream === null) return holder.isUsed;
    const stream = internal.streamStateOf(holder.stream);
    return stream.isDisturbed || stream.reader !== undefined;
  };

  const streamOf = (holder) => {
    if (holder.stream !== null || !hasBody(holder)) return holder.stream;
    const streams = source('byte-streams');
    if (holder.isUsed) holder.stream = streams.consumedStream();
    else if (holder.incoming !== null) holder.stream = holder.incoming.stream();
    else holder.stream = streams.streamOfBytes(typeof holder.raw === 'string' ? utf8Encode(holder.raw) : copyOf(holder.raw));
    return holder.stream;
  };

  // Takes the whole body: a string, a Uint8Array, null without a body, or a promise of { bytes }.
  const take = (holder, what) => {
    if (isUnusable(holder)) throw new TypeError(`${what}: the body is locked or has been read already`);
    if (holder.stream !== null) return source('readable-states').collect(internal.streamStateOf(holder.stream));
    if (!hasBody(holder)) return null;
    holder.isUsed = true;
    return holder.incoming !== null ? holder.incoming.collect() : holder.raw;
  };

  const isPending = (content) => isObject(content) && !isArrayBufferView(content);
  const textOf = (content) => {
    if (content === null) return '';
    if (typeof content !== 'string') return internal.utf8Decode(content);
    const text = toUSV(content);
    return StringPrototypeCharCodeAt(text, 0) === 0xFEFF ? StringPrototypeSlice(text, 1) : text;
  };
  // Bytes that the tenant may keep and change.
  const ownBytesOf = (content, holder) => {
    if (content === null) return new Uint8Array(0);
    if (typeof content === 'string') return utf8Encode(content);
    const isWhole = ArrayBufferPrototypeGetByteLength(TypedArrayPrototypeGetBuffer(content)) === TypedArrayPrototypeGetByteLength(content);
    return isWhole && !(holder.isShared && content === holder.raw) ? content : copyOf(content);
  };

  // Gives both clones a body of their own.
  const cloneBody = (holder, copy, what) => {
    if (isUnusable(holder)) throw new TypeError(`${what}: the body is locked or has been read already`);
    if (holder.stream === null && holder.incoming === null) {
      copy.raw = holder.raw;
      holder.isShared = copy.isShared = true;
      return;
    }
    const branches = source('stream-tee').tee(internal.streamStateOf(streamOf(holder)), true);
    holder.raw = null;
    holder.stream = branches[0];
    copy.stream = branches[1];
  };

  // Nobody will read it. A promise is not waited for.
  const cancelBody = (holder, reason) => {
    if (holder.stream !== null) {
      const stream = internal.streamStateOf(holder.stream);
      if (stream.reader === undefined) source('readable-states').cancelQuietly(stream, reason);
    }
    holder.isUsed = true;
  };

  // `holderOf` throws TypeError unless its argument is of the class; `contentTypeOf` is the value of its header or null.
  const defineBody = (constructor, holderOf, contentTypeOf, name) => {
    const methods = {
      get body() { return streamOf(holderOf(this)); },
      get bodyUsed() { return isUsed(holderOf(this)); },
      async arrayBuffer() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.arrayBuffer`);
        if (isPending(content)) content = (await content).bytes;
        return TypedArrayPrototypeGetBuffer(ownBytesOf(content, holder));
      },
      async blob() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.blob`);
        if (isPending(content)) content = (await content).bytes;
        const type = contentTypeOf(holder);
        return source('blob').makeBlob(ownBytesOf(content, holder), type === null ? '' : source('mime').normalized(type));
      },
      async bytes() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.bytes`);
        if (isPending(content)) content = (await content).bytes;
        return ownBytesOf(content, holder);
      },
      async formData() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.formData`);
        if (isPending(content)) content = (await content).bytes;
        if (content === null || typeof content === 'string') content = utf8Encode(content ?? '');
        return source('formdata').parse(content, contentTypeOf(holder));
      },
      async json() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.json`);
        if (isPending(content)) content = (await content).bytes;
        return JSONParse(textOf(content));
      },
      async text() {
        const holder = holderOf(this);
        let content = take(holder, `${name}.text`);
        if (isPending(content)) content = (await content).bytes;
        return textOf(content);
      },
    };
    for (const key of ReflectOwnKeys(methods)) {
      ObjectDefineProperty(constructor.prototype, key, { __proto__: null, ...ObjectGetOwnPropertyDescriptor(methods, key) });
    }
  };

  internal.body = {
    __proto__: null,
    cancelBody, cloneBody, copyOf, defineBody, extract, hasBody, isUnusable, isUsed, streamOf, take, textType,
  };
})
