(function (internal) {
  'use strict';
  // MIME types: https://mimesniff.spec.whatwg.org/#parsing-a-mime-type
  const {
    RegExpPrototypeExec, RegExpPrototypeSymbolReplace, StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice,
    StringPrototypeToLowerCase,
  } = internal.primordials;
  const { trim } = internal.webidl;
  const { isHTTPSpace, isToken } = internal.headers;
  const notParameter = /[^\t\x20-\x7E\x80-\xFF]/;
  const quotable = /["\\]/g;

  // { essence, parameters: a list of [name, value] } or null.
  const parse = (input) => {
    const text = trim(input, isHTTPSpace);
    const slash = StringPrototypeIndexOf(text, '/');
    if (slash < 0) return null;
    const type = StringPrototypeSlice(text, 0, slash);
    let position = StringPrototypeIndexOf(text, ';', slash);
    if (position < 0) position = text.length;
    const subtype = trim(StringPrototypeSlice(text, slash + 1, position), isHTTPSpace);
    if (!isToken(type) || !isToken(subtype)) return null;
    const parameters = [];
    while (position < text.length) {
      position++;
      while (position < text.length && isHTTPSpace(StringPrototypeCharCodeAt(text, position))) position++;
      const nameStart = position;
      while (position < text.length && text[position] !== ';' && text[position] !== '=') position++;
      const name = StringPrototypeToLowerCase(StringPrototypeSlice(text, nameStart, position));
      if (position >= text.length) break;
      if (text[position] === ';') continue;
      position++;
      let value = '';
      if (text[position] === '"') {
        position++;
        while (position < text.length && text[position] !== '"') {
          if (text[position] === '\\' && position + 1 < text.length) position++;
          value += text[position++];
        }
        while (position < text.length && text[position] !== ';') position++;
      } else {
        const valueStart = position;
        while (position < text.length && text[position] !== ';') position++;
        value = trim(StringPrototypeSlice(text, valueStart, position), isHTTPSpace);
        if (value === '') continue;
      }
      if (isToken(name) && RegExpPrototypeExec(notParameter, value) === null && find(parameters, name) === undefined) {
        parameters[parameters.length] = [name, value];
      }
    }
    return { essence: StringPrototypeToLowerCase(type + '/' + subtype), parameters };
  };

  const find = (parameters, name) => {
    for (let index = 0; index < parameters.length; index++) if (parameters[index][0] === name) return parameters[index][1];
    return undefined;
  };

  // The value of a content-type header as a Blob shows it; '' if it is none.
  const normalized = (input) => {
    const parsed = parse(input);
    if (parsed === null) return '';
    let text = parsed.essence;
    for (let index = 0; index < parsed.parameters.length; index++) {
      const name = parsed.parameters[index][0];
      const value = parsed.parameters[index][1];
      text += ';' + name + '=' + (isToken(value) ? value : '"' + RegExpPrototypeSymbolReplace(quotable, value, '\\$&') + '"');
    }
    return text;
  };

  return { __proto__: null, find, normalized, parse };
})
