// Keeps something of every kind under way: timers, a stream that is pulled, microtasks, a body that is read.
const busy = () => { for (let i = 0; i < 1e5; i++); };

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === '/fine') return new Response('fine');
    for (let i = 0; i < 20; i++) setInterval(busy, 1);
    if (pathname === '/wait-until') {
      ctx.waitUntil(new Promise((done) => setTimeout(done, 300)));
      return new Response('answered');
    }
    let pieces = 0;
    return new Response(new ReadableStream({
      async pull(controller) {
        busy();
        await new Promise((done) => setTimeout(done, 5));
        controller.enqueue(new TextEncoder().encode('x'.repeat(1000)));
        if (pathname === '/stream' && ++pieces === 60) controller.close();
      },
      cancel: busy,
    }));
  },
};
