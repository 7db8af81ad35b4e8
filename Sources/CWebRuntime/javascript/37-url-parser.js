(function (internal) {
  'use strict';
  // The URL standard's parser and serializer: https://url.spec.whatwg.org. Regions instead of a character at a time: the fragment is cut off
  // first, then each part is taken up to its delimiter; what comes out is the same.
  const {
    RegExpPrototypeExec, RegExpPrototypeSymbolReplace, RegExpPrototypeSymbolSplit, StringPrototypeCharCodeAt, StringPrototypeEndsWith,
    StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeLastIndexOf, StringPrototypeSlice, StringPrototypeSplit,
    StringPrototypeStartsWith, StringPrototypeToLowerCase, Uint8Array,
  } = internal.primordials;
  const { trim } = internal.webidl;
  const { C0, FRAGMENT, PATH, QUERY, SPECIAL_QUERY, USERINFO, encodeSets, parseHost, percentEncode } = internal.url;

  // A parsed URL. host is null or serialized; port null or a number; path is serialized (for an opaque path: all of it), without the "/."
  // that keeps a path starting with "//" apart from a host; query and fragment null or without their delimiter.
  const makeRecord = (scheme) => ({
    __proto__: null, scheme, username: '', password: '', host: null, port: null, path: '', isOpaque: false, query: null, fragment: null,
  });

  const defaultPorts = { __proto__: null, ftp: 21, file: null, http: 80, https: 443, ws: 80, wss: 443 };
  const isSpecial = (scheme) => defaultPorts[scheme] !== undefined;

  // --------------------------------------------------------------------------------------------------------------------- paths
  const singleDot = /^(?:\.|%2e)$/i;
  const doubleDot = /^(?:\.|%2e){2}$/i;
  const driveLetter = /^[A-Za-z][:|]$/;
  const startsWithDrive = /^[A-Za-z][:|](?:[/\\?#]|$)/;
  const normalizedDrivePath = /^\/[A-Za-z]:$/;
  const anySlash = /[/\\]/;

  const shortened = (path, scheme) => {
    if (scheme === 'file' && RegExpPrototypeExec(normalizedDrivePath, path) !== null) return path;
    const slash = StringPrototypeLastIndexOf(path, '/');
    return slash < 0 ? path : StringPrototypeSlice(path, 0, slash);
  };

  // Adds the segments of `text` (what follows a path's slash) to the record's path.
  const parsePath = (record, text) => {
    const { scheme } = record;
    const special = isSpecial(scheme);
    const encoded = percentEncode(text, PATH);
    const segments =
      special && StringPrototypeIncludes(encoded, '\\') ? RegExpPrototypeSymbolSplit(anySlash, encoded) : StringPrototypeSplit(encoded, '/');
    let { path } = record;
    for (let index = 0; index < segments.length; index++) {
      let segment = segments[index];
      const isLast = index === segments.length - 1;
      const mayBeDots = segment.length > 0 && segment.length <= 6 && (segment[0] === '.' || segment[0] === '%');
      if (mayBeDots && RegExpPrototypeExec(doubleDot, segment) !== null) {
        path = shortened(path, scheme);
        if (isLast) path += '/';
      } else if (mayBeDots && RegExpPrototypeExec(singleDot, segment) !== null) {
        if (isLast) path += '/';
      } else {
        if (scheme === 'file' && path === '' && RegExpPrototypeExec(driveLetter, segment) !== null) segment = segment[0] + ':';
        path += '/' + segment;
      }
    }
    record.path = path;
  };

  // "path start state": `text` begins with the path, or is empty.
  const parsePathStart = (record, text) => {
    if (isSpecial(record.scheme)) {
      const first = text[0];
      parsePath(record, first === '/' || first === '\\' ? StringPrototypeSlice(text, 1) : text);
    } else if (text !== '') {
      parsePath(record, text[0] === '/' ? StringPrototypeSlice(text, 1) : text);
    }
  };

  // ----------------------------------------------------------------------------------------------------------------- authority
  const parsePort = (record, text) => {
    if (text === '') return true;
    let port = 0;
    for (let index = 0; index < text.length; index++) {
      const digit = StringPrototypeCharCodeAt(text, index) - 0x30;
      if (digit < 0 || digit > 9) return false;
      port = port * 10 + digit;
      if (port > 65535) return false;
    }
    record.port = port === defaultPorts[record.scheme] ? null : port;
    return true;
  };

  // Where the host ends and ":port" begins, or -1.
  const portColon = (text) => {
    let inBrackets = false;
    for (let index = 0; index < text.length; index++) {
      const code = StringPrototypeCharCodeAt(text, index);
      if (code === 0x5B) inBrackets = true;
      else if (code === 0x5D) inBrackets = false;
      else if (code === 0x3A && !inBrackets) return index;
    }
    return -1;
  };

  const authorityEnd = (text, special) => {
    for (let index = 0; index < text.length; index++) {
      const code = StringPrototypeCharCodeAt(text, index);
      if (code === 0x2F || code === 0x3F || (special && code === 0x5C)) return index;
    }
    return text.length;
  };

  // `text` is what follows "//". Returns whether it could be parsed.
  const parseAuthority = (record, text) => {
    const special = isSpecial(record.scheme);
    const end = authorityEnd(text, special);
    let authority = StringPrototypeSlice(text, 0, end);
    const at = StringPrototypeLastIndexOf(authority, '@');
    if (at >= 0) {
      const credentials = StringPrototypeSlice(authority, 0, at);
      authority = StringPrototypeSlice(authority, at + 1);
      if (authority === '') return false;
      const colon = StringPrototypeIndexOf(credentials, ':');
      record.username = percentEncode(colon < 0 ? credentials : StringPrototypeSlice(credentials, 0, colon), USERINFO);
      record.password = colon < 0 ? '' : percentEncode(StringPrototypeSlice(credentials, colon + 1), USERINFO);
    }
    const colon = portColon(authority);
    const hostText = colon < 0 ? authority : StringPrototypeSlice(authority, 0, colon);
    if (hostText === '' && (special || colon >= 0)) return false;
    const host = hostText === '' ? '' : parseHost(hostText, !special);
    if (host === null) return false;
    record.host = host;
    if (colon >= 0 && !parsePort(record, StringPrototypeSlice(authority, colon + 1))) return false;
    return parsePathAndQuery(record, StringPrototypeSlice(text, end), parsePathStart);
  };

  const setQuery = (record, text) => { record.query = percentEncode(text, isSpecial(record.scheme) ? SPECIAL_QUERY : QUERY); };

  const parsePathAndQuery = (record, text, parse) => {
    const question = StringPrototypeIndexOf(text, '?');
    parse(record, question < 0 ? text : StringPrototypeSlice(text, 0, question));
    if (question >= 0) setQuery(record, StringPrototypeSlice(text, question + 1));
    return true;
  };

  const parseOpaquePath = (record, text) => {
    // The last of the spaces before a "?" or "#" would be lost when parsed again: it is encoded.
    let path = text;
    if (StringPrototypeEndsWith(path, ' ')) path = StringPrototypeSlice(path, 0, -1) + '%20';
    record.path = percentEncode(path, C0);
    record.isOpaque = true;
  };

  // ---------------------------------------------------------------------------------------------------------------- the parser
  const copyAuthority = (record, base) => {
    record.username = base.username;
    record.password = base.password;
    record.host = base.host;
    record.port = base.port;
  };

  const parseRelative = (record, text, base) => {
    const special = isSpecial(record.scheme);
    const first = text[0];
    if (first === '/' || (special && first === '\\')) {
      const second = text[1];
      if (special && (second === '/' || second === '\\')) return parseAuthority(record, afterSlashes(text));
      if (second === '/') return parseAuthority(record, StringPrototypeSlice(text, 2));
      copyAuthority(record, base);
      return parsePathAndQuery(record, StringPrototypeSlice(text, 1), parsePath);
    }
    copyAuthority(record, base);
    record.path = base.path;
    if (text === '') {
      record.query = base.query;
      return true;
    }
    if (first === '?') {
      setQuery(record, StringPrototypeSlice(text, 1));
      return true;
    }
    record.path = shortened(base.path, record.scheme);
    return parsePathAndQuery(record, text, parsePath);
  };

  const afterSlashes = (text) => {
    let index = 0;
    while (text[index] === '/' || text[index] === '\\') index++;
    return StringPrototypeSlice(text, index);
  };

  const parseFile = (record, text, base) => {
    record.host = '';
    const first = text[0];
    if (first === '/' || first === '\\') {
      const second = text[1];
      if (second === '/' || second === '\\') return parseFileHost(record, StringPrototypeSlice(text, 2));
      const rest = StringPrototypeSlice(text, 1);
      if (base !== null) {
        record.host = base.host;
        const drive = StringPrototypeSlice(base.path, 0, 3);
        const hasDrive = RegExpPrototypeExec(normalizedDrivePath, drive) !== null && (base.path.length === 3 || base.path[3] === '/');
        if (hasDrive && RegExpPrototypeExec(startsWithDrive, rest) === null) record.path = drive;
      }
      return parsePathAndQuery(record, rest, parsePath);
    }
    if (base === null) return parsePathAndQuery(record, text, parsePath);
    record.host = base.host;
    record.path = base.path;
    if (text === '') {
      record.query = base.query;
      return true;
    }
    if (first === '?') {
      setQuery(record, StringPrototypeSlice(text, 1));
      return true;
    }
    record.path = RegExpPrototypeExec(startsWithDrive, text) !== null ? '' : shortened(base.path, 'file');
    return parsePathAndQuery(record, text, parsePath);
  };

  const parseFileHost = (record, text) => {
    const end = authorityEnd(text, true);
    const hostText = StringPrototypeSlice(text, 0, end);
    if (RegExpPrototypeExec(driveLetter, hostText) !== null) return parsePathAndQuery(record, text, parsePath);
    if (hostText !== '') {
      const host = parseHost(hostText, false);
      if (host === null) return false;
      record.host = host === 'localhost' ? '' : host;
    }
    return parsePathAndQuery(record, StringPrototypeSlice(text, end), parsePathStart);
  };

  // What most URLs look like needs none of the above: "http" or "https", a lower-case host without Punycode whose last label begins with a
  // letter, no credentials, no fragment, no segment that begins with a dot, nothing to encode. No regular expressions here: each costs an
  // isolate more to compile than to parse its first URL.
  const IN_HOST = 1, IN_PATH = 2, IN_QUERY = 4;
  const plainKinds = new Uint8Array(128);
  for (let code = 0x21; code < 0x7F; code++) {
    const isLetterOrDigit = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x7A);
    if (isLetterOrDigit || code === 0x2D || code === 0x2E) plainKinds[code] |= IN_HOST;
    if (code === 0x23 || code === 0x3F || code === 0x5C) continue;
    if ((encodeSets[code] & PATH) === 0) plainKinds[code] |= IN_PATH;
    if ((encodeSets[code] & SPECIAL_QUERY) === 0) plainKinds[code] |= IN_QUERY;
  }
  const SLASH = 0x2F, QUESTION = 0x3F, COLON = 0x3A, DOT = 0x2E, PERCENT = 0x25;

  // Whether a URL is plain, and if so where its parts are. These are kept: who reads `request.url` parses it next.
  let plainText;
  let hostStart = 0, hostEnd = 0, pathStart = 0, pathEnd = 0;
  const isPlain = (input) => {
    if (input === plainText) return true;
    const count = input.length;
    const start = StringPrototypeStartsWith(input, 'http://') ? 7 : StringPrototypeStartsWith(input, 'https://') ? 8 : 0;
    if (start === 0) return false;
    let index = start;
    let lastLabel = start;
    let code = -1;
    for (; index < count; index++) {
      code = StringPrototypeCharCodeAt(input, index);
      if (code === SLASH || code === QUESTION || code === COLON) break;
      if (code > 0x7E || (plainKinds[code] & IN_HOST) === 0) return false;
      if (code === DOT) lastLabel = index + 1;
    }
    const hostStop = index;
    if (lastLabel === hostStop) return false;
    const labelCode = StringPrototypeCharCodeAt(input, lastLabel);
    if (labelCode < 0x61 || labelCode > 0x7A || StringPrototypeIncludes(input, 'xn--')) return false;
    if (index < count && code === COLON) {
      for (index++; index < count; index++) {
        code = StringPrototypeCharCodeAt(input, index);
        if (code < 0x30 || code > 0x39) break;
      }
      if (index < count && code !== SLASH && code !== QUESTION) return false;
    }
    const pathBegin = index;
    for (let before = 0; index < count; index++) {
      code = StringPrototypeCharCodeAt(input, index);
      if (code === QUESTION) break;
      if (code > 0x7E || (plainKinds[code] & IN_PATH) === 0 || (before === SLASH && (code === DOT || code === PERCENT))) return false;
      before = code;
    }
    const pathStop = index;
    for (index++; index < count; index++) {
      code = StringPrototypeCharCodeAt(input, index);
      if (code !== QUESTION && (code > 0x7E || (plainKinds[code] & IN_QUERY) === 0)) return false;
    }
    plainText = input;
    hostStart = start;
    hostEnd = hostStop;
    pathStart = pathBegin;
    pathEnd = pathStop;
    return true;
  };

  // A record, or null: not plain, which says nothing about whether it is a URL.
  const parsePlain = (input) => {
    if (!isPlain(input)) return null;
    const record = makeRecord(hostStart === 7 ? 'http' : 'https');
    record.host = StringPrototypeSlice(input, hostStart, hostEnd);
    if (pathStart > hostEnd && !parsePort(record, StringPrototypeSlice(input, hostEnd + 1, pathStart))) return null;
    record.path = pathStart === pathEnd ? '/' : StringPrototypeSlice(input, pathStart, pathEnd);
    if (pathEnd < input.length) record.query = StringPrototypeSlice(input, pathEnd + 1);
    return record;
  };

  const isC0OrSpace = (code) => code <= 0x20;
  const tabsAndLines = /[\t\n\r]+/g;
  const hasEdges = /^[\0-\x20]|[\0-\x20]$|[\t\n\r]/;
  const schemeStart = /^([A-Za-z][A-Za-z0-9+\-.]*):/;

  // Parses `input` (a USVString) against a base record or null. Returns a record, or null for failure.
  const parseURL = (input, base) => {
    const quick = parsePlain(input);
    if (quick !== null) return quick;
    let rest = input;
    if (RegExpPrototypeExec(hasEdges, rest) !== null) {
      rest = RegExpPrototypeSymbolReplace(tabsAndLines, trim(rest, isC0OrSpace), '');
    }
    const hash = StringPrototypeIndexOf(rest, '#');
    const fragment = hash < 0 ? null : percentEncode(StringPrototypeSlice(rest, hash + 1), FRAGMENT);
    if (hash >= 0) rest = StringPrototypeSlice(rest, 0, hash);
    const match = RegExpPrototypeExec(schemeStart, rest);
    let record;
    let isParsed;
    if (match !== null) {
      const scheme = StringPrototypeToLowerCase(match[1]);
      record = makeRecord(scheme);
      rest = StringPrototypeSlice(rest, scheme.length + 1);
      if (scheme === 'file') {
        isParsed = parseFile(record, rest, base !== null && base.scheme === 'file' ? base : null);
      } else if (isSpecial(scheme)) {
        if (base !== null && base.scheme === scheme && !StringPrototypeStartsWith(rest, '//')) isParsed = parseRelative(record, rest, base);
        else isParsed = parseAuthority(record, afterSlashes(rest));
      } else if (StringPrototypeStartsWith(rest, '//')) {
        isParsed = parseAuthority(record, StringPrototypeSlice(rest, 2));
      } else if (rest[0] === '/') {
        isParsed = parsePathAndQuery(record, StringPrototypeSlice(rest, 1), parsePath);
      } else {
        // A trailing space before the fragment counts as before "#"; at the very end there is none.
        isParsed = parsePathAndQuery(record, rest, parseOpaquePath);
      }
    } else if (base === null) {
      return null;
    } else if (base.isOpaque) {
      if (rest !== '' || hash < 0) return null;
      record = makeRecord(base.scheme);
      record.path = base.path;
      record.isOpaque = true;
      record.query = base.query;
      isParsed = true;
    } else {
      record = makeRecord(base.scheme);
      isParsed = base.scheme === 'file' ? parseFile(record, rest, base) : parseRelative(record, rest, base);
    }
    if (!isParsed) return null;
    record.fragment = fragment;
    return record;
  };

  const serializePath = (record) => (record.host === null && !record.isOpaque && StringPrototypeStartsWith(record.path, '//') ? '/.' : '') + record.path;

  const serializeURL = (record, excludeFragment) => {
    let text = record.scheme + ':';
    if (record.host !== null) {
      text += '//';
      if (record.username !== '' || record.password !== '') {
        text += record.username + (record.password !== '' ? ':' + record.password : '') + '@';
      }
      text += record.host;
      if (record.port !== null) text += ':' + record.port;
    }
    text += serializePath(record);
    if (record.query !== null) text += '?' + record.query;
    if (!excludeFragment && record.fragment !== null) text += '#' + record.fragment;
    return text;
  };

  // The serialization of a URL as the gateway makes it: scheme and host in lower case, a port only where it is not the scheme's own, a path.
  // Most are serialized already.
  const serialized = (url) => {
    if (isPlain(url)) return url;
    const record = parseURL(url, null);
    if (record !== null) return serializeURL(record, false);
    // The gateway takes hosts that are none to the URL standard, such as faulty Punycode: they stay, but not what follows them.
    const slash = StringPrototypeIndexOf(url, '/', StringPrototypeIndexOf(url, '/') + 2);
    const { path, query } = parseURL('http://host' + StringPrototypeSlice(url, slash), null);
    return StringPrototypeSlice(url, 0, slash) + path + (query === null ? '' : '?' + query);
  };

  internal.primordials.ObjectAssign(internal.url, {
    __proto__: null,
    authorityEnd, defaultPorts, isSpecial, parsePathStart, parsePort, parseURL, portColon, serialized, serializeURL,
  });
})
