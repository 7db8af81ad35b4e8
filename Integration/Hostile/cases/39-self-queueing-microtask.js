const ways = {
  '/queue': () => { const again = () => queueMicrotask(again); again(); },
  '/promise': () => { const again = () => Promise.resolve().then(again); again(); },
  '/two': () => { const again = () => { queueMicrotask(again); queueMicrotask(again); }; again(); },
  '/async': async () => { for (;;) await null; },
  '/thenable': () => ({ then(resolve) { resolve(this); } }),
};

export default {
  async fetch(request) {
    await ways[new URL(request.url).pathname]();
    return new Response('it may be answered before the limit is reached');
  },
};
