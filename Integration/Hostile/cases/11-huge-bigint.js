const digits = (count) => 1n << BigInt(Math.floor(count * 3.3219));

const ways = {
  '/multiply': () => {
    const a = digits(5e7);
    return a * (a - 1n);
  },
  '/power': () => 3n ** 200000000n,
  '/print': () => (digits(1e8) - 1n).toString(),
  '/parse': () => BigInt('9'.repeat(1e8)),
  '/divide': () => (digits(1e8) - 1n) / (digits(5e7) - 3n),
  '/too-large': () => {
    try {
      return 1n << 2000000000n;
    } catch (error) {
      return error.name;
    }
  },
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]()).slice(0, 20)) };
