// At every depth of the stack down to its end, something that is not JavaScript: a native operation must do with what is left.
const operations = {
  '/url': () => new URL('http://b\u00fccher.example/p?q#f').href,
  '/encode': () => new TextEncoder().encode('text'.repeat(100)).length,
  '/decode': () => new TextDecoder().decode(new Uint8Array(1000)),
  '/base64': () => atob(btoa('text'.repeat(100))),
  '/random': () => crypto.getRandomValues(new Uint8Array(100)),
  '/digest': () => void crypto.subtle.digest('SHA-256', new Uint8Array(100)).catch(() => {}),
  '/clone': () => structuredClone({ a: [1, { b: new Map([[1, 2]]) }] }),
  '/log': () => console.debug({ a: [1, { b: 2 }] }),
  '/timer': () => clearTimeout(setTimeout(() => {}, 1)),
  '/headers': () => new Response('x', { headers: { a: 'b' } }).headers.get('a'),
  '/json': () => JSON.parse(JSON.stringify({ a: [[[[1]]]] })),
  '/regexp': () => /^(?:a|b)*?c$/.exec('abababababc'),
  '/intl': () => (1234.5).toLocaleString('de') + 'a'.localeCompare('b') + 'x'.normalize('NFD'),
  '/date': () => new Date(0).toString() + new Date('2020-01-01').toISOString(),
  '/wasm': () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  '/import': () => void import('./nothing.js').catch(() => {}),
  '/bigint': () => (10n ** 1000n).toString().length,
  '/error': () => new Error('text').stack.length,
};

export default {
  fetch(request) {
    const operation = operations[new URL(request.url).pathname];
    let done = 0;
    let refused = 0;
    const descend = () => {
      try {
        operation();
        done++;
      } catch (error) {
        if (error.name !== 'RangeError' && error.name !== 'DataCloneError') throw error;
        refused++;
      }
      descend();
    };
    try {
      descend();
    } catch (error) {
      if (error.name !== 'RangeError') throw error;
    }
    return new Response(`${done > 10} ${refused >= 0}`);
  },
};
