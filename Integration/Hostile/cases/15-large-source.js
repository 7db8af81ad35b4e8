const text = (bytes) => 'a;'.repeat(bytes / 2);

const ways = {
  '/eval': () => eval(text(4e8)),
  '/function': () => new Function(text(4e8)),
  '/nested': () => eval('('.repeat(2e8)),
  '/string': () => eval(`'${'a'.repeat(4e8)}'`),
};

export default {
  fetch(request) {
    const way = new URL(request.url).pathname;
    if (way === '/small') return new Response(String(eval('1 + 1')));
    try {
      return new Response(String(ways[way]()));
    } catch (error) {
      return new Response(error.name);
    }
  },
};
