// Promise chains that want to go on when their request has ended: with an answer, over its CPU time, over its wall time.
let steps = 0;

const chain = () => Promise.resolve().then(() => steps++).then(chain);
const timed = () => new Promise((done) => setTimeout(done, 1)).then(() => steps++).then(timed, timed);

export default {
  fetch(request, env, ctx) {
    switch (new URL(request.url).pathname) {
      case '/cpu':
        return chain();
      case '/wall':
        return timed();
      case '/answered':
        timed();
        return new Response('answered');
      case '/wait-until':
        ctx.waitUntil(chain());
        return new Response('answered');
      default:
        return new Response(String(steps));
    }
  },
};
