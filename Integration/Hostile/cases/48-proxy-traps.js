const trap = (act) =>
  new Proxy(function () {}, new Proxy({}, { get: () => () => act() }));

// Each takes an object, and reads it in the runtime or in V8.
const readers = {
  headers: (o) => new Headers(o),
  'headers-pairs': (o) => new Headers([o]),
  'response-init': (o) => new Response('x', o),
  'response-status': (o) => new Response('x', { status: o }),
  'request-init': (o) => new Request('http://a/', o),
  search: (o) => new URLSearchParams(o),
  url: (o) => new URL(o),
  event: (o) => new Event('x', o),
  listener: (o) => addEventListener('x', () => {}, o),
  decode: (o) => new TextDecoder('utf-8', o),
  'decode-options': (o) => new TextDecoder().decode(new Uint8Array(1), o),
  encode: (o) => new TextEncoder().encode(o),
  blob: (o) => new Blob(o),
  form: (o) => new FormData().append('a', o),
  clone: (o) => structuredClone({ o }),
  'clone-options': (o) => structuredClone({}, o),
  stream: (o) => new ReadableStream(o),
  strategy: (o) => new ReadableStream({}, o),
  timer: (o) => setTimeout(() => {}, o),
  stringify: (o) => JSON.stringify({ o }),
  json: (o) => Response.json({ o }),
  abort: (o) => AbortSignal.any(o),
  digest: (o) => crypto.subtle.digest(o, new Uint8Array(1)),
  base64: (o) => btoa(o),
  wasm: (o) => new WebAssembly.Memory(o),
  'wasm-imports': (o) => new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0,
  ])), o),
  assign: (o) => Object.assign({}, o),
  sort: (o) => [3, o, 1].sort(),
  concat: (o) => [].concat(o),
  regexp: (o) => 'a'.replace(/a/, o),
  format: (o) => new Intl.NumberFormat('de', o),
  console: (o) => console.log(o, '%s %o', o),
};

export default {
  async fetch(request) {
    const [, act, name] = new URL(request.url).pathname.split('/');
    if (act === 'loop') {
      await readers[name](trap(() => { for (;;); }));
      return new Response('was not called');
    }
    const seen = [];
    for (const [name, read] of Object.entries(readers)) {
      try {
        await read(trap(() => { throw new Error('trap'); }));
        seen.push(`${name} done`);
      } catch (error) {
        if (error.message !== 'trap' && !(error instanceof Error)) seen.push(`${name} ${String(error)}`);
      }
    }
    return new Response(`alive ${seen.filter((text) => !text.endsWith(' done')).join(', ')}`);
  },
};
