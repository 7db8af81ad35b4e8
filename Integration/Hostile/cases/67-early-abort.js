// Clients that go away at any byte.
let aborted = 0;
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === '/aborted') return new Response(`${aborted}`);
    request.signal.addEventListener('abort', () => { aborted += 1; });
    const text = await request.text();
    return new Response(text.toUpperCase());
  },
};
