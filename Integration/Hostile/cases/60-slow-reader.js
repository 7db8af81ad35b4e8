// Answers far more than a client reads.
let cancelled = 0;
export default {
  fetch(request) {
    if (new URL(request.url).pathname === '/cancelled') return new Response(`${cancelled}`);
    return new Response(new ReadableStream({
      pull(controller) { controller.enqueue(new Uint8Array(65536).fill(97)); },
      cancel() { cancelled += 1; },
    }));
  },
};
