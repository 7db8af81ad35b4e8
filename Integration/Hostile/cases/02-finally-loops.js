const ways = {
  '/once': () => {
    try {
      for (;;);
    } finally {
      for (;;);
    }
  },
  '/again': () => {
    for (;;) {
      try {
        for (;;);
      } finally {
        continue;
      }
    }
  },
  '/generator': () => {
    const endless = (function* () {
      for (;;) {
        try {
          yield 1;
        } finally {
          continue;
        }
      }
    })();
    for (;;) {
      for (const value of endless) break;
    }
  },
  '/async': async () => {
    for (;;) {
      try {
        await null;
        for (;;);
      } finally {
        continue;
      }
    }
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
