let seed = 1;
const random = () => (seed = (seed * 48271) % 2147483647);

const ways = {
  '/numbers': () => Array.from({ length: 1e7 }, random).sort(),
  '/compared': () => Array.from({ length: 1e7 }, random).sort((a, b) => a - b),
  '/typed': () => {
    const numbers = new Float64Array(1e7);
    for (;;) numbers.map(random).sort();
  },
  '/inconsistent': () => Array.from({ length: 1e7 }, random).sort(() => (random() % 3) - 1),
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]().length)) };
