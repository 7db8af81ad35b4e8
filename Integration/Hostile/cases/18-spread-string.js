const ways = {
  // Longer than a string can be.
  '/billion': () => [...'.'.repeat(1e9)],
  '/half': () => [...'.'.repeat(5e8)],
  '/arguments': () => Math.max(...'1'.repeat(1e8)),
  '/from': () => Array.from('.'.repeat(5e8)),
  '/split': () => '.'.repeat(5e8).split(''),
};

export default {
  fetch(request) {
    try {
      return new Response(String(ways[new URL(request.url).pathname]().length));
    } catch (error) {
      return new Response(error.name);
    }
  },
};
