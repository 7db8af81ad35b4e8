(function (internal) {
  'use strict';
  // DOMException: https://webidl.spec.whatwg.org/#idl-DOMException
  const { Error, ObjectDefineProperty } = internal.primordials;
  const { configure, constants, converters } = internal.webidl;

  // Legacy code values; a name that is missing has code 0. The index is the code.
  const names = [
    '', 'IndexSizeError', '', 'HierarchyRequestError', 'WrongDocumentError', 'InvalidCharacterError', '', 'NoModificationAllowedError',
    'NotFoundError', 'NotSupportedError', 'InUseAttributeError', 'InvalidStateError', 'SyntaxError', 'InvalidModificationError',
    'NamespaceError', 'InvalidAccessError', '', 'TypeMismatchError', 'SecurityError', 'NetworkError', 'AbortError', 'URLMismatchError',
    'QuotaExceededError', 'TimeoutError', 'InvalidNodeTypeError', 'DataCloneError',
  ];

  // The parent is Error, so that V8 knows an instance as an error and gives it a stack.
  class DOMException extends Error {
    #name;
    #message;

    constructor(message = '', nameOrOptions = 'Error') {
      super();
      this.#message = converters.DOMString(message, 'DOMException', 'the message');
      if (typeof nameOrOptions === 'object' && nameOrOptions !== null) {
        const { cause, name } = nameOrOptions;
        this.#name = name === undefined ? 'Error' : converters.DOMString(name, 'DOMException', 'the name');
        if (cause !== undefined || 'cause' in nameOrOptions) {
          ObjectDefineProperty(this, 'cause', { __proto__: null, value: cause, writable: true, enumerable: false, configurable: true });
        }
      } else {
        this.#name = converters.DOMString(nameOrOptions, 'DOMException', 'the name');
      }
    }

    get name() { return this.#name; }
    get message() { return this.#message; }
    get code() {
      const name = this.#name;
      if (name === '') return 0;
      for (let code = 1; code < names.length; code++) if (names[code] === name) return code;
      return 0;
    }

    static is(value) { return typeof value === 'object' && value !== null && #name in value; }
    static read(value) { return { __proto__: null, name: value.#name, message: value.#message }; }
  }
  internal.isDOMException = DOMException.is;
  internal.readDOMException = DOMException.read;
  delete DOMException.is;
  delete DOMException.read;

  const legacy = {
    INDEX_SIZE_ERR: 1, DOMSTRING_SIZE_ERR: 2, HIERARCHY_REQUEST_ERR: 3, WRONG_DOCUMENT_ERR: 4, INVALID_CHARACTER_ERR: 5,
    NO_DATA_ALLOWED_ERR: 6, NO_MODIFICATION_ALLOWED_ERR: 7, NOT_FOUND_ERR: 8, NOT_SUPPORTED_ERR: 9, INUSE_ATTRIBUTE_ERR: 10,
    INVALID_STATE_ERR: 11, SYNTAX_ERR: 12, INVALID_MODIFICATION_ERR: 13, NAMESPACE_ERR: 14, INVALID_ACCESS_ERR: 15, VALIDATION_ERR: 16,
    TYPE_MISMATCH_ERR: 17, SECURITY_ERR: 18, NETWORK_ERR: 19, ABORT_ERR: 20, URL_MISMATCH_ERR: 21, QUOTA_EXCEEDED_ERR: 22, TIMEOUT_ERR: 23,
    INVALID_NODE_TYPE_ERR: 24, DATA_CLONE_ERR: 25,
  };
  configure(DOMException, 'DOMException');
  constants(DOMException, legacy);

  internal.DOMException = DOMException;
  internal.expose('DOMException', DOMException);
})
