const caused = (count) => {
  let error = new Error('first');
  for (let i = 0; i < count; i++) error = new Error(`number ${i}`, { cause: error });
  return error;
};

const ways = {
  '/throw': () => { throw caused(1e5); },
  '/log': () => { console.error(caused(1e5)); },
  '/cycle': () => { const error = new Error('cycle'); error.cause = error; console.error(error); throw error; },
  '/to-json': () => { const o = { toJSON: () => ({ o }) }; return JSON.stringify(o); },
  '/to-json-fresh': () => { const fresh = () => ({ toJSON: fresh }); return JSON.stringify({ a: { toJSON: () => [fresh()] } }); },
  '/aggregate': () => { let error = new Error('x'); for (let i = 0; i < 1e5; i++) error = new AggregateError([error]); throw error; },
  '/reject': () => Promise.reject(caused(1e5)),
  '/report': () => { reportError(caused(1e5)); },
};

export default {
  async fetch(request) {
    const way = new URL(request.url).pathname;
    if (way.startsWith('/to-json')) {
      try {
        ways[way]();
      } catch (error) {
        return new Response(error.name);
      }
    }
    await ways[way]();
    return new Response('done');
  },
};
