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
    if (value === 'throw') {
      // What is old is collected with these, and the finalizers are called for it.
      for (let i = 0, large = []; i < 40; i++) large.push(new Array(100000).fill(i));
      for (let i = 0; i < 30; i++) new ArrayBuffer(3 << 20);
    }
    for (let i = 0; i < 5; i++) {
      collect();
      await new Promise((done) => setTimeout(done, 1));
    }
    return new Response('done');
  },
};
