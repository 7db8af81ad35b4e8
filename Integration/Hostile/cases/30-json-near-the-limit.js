const ways = {
  '/stringify': () => {
    const deep = Array.from({ length: 200_000 }, (_, i) => ({ i, text: 'x'.repeat(10) }));
    let text = '';
    for (;;) text = JSON.stringify([deep, text]);
  },
  '/parse': () => {
    const text = JSON.stringify(Array.from({ length: 300_000 }, (_, i) => ({ i })));
    const kept = [];
    for (;;) kept.push(JSON.parse(text));
  },
  '/reviver': () => {
    const kept = [];
    const text = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => i));
    for (;;) JSON.parse(text, (key, value) => (kept.push([key, value]), value));
  },
  '/indent': () => JSON.stringify(Array.from({ length: 1000 }, () => Array(1000).fill([[[[1]]]])), null, 10),
  '/response': () => {
    const kept = [];
    for (;;) kept.push(Response.json(Array(10_000).fill('text')));
  },
};

export default {
  async fetch(request) {
    return new Response(String((await ways[new URL(request.url).pathname]()).length > 0));
  },
};
