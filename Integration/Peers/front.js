// What both routers share: their arguments, and an HTTP front by what each runtime does fastest.
import http from 'node:http';

export function readArguments() {
  const values = {};
  for (let i = 2; i < process.argv.length; i += 2) values[process.argv[i].slice(2)] = process.argv[i + 1];
  if (!values.port || !values.tenants) {
    console.error('use: --port P --tenants DIR');
    process.exit(64);
  }
  return values;
}

/** The tenant that a Host header names, or null. */
export function tenantOf(host) {
  const match = /^([a-z0-9-]{1,63})\.localhost(:\d+)?$/.exec(host ?? '');
  return match ? match[1] : null;
}

/** Listens on loopback; `handle(tenant, {method, url, headers, body})` gives `{status, headers, body}`. */
export function listen(port, handle) {
  const answer = async (host, request) => {
    const tenant = tenantOf(host);
    if (!tenant) return { status: 404, headers: [], body: 'no such tenant' };
    try {
      return await handle(tenant, request);
    } catch (error) {
      return { status: error.code === 'unknown' ? 404 : 500, headers: [], body: String(error.message) };
    }
  };
  const fetch = async (request) => {
    const body = request.body ? await request.arrayBuffer() : undefined;
    const { status, headers, body: text } = await answer(request.headers.get('host'), {
      method: request.method, url: request.url, headers: [...request.headers], body,
    });
    return new Response(text, { status, headers });
  };
  if (globalThis.Deno) Deno.serve({ port, hostname: '127.0.0.1', onListen: () => console.log('ready') }, fetch);
  else if (globalThis.Bun) { Bun.serve({ port, hostname: '127.0.0.1', fetch, idleTimeout: 0 }); console.log('ready'); }
  else {
    http.createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const { status, headers, body } = await answer(request.headers.host, {
        method: request.method, url: `http://${request.headers.host}${request.url}`,
        headers: Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        body: pieces.length ? Buffer.concat(pieces) : undefined,
      });
      response.writeHead(status, Object.fromEntries(headers)).end(typeof body === 'string' ? body : Buffer.from(body));
    }).listen(port, '127.0.0.1', () => console.log('ready'));
  }
}

/** Calls a tenant's module as Workers do. */
export async function call(module, { method, url, headers, body }) {
  const response = await module.default.fetch(new Request(url, { method, headers, body }), {}, { waitUntil() {} });
  return { status: response.status, headers: [...response.headers], body: await response.arrayBuffer() };
}
