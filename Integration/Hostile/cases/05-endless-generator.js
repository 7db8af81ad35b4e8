function* ones() {
  for (;;) yield 1;
}

async function* laterOnes() {
  for (;;) yield 1;
}

const ways = {
  '/for-of': () => {
    for (const one of ones());
  },
  '/for-await': async () => {
    for await (const one of laterOnes());
  },
  '/spread': () => [...ones()],
  '/map': () => new Map(ones()),
  '/set': () => new Set((function* () { for (let i = 0; ; i++) yield i % 10; })()),
  '/from': () => Array.from(ones(), () => 0),
  '/destructuring': () => {
    const [first, ...rest] = ones();
  },
  '/promise-all': () => Promise.all(ones()),
  '/delegated': () => {
    const nested = (depth) => (function* () { yield* depth ? nested(depth - 1) : ones(); })();
    for (const one of nested(100));
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
