const text = () => 'ab'.repeat(5e7);

const ways = {
  '/matches': () => {
    for (;;) text().match(/(?:a|b)c/);
  },
  '/every': () => {
    for (;;) for (const match of text().matchAll(/a/g));
  },
  '/all-at-once': () => text().match(/./g).length,
  '/split': () => text().split(/b/).length,
  '/replace': () => text().replace(/a/g, 'xx').length,
  '/fine': () => /c$/.test(text()),
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]())) };
