// There is no way to make one: no ShadowRealm, no iframe, no vm. What comes nearest is a function with a scope of its own, and modules.
export default {
  async fetch(request) {
    if (request.url.endsWith('/ways')) {
      const ways = ['ShadowRealm', 'Worker', 'SharedWorker', 'document', 'require', 'process', 'vm', 'Realm', 'createContext'];
      return new Response(ways.filter((name) => name in globalThis).join(' ') || 'none');
    }
    const kept = [];
    for (let i = 0; ; i++) kept.push(new Function('a', `const o = { x${i}: a }; return () => o.x${i};`)(i));
  },
};
