(function (internal) {
  'use strict';
  // fetch: there is no way out of a cell yet. The arguments are checked and the attempt counted, as they will be.
  const { Error, ObjectDefineProperty, PromiseReject, TypeError } = internal.primordials;
  const { requireArguments } = internal.webidl;
  const { limits } = internal.ops;

  const refusal = (Kind, code, message) => {
    const error = new Kind(`${code}: ${message}`);
    ObjectDefineProperty(error, 'code', { __proto__: null, value: code, writable: true, enumerable: true, configurable: true });
    return error;
  };

  const start = (input, init) => {
    const request = internal.constructRequest(input, init);
    const signal = request.follows === undefined ? undefined : internal.requestSignalOf(request);
    if (signal !== undefined && internal.isAborted(signal)) throw internal.abortReason(signal);
    if (request.settings.integrity !== '') throw new TypeError('fetch: options.integrity is not supported');
    const exchange = internal.currentExchange();
    if (exchange === undefined) {
      throw new Error('fetch: a fetch belongs to a request that is being handled; there is none at start-up, or it is over');
    }
    const limit = limits();
    if (exchange.subrequestCount >= limit) throw refusal(Error, 'subrequest_limit', `a request may make ${limit} subrequests at most`);
    exchange.subrequestCount++;
    throw refusal(TypeError, 'outbound_denied', `this version offers no outgoing requests: ${request.method} ${request.url}`);
  };

  const functions = {
    fetch(input, init = undefined) {
      try {
        requireArguments(arguments.length, 1, 'fetch');
        return start(input, init);
      } catch (error) {
        return PromiseReject(error);
      }
    },
  };
  internal.expose('fetch', functions.fetch);
})
