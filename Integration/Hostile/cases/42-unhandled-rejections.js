const ways = {
  '/flood': () => { for (let i = 0; i < 1e5; i++) Promise.reject(new Error(`number ${i}`)); },
  '/kept': () => { const kept = []; for (let i = 0; i < 1e5; i++) kept.push(Promise.reject(i)); globalThis.kept = kept; },
  '/handled-later': () => {
    const kept = [];
    for (let i = 0; i < 5e4; i++) kept.push(Promise.reject(i));
    for (const promise of kept) promise.catch(() => {});
  },
  '/from-handler': () => {
    addEventListener('unhandledrejection', () => { for (let i = 0; i < 10; i++) Promise.reject(i); });
    Promise.reject(0);
  },
  '/endless': () => { for (;;) Promise.reject(new Error('again')); },
};

export default {
  fetch(request) {
    ways[new URL(request.url).pathname]();
    return new Response('done');
  },
};
