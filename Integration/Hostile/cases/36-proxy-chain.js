const chain = (handler = {}) => {
  let proxy = function () {};
  for (let i = 0; i < 1e5; i++) proxy = new Proxy(proxy, handler);
  return proxy;
};

const ways = {
  '/get': () => chain().x,
  '/set': () => { chain().x = 1; },
  '/has': () => 'x' in chain(),
  '/call': () => chain()(),
  '/construct': () => new (chain())(),
  '/keys': () => Object.keys(chain()),
  '/array': () => Array.isArray(chain()),
  '/instance': () => ({}) instanceof chain(),
  '/prototype': () => Object.getPrototypeOf(chain()),
  '/extensible': () => Object.isExtensible(chain()),
  '/prototypes': () => { let o = {}; for (let i = 0; i < 1e5; i++) o = Object.create(new Proxy(o, {})); return o.x; },
  '/bound': () => { let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); return f(); },
  '/stringify': () => JSON.stringify(chain()),
  '/inspect': () => console.debug(chain()),
  '/clone': () => structuredClone(chain()),
};

export default {
  fetch(request) {
    try {
      ways[new URL(request.url).pathname]();
      return new Response('done');
    } catch (error) {
      return new Response(error.name);
    }
  },
};
