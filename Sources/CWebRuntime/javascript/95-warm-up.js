(function (internal) {
  'use strict';
  // A snapshot keeps the bytecode of what ran while it was built: what nearly every tenant's first request runs is run here once, so that
  // no isolate compiles it again. Nothing here may call an operation: there is no host yet.
  const { RequestState, URL, URLSearchParams, makeRequest } = internal;
  const { Response } = internal.primordials.globalThis;

  const url = new URL('http://tenant.example:8080/a/path?name=value&other=1');
  void [url.href, url.origin, url.protocol, url.host, url.hostname, url.port, url.pathname, url.search, url.hash, url.searchParams.get('name')];
  new URLSearchParams('a=b').has('a');

  const request = makeRequest(new RequestState('GET', 'http://tenant.example/', 'host\ntenant.example\naccept\n*/*\n', undefined));
  void [request.method, request.url, request.headers.get('accept'), request.body];
  const { headersText, stateOf } = internal.response;
  headersText(stateOf(new Response('text')));
  headersText(stateOf(new Response('text', { status: 200, headers: { 'content-type': 'text/html', 'x-name': 'value' } })));
  headersText(stateOf(Response.json({ name: 'value' })));
})
