// Errors that fight back when somebody looks at them to write them down.
const angry = (act) => {
  const error = new Error('angry');
  for (const name of ['message', 'name', 'stack', 'cause', 'toString', 'constructor', Symbol.toPrimitive, Symbol.toStringTag]) {
    Object.defineProperty(error, name, { get: act });
  }
  return error;
};

const acts = {
  '/loop': () => { for (;;); },
  '/throw': () => { throw new Error('from a getter'); },
  '/recursion': () => { throw angry(acts['/recursion']); },
  '/exit': () => { globalThis.ran = true; return 'from a getter'; },
};

export default {
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    if (pathname === '/ran') return new Response(String(globalThis.ran));
    switch (search) {
      case '?throw':
        throw angry(acts[pathname]);
      case '?reject':
        Promise.reject(angry(acts[pathname]));
        return new Response('done');
      case '?log':
        console.error(angry(acts[pathname]), { nested: angry(acts[pathname]) });
        return new Response('done');
      case '?timer':
        setTimeout(() => { throw angry(acts[pathname]); }, 0);
        return new Promise((done) => setTimeout(() => done(new Response('done')), 20));
      case '?proxy':
        throw new Proxy(new Error('proxied'), { get: acts[pathname], getPrototypeOf: acts[pathname] });
      default:
        throw Object.create(null, { message: { get: acts[pathname] } });
    }
  },
};
