(function (internal) {
  'use strict';
  // A snapshot keeps the bytecode of what ran while it was built: what nearly every tenant's first request runs is run here once, so that
  // no isolate compiles it again. Operations do nothing meanwhile: there is no host yet.
  const { RequestState, URL, URLSearchParams, makeRequest } = internal;
  const { Promise, globalThis } = internal.primordials;
  const { Response } = globalThis;

  const url = new URL('http://tenant.example:8080/a/path?name=value&other=1');
  void [url.href, url.origin, url.protocol, url.host, url.hostname, url.port, url.pathname, url.search, url.hash, url.searchParams.get('name')];
  new URLSearchParams('a=b').has('a');

  const request = makeRequest(new RequestState('GET', 'http://tenant.example/', 'host\ntenant.example\naccept\n*/*\n', undefined));
  void [request.method, request.url, request.headers.get('accept'), request.body];
  const { headersText, stateOf } = internal.response;
  headersText(stateOf(new Response('text')));
  headersText(stateOf(new Response('text', { status: 200, headers: { 'content-type': 'text/html', 'x-name': 'value' } })));
  headersText(stateOf(Response.json({ name: 'value' })));

  // A start, then a handler that answers at once and one that answers later.
  const { entry, hooks } = internal;
  const handlers = [() => new Response('text'), async () => { await undefined; return Response.json({ name: 'value' }); }];
  const run = async () => {
    for (let i = 0; i < handlers.length; i++) {
      hooks[1](Promise.resolve(), { default: { fetch: handlers[i] } });
      while (entry.fetch !== handlers[i]) await undefined;
      entry.env = {};
      hooks[2](i + 1, 'GET', 'http://tenant.example/', 'host\ntenant.example\n', 0, undefined);
    }
    // Until the second has answered.
    for (let i = 0; i < 20; i++) await undefined;
    entry.target = entry.fetch = entry.env = undefined;
  };
  run();
})
