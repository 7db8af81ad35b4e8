(function (internal) {
  'use strict';
  // FormData (https://xhr.spec.whatwg.org/#interface-formdata) and the two forms it travels in.
  const {
    ArrayPrototypePush, RegExpPrototypeExec, RegExpPrototypeSymbolReplace, StringPrototypeIndexOf,
    StringPrototypeSlice, StringPrototypeToLowerCase, TypeError, TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength,
    TypedArrayPrototypeGetByteOffset, TypedArrayPrototypeIndexOf, TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { configure, converters, isObject, pairIterable, requireArguments, trim } = internal.webidl;
  const { utf8DecodeAll, utf8Encode } = internal;
  const { fileStateOf, makeFile } = internal.source('blob');
  const { find, normalized, parse: parseType } = internal.source('mime');
  const { isHTTPSpace } = internal.headers;
  const { USVString } = converters;

  // The value of an entry: a string, or a File with the name asked for.
  const valueOf = (value, fileName, count, prefix) => {
    const blob = internal.blobStateOf(value);
    if (blob === undefined) {
      if (count > 2) throw new TypeError(`${prefix}: a value with a file name must be a Blob`);
      return USVString(value, prefix, 'the value');
    }
    const file = fileStateOf(value);
    if (fileName === undefined && file !== undefined) return value;
    const name = fileName === undefined ? 'blob' : USVString(fileName, prefix, 'the file name');
    return makeFile(blob.bytes, blob.type, name, file?.lastModified);
  };

  class FormData {
    #entries = [];

    constructor(form = undefined) {
      if (form !== undefined) throw new TypeError('FormData: there are no forms here: call it without an argument');
    }

    append(name, value, filename = undefined) {
      const entries = this.#entries;
      requireArguments(arguments.length, 2, 'FormData.append');
      const key = USVString(name, 'FormData.append', 'the name');
      ArrayPrototypePush(entries, [key, valueOf(value, filename, arguments.length, 'FormData.append')]);
    }

    delete(name) {
      const entries = this.#entries;
      requireArguments(arguments.length, 1, 'FormData.delete');
      const key = USVString(name, 'FormData.delete', 'the name');
      let kept = 0;
      for (let index = 0; index < entries.length; index++) if (entries[index][0] !== key) entries[kept++] = entries[index];
      entries.length = kept;
    }

    get(name) {
      const entries = this.#entries;
      requireArguments(arguments.length, 1, 'FormData.get');
      const key = USVString(name, 'FormData.get', 'the name');
      for (let index = 0; index < entries.length; index++) if (entries[index][0] === key) return entries[index][1];
      return null;
    }

    getAll(name) {
      const entries = this.#entries;
      requireArguments(arguments.length, 1, 'FormData.getAll');
      const key = USVString(name, 'FormData.getAll', 'the name');
      const values = [];
      for (let index = 0; index < entries.length; index++) if (entries[index][0] === key) ArrayPrototypePush(values, entries[index][1]);
      return values;
    }

    has(name) {
      const entries = this.#entries;
      requireArguments(arguments.length, 1, 'FormData.has');
      const key = USVString(name, 'FormData.has', 'the name');
      for (let index = 0; index < entries.length; index++) if (entries[index][0] === key) return true;
      return false;
    }

    set(name, value, filename = undefined) {
      const entries = this.#entries;
      requireArguments(arguments.length, 2, 'FormData.set');
      const key = USVString(name, 'FormData.set', 'the name');
      const converted = valueOf(value, filename, arguments.length, 'FormData.set');
      let kept = 0;
      let isSet = false;
      for (let index = 0; index < entries.length; index++) {
        const isIt = entries[index][0] === key;
        if (isIt && isSet) continue;
        entries[kept++] = isIt ? [key, converted] : entries[index];
        isSet ||= isIt;
      }
      entries.length = kept;
      if (!isSet) ArrayPrototypePush(entries, [key, converted]);
    }

    static {
      internal.formDataEntriesOf = (value) => (isObject(value) && #entries in value ? value.#entries : undefined);
      pairIterable(FormData, 'FormData', (data) => data.#entries);
    }
  }
  configure(FormData, 'FormData');

  internal.registerInspector((value) => {
    const entries = internal.formDataEntriesOf(value);
    if (entries === undefined) return undefined;
    const shown = { __proto__: null };
    for (let index = 0; index < entries.length; index++) shown[entries[index][0]] = entries[index][1];
    return ['FormData', shown];
  });

  // ------------------------------------------------------------------------------------------------------------- multipart

  const lineEnds = /\r\n?|\n/g;
  const escapes = { __proto__: null, '\r': '%0D', '\n': '%0A', '"': '%22' };
  const escapable = /[\r\n"]/g;
  const escaped = (text) => RegExpPrototypeSymbolReplace(escapable, text, (found) => escapes[found]);
  const escapedForms = /%0D|%0A|%22/gi;
  const unescapes = { __proto__: null, '%0d': '\r', '%0a': '\n', '%22': '"' };
  const unescaped = (text) => RegExpPrototypeSymbolReplace(escapedForms, text, (found) => unescapes[StringPrototypeToLowerCase(found)]);
  const withCRLF = (text) => RegExpPrototypeSymbolReplace(lineEnds, text, '\r\n');

  const makeBoundary = () => {
    const bytes = new Uint8Array(16);
    internal.ops.random(bytes);
    let text = '----CloisterFormBoundary';
    for (let index = 0; index < 16; index++) text += 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef'[bytes[index] & 31];
    return text;
  };

  const serializeMultipart = (entries) => {
    const boundary = makeBoundary();
    const pieces = [];
    let byteCount = 0;
    const add = (bytes) => {
      ArrayPrototypePush(pieces, bytes);
      byteCount += TypedArrayPrototypeGetByteLength(bytes);
    };
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index];
      let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withCRLF(entry[0]))}"`;
      if (typeof entry[1] === 'string') {
        add(utf8Encode(`${head}\r\n\r\n${withCRLF(entry[1])}\r\n`));
        continue;
      }
      const { bytes, type } = internal.blobStateOf(entry[1]);
      head += `; filename="${escaped(fileStateOf(entry[1]).name)}"\r\n`;
      head += `Content-Type: ${type === '' ? 'application/octet-stream' : type}\r\n\r\n`;
      add(utf8Encode(head));
      add(bytes);
      add(utf8Encode('\r\n'));
    }
    add(utf8Encode(`--${boundary}--\r\n`));
    const whole = new Uint8Array(byteCount);
    let offset = 0;
    for (let index = 0; index < pieces.length; index++) {
      TypedArrayPrototypeSet(whole, pieces[index], offset);
      offset += TypedArrayPrototypeGetByteLength(pieces[index]);
    }
    return { bytes: whole, type: `multipart/form-data; boundary=${boundary}` };
  };

  const part = (bytes, start, end) =>
    new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes) + start, end - start);

  const startsAt = (bytes, position, pattern) => {
    const count = TypedArrayPrototypeGetByteLength(pattern);
    if (position + count > TypedArrayPrototypeGetByteLength(bytes)) return false;
    for (let index = 0; index < count; index++) if (bytes[position + index] !== pattern[index]) return false;
    return true;
  };
  // `pattern` begins with CR.
  const find13 = (bytes, pattern, from) => {
    for (let position = from; ; position++) {
      position = TypedArrayPrototypeIndexOf(bytes, 13, position);
      if (position < 0 || startsAt(bytes, position, pattern)) return position;
    }
  };

  const nameParameter = /;[\t ]*name="([^"]*)"/i;
  const fileNameParameter = /;[\t ]*filename="([^"]*)"/i;
  const formDataDisposition = /^form-data(?:[\t ]*;|$)/i;

  const malformed = (why) => new TypeError(`formData: the body is not valid multipart/form-data: ${why}`);

  const parseMultipart = (bytes, boundary) => {
    const delimiter = utf8Encode('\r\n--' + boundary);
    const lineEnd = utf8Encode('\r\n');
    const data = new FormData();
    const entries = internal.formDataEntriesOf(data);
    const opening = part(delimiter, 2, TypedArrayPrototypeGetByteLength(delimiter));
    if (!startsAt(bytes, 0, opening)) throw malformed('it does not begin with the boundary');
    let position = TypedArrayPrototypeGetByteLength(opening);
    while (!(bytes[position] === 45 && bytes[position + 1] === 45)) {
      if (!startsAt(bytes, position, lineEnd)) throw malformed('a boundary is not followed by a line break');
      position += 2;
      let name, fileName;
      let type = 'text/plain';
      for (;;) {
        const end = find13(bytes, lineEnd, position);
        if (end < 0) throw malformed("a part's headers have no end");
        if (end === position) break;
        const line = utf8DecodeAll(part(bytes, position, end));
        position = end + 2;
        const colon = StringPrototypeIndexOf(line, ':');
        if (colon < 0) throw malformed('a line of headers has no colon');
        const header = StringPrototypeToLowerCase(trim(StringPrototypeSlice(line, 0, colon), isHTTPSpace));
        const value = trim(StringPrototypeSlice(line, colon + 1), isHTTPSpace);
        if (header === 'content-disposition') {
          if (RegExpPrototypeExec(formDataDisposition, value) === null) throw malformed("a part's disposition is not form-data");
          name = RegExpPrototypeExec(nameParameter, value)?.[1];
          fileName = RegExpPrototypeExec(fileNameParameter, value)?.[1];
        } else if (header === 'content-type') {
          type = value;
        }
      }
      if (name === undefined) throw malformed('a part has no name');
      position += 2;
      // The boundary's line break may be that which ends the headers: an empty part.
      const end = find13(bytes, delimiter, position - 2);
      if (end < 0) throw malformed('a part has no end');
      const content = part(bytes, position, end < position ? position : end);
      const value = fileName === undefined ? utf8DecodeAll(content)
        : makeFile(internal.body.copyOf(content), normalized(type), unescaped(fileName));
      ArrayPrototypePush(entries, [unescaped(name), value]);
      position = end + TypedArrayPrototypeGetByteLength(delimiter);
    }
    return data;
  };

  // What a body with this content type (or null) says.
  const parse = (bytes, contentType) => {
    const type = contentType === null ? null : parseType(contentType);
    if (type !== null && type.essence === 'multipart/form-data') {
      const boundary = find(type.parameters, 'boundary');
      if (boundary === undefined) throw malformed('the content type has no boundary');
      return parseMultipart(bytes, boundary);
    }
    if (type !== null && type.essence === 'application/x-www-form-urlencoded') {
      const data = new FormData();
      const entries = internal.formDataEntriesOf(data);
      const pairs = internal.parseSearchParams(utf8DecodeAll(bytes));
      for (let index = 0; index < pairs.length; index++) ArrayPrototypePush(entries, pairs[index]);
      return data;
    }
    throw new TypeError(`formData: the content type ${contentType === null ? 'is missing' : `'${contentType}'`}: multipart/form-data or ` +
      'application/x-www-form-urlencoded is needed');
  };

  return { __proto__: null, FormData, parse, serializeMultipart };
})
