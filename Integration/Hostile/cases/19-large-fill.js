const ways = {
  '/fill': () => Array(1e9).fill().length,
  '/fill-value': () => Array(1e8).fill(0.5).length,
  '/from': () => Array.from({ length: 1e9 }).length,
  '/keys': () => [...Array(1e9).keys()].length,
  '/object': () => Object.assign({}, Array(1e8).fill(1)),
};

export default {
  fetch(request) {
    try {
      return new Response(String(ways[new URL(request.url).pathname]()));
    } catch (error) {
      return new Response(error.name);
    }
  },
};
