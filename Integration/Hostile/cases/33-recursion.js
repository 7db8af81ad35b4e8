const ways = {
  '/plain': () => { const f = () => 1 + f(); return f(); },
  '/arguments': () => { const f = (...all) => f(...all, ...all.slice(0, 10)); return f(1, 2, 3); },
  '/constructor': () => { class A { constructor() { this.a = new A(); } } return new A(); },
  '/generator': () => { const f = function* () { yield* f(); }; return f().next(); },
  '/async': async () => { const f = async () => { await f(); }; return f(); },
  '/mutual': () => { const even = (n) => n === 0 || odd(n - 1), odd = (n) => n !== 0 && even(n - 1); return even(1e9); },
  '/sort': () => { const f = () => [2, 1].sort(f); return f(); },
  '/proxy': () => { const p = new Proxy({}, { get: (target, name, receiver) => receiver[name] }); return p.x; },
  '/apply': () => { const f = () => Reflect.apply(f, null, []); return f(); },
  '/replace': () => { const f = () => 'a'.replace(/a/, f); return f(); },
};

export default {
  async fetch(request) {
    try {
      return new Response(String(await ways[new URL(request.url).pathname]()));
    } catch (error) {
      return new Response(error.name);
    }
  },
};
