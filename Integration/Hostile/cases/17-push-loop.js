const ways = {
  '/objects': () => {
    const kept = [];
    for (;;) kept.push({});
  },
  '/numbers': () => {
    const kept = [];
    for (let i = 0; ; i++) kept.push(i);
  },
  '/doubles': () => {
    const kept = [];
    for (;;) kept.push(0.5);
  },
  '/unshift': () => {
    const kept = [];
    for (;;) kept.unshift(kept.length);
  },
  '/keys': () => {
    const kept = {};
    for (let i = 0; ; i++) kept[`key ${i}`] = i;
  },
  '/later': async () => {
    const kept = [];
    for (;;) {
      kept.push(new Array(1000).fill(0));
      await null;
    }
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
