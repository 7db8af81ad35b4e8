(function (internal) {
  'use strict';
  // atob and btoa: https://html.spec.whatwg.org/#atob. The work is native; both return null when the input is not as it must be.
  const { base64Decode, base64Encode } = internal.ops;
  const { converters, requireArguments } = internal.webidl;
  const { DOMException } = internal;

  const functions = {
    atob(data) {
      requireArguments(arguments.length, 1, 'atob');
      const text = base64Decode(converters.DOMString(data, 'atob', 'the data'));
      if (text === null) throw new DOMException('atob: the data is not base64', 'InvalidCharacterError');
      return text;
    },
    btoa(data) {
      requireArguments(arguments.length, 1, 'btoa');
      const text = base64Encode(converters.DOMString(data, 'btoa', 'the data'));
      if (text === null) throw new DOMException('btoa: the data has a character above U+00FF', 'InvalidCharacterError');
      return text;
    },
  };
  internal.expose('atob', functions.atob);
  internal.expose('btoa', functions.btoa);
})
