// Streams: server-sent events, and a request's body sent back in capitals while it still comes.
const page = `<!doctype html><title>stream</title><h1>Server-sent events</h1><ol id="list"></ol>
<script>new EventSource('/events').onmessage = (e) => { list.append(Object.assign(document.createElement('li'), { textContent: e.data })); };</script>
`;

function events() {
  const encoder = new TextEncoder();
  let count = 0;
  let timer;
  const body = new ReadableStream({
    start(controller) {
      timer = setInterval(() => {
        count += 1;
        controller.enqueue(encoder.encode(`id: ${count}\ndata: ${JSON.stringify({ count, time: new Date().toISOString() })}\n\n`));
        if (count === 10) {
          clearInterval(timer);
          controller.close();
        }
      }, 500);
    },
    cancel() {
      clearInterval(timer);
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } });
}

function upper(request) {
  if (!request.body) return new Response('send a body\n', { status: 400 });
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const capitals = new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(encoder.encode(decoder.decode(chunk, { stream: true }).toUpperCase()));
    },
    flush(controller) {
      controller.enqueue(encoder.encode(decoder.decode().toUpperCase()));
    },
  });
  return new Response(request.body.pipeThrough(capitals), { headers: { 'content-type': 'text/plain;charset=UTF-8' } });
}

export default {
  fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/': return new Response(page, { headers: { 'content-type': 'text/html;charset=UTF-8' } });
      case '/events': return events();
      case '/upper': return upper(request);
      default: return new Response('not found\n', { status: 404 });
    }
  },
};
