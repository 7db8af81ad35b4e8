const kept = [];
let called = 0;
const registry = new FinalizationRegistry((value) => {
  called++;
  // Registers again from within, and makes garbage so that there is always something to call it for.
  for (let i = 0; i < 2; i++) register(value + 1);
  if (value === 'loop') for (;;);
  if (value === 'throw') throw new Error('from a finalizer');
});
const register = (value) => registry.register(new Array(1000).fill(value), value);

const collect = () => { for (let i = 0; i < 3e4; i++) new Array(1000).fill(i); };

export default {
  async fetch(request) {
    const value = new URL(request.url).pathname.slice(1);
    for (let i = 0; i < 100; i++) register(value);
    for (let i = 0; i < 5; i++) {
      collect();
      await new Promise((done) => setTimeout(done, 1));
    }
    return new Response('done');
  },
};
