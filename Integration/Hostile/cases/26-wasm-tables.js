const attempt = (what) => {
  try {
    return String(what());
  } catch (error) {
    return error.name;
  }
};

export default {
  fetch(request) {
    const table = (initial) => new WebAssembly.Table({ initial, element: 'anyfunc' });
    if (request.url.endsWith('/maximum')) return new Response(attempt(() => table(10_000_000).length));
    if (request.url.endsWith('/beyond')) return new Response(attempt(() => table(10_000_001).length));
    if (request.url.endsWith('/grow')) {
      return new Response(attempt(() => {
        const growing = table(1);
        for (;;) growing.grow(100_000);
      }));
    }
    const kept = [];
    for (;;) kept.push(table(100_000));
  },
};
