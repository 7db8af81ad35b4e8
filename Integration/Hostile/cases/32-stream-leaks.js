const ways = {
  // A queue that nobody reads.
  '/enqueue': () => {
    new ReadableStream({ start(controller) { for (;;) controller.enqueue(new Uint8Array(1000)); } });
  },
  '/objects': () => {
    new ReadableStream({ start(controller) { for (let i = 0; ; i++) controller.enqueue({ i }); } });
  },
  '/write': () => {
    const writer = new WritableStream({ write: () => new Promise(() => {}) }).getWriter();
    for (;;) writer.write('x'.repeat(100)).catch(() => {});
  },
  // One branch is read, the other keeps everything.
  '/tee': async () => {
    let left, right;
    [left, right] = new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(10_000)); } }).tee();
    globalThis.kept = right;
    for await (const piece of left);
  },
  '/transform': async () => {
    const { readable, writable } = new TransformStream({ transform(piece, controller) { for (;;) controller.enqueue(piece); } });
    globalThis.kept = readable;
    const reading = readable.getReader().read();
    await writable.getWriter().write('x'.repeat(100));
    await reading;
  },
  '/clone': async () => {
    const kept = [];
    const body = 'x'.repeat(100_000);
    for (;;) kept.push(new Response(new Blob([body, String(kept.length)])).clone());
  },
  '/pipes': () => {
    const kept = [];
    for (;;) kept.push(new ReadableStream().pipeThrough(new TransformStream()));
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
