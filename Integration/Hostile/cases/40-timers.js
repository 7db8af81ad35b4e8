let fired = 0;

export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/million': {
        let set = 0;
        try {
          for (; set < 1e6; set++) setTimeout(() => fired++, 60_000);
        } catch (error) {
          return new Response(`${error.name} ${set}`);
        }
        return new Response('no limit');
      }
      case '/interval':
        // They go on as long as the request does.
        for (let i = 0; i < 100; i++) setInterval(() => fired++, 0);
        await new Promise((done) => setTimeout(done, 200));
        return new Response(String(fired > 0));
      case '/busy':
        for (let i = 0; i < 100; i++) setInterval(() => { for (let j = 0; j < 1e6; j++); }, 0);
        return new Promise(() => {});
      case '/chain': {
        const again = () => setTimeout(again, 0);
        again();
        return new Promise(() => {});
      }
      default: {
        const before = fired;
        await new Promise((done) => setTimeout(done, 50));
        return new Response(String(fired - before));
      }
    }
  },
};
