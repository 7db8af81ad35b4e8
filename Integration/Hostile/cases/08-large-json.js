const ways = {
  '/array': () => JSON.parse('[' + '1,'.repeat(5e7) + '1]').length,
  '/objects': () => JSON.parse('[' + '{"a":[]},'.repeat(1.1e7) + '1]').length,
  '/keys': () => JSON.parse('{' + Array.from({ length: 1e6 }, (_, i) => `"${i}x":1,`).join('') + '"a":1}'),
  '/string': () => JSON.parse('"' + 'a'.repeat(1e8) + '"').length,
  '/malformed': () => {
    try {
      JSON.parse(' '.repeat(1e8));
    } catch (error) {
      return error.name;
    }
  },
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]())) };
