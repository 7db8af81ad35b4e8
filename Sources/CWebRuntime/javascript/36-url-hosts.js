(function (internal) {
  'use strict';
  // Hosts: domains, IPv4, IPv6 and opaque ones: https://url.spec.whatwg.org/#host-parsing
  const {
    MathFloor, NumberPrototypeToString, RegExpPrototypeExec, StringPrototypeCharCodeAt, StringPrototypeEndsWith, StringPrototypeSlice,
    StringPrototypeSplit, StringPrototypeStartsWith, StringPrototypeToLowerCase,
  } = internal.primordials;
  const { domainToASCII } = internal.ops;
  const { C0, hexValue, percentDecode, percentEncode } = internal.url;

  const plainDomain = /^[a-z0-9_.~!$&'()*+,;=\-]+$/;
  const forbiddenHost = /[\0\t\n\r #/:<>?@[\\\]^|]/;
  const forbiddenInDomain = /[\0-\x20#%/:<>?@[\\\]^|\x7F]/;
  const notASCII = /[^\0-\x7F]/;
  const punycodeLabel = /(?:^|\.)xn--/i;
  const numericLast = /(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?$/;

  const parseIPv4Number = (text) => {
    if (text === '') return -1;
    let radix = 10;
    let digits = text;
    if (text.length >= 2 && (StringPrototypeStartsWith(text, '0x') || StringPrototypeStartsWith(text, '0X'))) {
      digits = StringPrototypeSlice(text, 2);
      radix = 16;
    } else if (text.length >= 2 && text[0] === '0') {
      digits = StringPrototypeSlice(text, 1);
      radix = 8;
    }
    let value = 0;
    for (let index = 0; index < digits.length; index++) {
      const digit = hexValue(StringPrototypeCharCodeAt(digits, index));
      if (digit < 0 || digit >= radix) return -1;
      value = value * radix + digit;
    }
    return value;
  };

  const parseIPv4 = (input) => {
    const parts = StringPrototypeSplit(input, '.');
    if (parts[parts.length - 1] === '' && parts.length > 1) parts.length--;
    if (parts.length > 4) return null;
    let address = 0;
    for (let index = 0; index < parts.length; index++) {
      const number = parseIPv4Number(parts[index]);
      if (number < 0) return null;
      const isLast = index === parts.length - 1;
      if (!isLast && number > 255) return null;
      if (isLast && number >= 256 ** (5 - parts.length)) return null;
      address += isLast ? number : number * 256 ** (3 - index);
    }
    let text = '';
    for (let shift = 3; shift >= 0; shift--) text += (MathFloor(address / 256 ** shift) % 256) + (shift > 0 ? '.' : '');
    return text;
  };

  const parseIPv6 = (input) => {
    const pieces = [0, 0, 0, 0, 0, 0, 0, 0];
    const codeAt = (index) => (index < input.length ? StringPrototypeCharCodeAt(input, index) : -1);
    let piece = 0, compress = -1, pointer = 0;
    if (codeAt(0) === 0x3A) {
      if (codeAt(1) !== 0x3A) return null;
      pointer = 2;
      compress = ++piece;
    }
    while (pointer < input.length) {
      if (piece === 8) return null;
      if (codeAt(pointer) === 0x3A) {
        if (compress >= 0) return null;
        pointer++;
        compress = ++piece;
        continue;
      }
      let value = 0, length = 0;
      while (length < 4 && hexValue(codeAt(pointer)) >= 0) {
        value = value * 16 + hexValue(codeAt(pointer));
        pointer++;
        length++;
      }
      if (codeAt(pointer) === 0x2E) {
        if (length === 0) return null;
        pointer -= length;
        if (piece > 6) return null;
        let seen = 0;
        while (pointer < input.length) {
          let part = -1;
          if (seen > 0) {
            if (codeAt(pointer) !== 0x2E || seen >= 4) return null;
            pointer++;
          }
          let code = codeAt(pointer);
          if (code < 0x30 || code > 0x39) return null;
          while (code >= 0x30 && code <= 0x39) {
            if (part === 0) return null;
            part = part < 0 ? code - 0x30 : part * 10 + code - 0x30;
            if (part > 255) return null;
            code = codeAt(++pointer);
          }
          pieces[piece] = pieces[piece] * 256 + part;
          seen++;
          if (seen === 2 || seen === 4) piece++;
        }
        if (seen !== 4) return null;
        break;
      } else if (codeAt(pointer) === 0x3A) {
        pointer++;
        if (pointer >= input.length) return null;
      } else if (pointer < input.length) {
        return null;
      }
      pieces[piece++] = value;
    }
    if (compress >= 0) {
      let swaps = piece - compress;
      piece = 7;
      while (piece !== 0 && swaps > 0) {
        const other = compress + swaps - 1;
        const value = pieces[other];
        pieces[other] = pieces[piece];
        pieces[piece] = value;
        piece--;
        swaps--;
      }
    } else if (piece !== 8) {
      return null;
    }
    return serializeIPv6(pieces);
  };

  const serializeIPv6 = (pieces) => {
    // The first of the longest runs of zeros is left out, if longer than one.
    let best = -1, bestLength = 1;
    for (let start = 0; start < 8; start++) {
      let end = start;
      while (end < 8 && pieces[end] === 0) end++;
      if (end - start > bestLength) {
        best = start;
        bestLength = end - start;
      }
      if (end > start) start = end;
    }
    let text = '[';
    for (let index = 0; index < 8; index++) {
      if (index === best) {
        text += index === 0 ? '::' : ':';
        index += bestLength - 1;
        continue;
      }
      text += NumberPrototypeToString(pieces[index], 16) + (index < 7 ? ':' : '');
    }
    return text + ']';
  };

  // null: failure.
  const parseHost = (input, isOpaque) => {
    if (input[0] === '[') {
      if (!StringPrototypeEndsWith(input, ']')) return null;
      return parseIPv6(StringPrototypeSlice(input, 1, -1));
    }
    if (isOpaque) return RegExpPrototypeExec(forbiddenHost, input) !== null ? null : percentEncode(input, C0);
    let domain = input;
    if (RegExpPrototypeExec(plainDomain, domain) === null) {
      domain = percentDecode(domain);
      // All ASCII and no label in Punycode: mapping is only to lower case.
      if (RegExpPrototypeExec(notASCII, domain) === null && RegExpPrototypeExec(punycodeLabel, domain) === null) {
        domain = StringPrototypeToLowerCase(domain);
      } else {
        domain = domainToASCII(domain, false);
      }
    } else if (RegExpPrototypeExec(punycodeLabel, domain) !== null) {
      domain = domainToASCII(domain, false);
    }
    if (domain === null || domain === '' || RegExpPrototypeExec(forbiddenInDomain, domain) !== null) return null;
    return RegExpPrototypeExec(numericLast, domain) !== null ? parseIPv4(domain) : domain;
  };

  internal.url.parseHost = parseHost;
})
