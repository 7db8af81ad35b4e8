// Bodies without an end, both ways.
let pulled = 0, cancelled = 0;
export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/in': return new Response(`${(await request.arrayBuffer()).byteLength}`);
      case '/unread': return await new Promise(() => {});
      case '/out':
        return new Response(new ReadableStream({
          pull(controller) { pulled += 65536; controller.enqueue(new Uint8Array(65536).fill(97)); },
          cancel() { cancelled += 1; },
        }));
      case '/pulled': return new Response(`${pulled} ${cancelled}`);
      default: return new Response('fine');
    }
  },
};
