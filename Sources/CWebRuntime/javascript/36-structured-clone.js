(function (internal) {
  'use strict';
  // structuredClone: V8's serializer does the work. https://html.spec.whatwg.org/#dom-structuredclone
  const {
    ArrayBufferPrototypeGetByteLength, ArrayPrototypeIncludes, ErrorPrototype, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf,
    ObjectPrototypeHasOwnProperty, StringPrototypeSlice, StringPrototypeStartsWith, Uint8Array,
  } = internal.primordials;
  const { converters, dictionary, isObject, requireArguments, sequence } = internal.webidl;
  const { DOMException } = internal;
  const clone = internal.structuredClone;
  const prefix = 'DataCloneError: ';
  const refuse = (message) => { throw new DOMException(`structuredClone: ${message}`, 'DataCloneError'); };

  const isDetached = (buffer) => {
    if (ArrayBufferPrototypeGetByteLength(buffer) > 0) return false;
    try {
      new Uint8Array(buffer);
      return false;
    } catch {
      return true;
    }
  };

  internal.cloneValue = (value, transfer) => {
    if (internal.isDOMException(value)) {
      const { message, name } = internal.readDOMException(value);
      return new DOMException(message, name);
    }
    // V8 takes them for plain objects. One that lies deeper in a value is one to it still.
    const platformClass = isObject(value) ? internal.platformClass(value) : undefined;
    if (platformClass !== undefined) refuse(`a ${platformClass} cannot be cloned`);
    try {
      return clone(value, transfer);
    } catch (error) {
      // The binding's own error, not one that a getter of the value threw: that has no such message, or is the tenant's to mistake.
      if (isObject(error) && internal.typeOf(error) === 'Error' && ObjectGetPrototypeOf(error) === ErrorPrototype) {
        const message = ObjectGetOwnPropertyDescriptor(error, 'message');
        if (message !== undefined && ObjectPrototypeHasOwnProperty(message, 'value') && typeof message.value === 'string' &&
            StringPrototypeStartsWith(message.value, prefix)) {
          refuse(StringPrototypeSlice(message.value, prefix.length));
        }
      }
      throw error;
    }
  };

  const functions = {
    structuredClone(value, options = undefined) {
      requireArguments(arguments.length, 1, 'structuredClone');
      const { transfer } = dictionary(options, 'structuredClone', 'the options');
      const list = transfer === undefined ? [] : sequence(transfer, converters.object, 'structuredClone', 'options.transfer');
      for (let index = 0; index < list.length; index++) {
        if (!internal.isArrayBuffer(list[index])) refuse('only an ArrayBuffer can be transferred');
        if (isDetached(list[index])) refuse('an ArrayBuffer in the transfer list is detached');
        if (ArrayPrototypeIncludes(list, list[index], index + 1)) refuse('an ArrayBuffer is in the transfer list twice');
      }
      return internal.cloneValue(value, list);
    },
  };
  internal.expose('structuredClone', functions.structuredClone);
})
