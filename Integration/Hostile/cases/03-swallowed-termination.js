const loop = () => {
  for (;;);
};

const ways = {
  '/catch': () => {
    for (;;) {
      try {
        loop();
      } catch {}
    }
  },
  '/promise': () => {
    const again = () => new Promise(loop).catch(again).finally(again);
    return again();
  },
  '/proxy': () => {
    for (;;) {
      try {
        new Proxy({}, { get: loop }).x;
      } catch {}
    }
  },
  '/sort': () => {
    for (;;) {
      try {
        [2, 1].sort(loop);
      } catch {}
    }
  },
  '/error-event': () => {
    addEventListener('error', (event) => {
      event.preventDefault();
      loop();
    });
    addEventListener('unhandledrejection', (event) => {
      event.preventDefault();
      loop();
    });
    Promise.reject(new Error('first'));
    return new Promise(() => {});
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
