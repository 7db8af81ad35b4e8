// An array of 100 million elements, and a second one.
const large = () => new Array(1e8).fill(1);

const ways = {
  '/slice': () => large().slice(),
  '/spread': () => [...large()],
  '/concat': () => large().concat(large()),
  '/map': () => large().map((x) => x),
  '/clone': () => structuredClone(large()),
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]().length)) };
