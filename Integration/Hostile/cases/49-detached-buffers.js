// Buffers that are taken away by a getter or a callback while the runtime is about to read or write them.
const detach = (buffer) => structuredClone(null, { transfer: [buffer] });
const bytes = () => new Uint8Array(1 << 16).fill(97);

const ways = {
  decode: () => {
    const view = bytes();
    return new TextDecoder().decode(view, { get stream() { detach(view.buffer); return false; } }).length;
  },
  encode: () => {
    const view = bytes();
    return new TextEncoder().encodeInto({ toString() { detach(view.buffer); return 'x'.repeat(1000); } }, view).written;
  },
  digest: async () => {
    const view = bytes();
    return (await crypto.subtle.digest({ get name() { detach(view.buffer); return 'SHA-256'; } }, view)).byteLength;
  },
  response: async () => {
    const view = bytes();
    const response = new Response(view);
    detach(view.buffer);
    return (await response.text()).length;
  },
  'response-init': async () => {
    const view = bytes();
    const response = new Response(view, { get status() { detach(view.buffer); return 200; } });
    return (await response.arrayBuffer()).byteLength;
  },
  blob: async () => {
    const view = bytes();
    return (await new Blob([view, { toString() { detach(view.buffer); return 'x'; } }, view]).text()).length;
  },
  enqueue: async () => {
    const view = bytes();
    const stream = new ReadableStream({ type: 'bytes', start(controller) { controller.enqueue(view); controller.close(); } });
    return view.byteLength + (await new Response(stream).arrayBuffer()).byteLength;
  },
  byob: async () => {
    const view = bytes();
    const stream = new ReadableStream({
      type: 'bytes',
      pull(controller) { const { view } = controller.byobRequest; detach(view.buffer); controller.byobRequest.respond(1); },
    });
    return (await stream.getReader({ mode: 'byob' }).read(view)).value.length;
  },
  transfer: () => {
    const view = bytes();
    return structuredClone({ get a() { detach(view.buffer); return view; } }, { transfer: [view.buffer] });
  },
  random: () => { const view = bytes(); detach(view.buffer); return crypto.getRandomValues(view).length; },
  sort: () => { const view = bytes(); return view.sort(() => { if (view.length) detach(view.buffer); return 1; }).length; },
  fill: () => { const view = bytes(); return view.fill({ valueOf() { detach(view.buffer); return 1; } }).length; },
  set: () => { const view = bytes(); view.set({ length: 10, get 5() { detach(view.buffer); return 1; } }); return view.length; },
  slice: () => {
    const view = bytes();
    view.constructor = { [Symbol.species]: function (length) { detach(view.buffer); return new Uint8Array(length); } };
    return view.slice(1).length;
  },
  wasm: () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const view = new Uint8Array(memory.buffer);
    return new TextDecoder().decode(view, { get stream() { memory.grow(1); return false; } }).length;
  },
};

export default {
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    if (name === 'body') {
      // Taken away while it is sent.
      const view = bytes();
      return new Response(new ReadableStream({ start(controller) { controller.enqueue(view); detach(view.buffer); controller.close(); } }));
    }
    let done = 0;
    for (const way of Object.values(ways)) {
      try {
        await way();
      } catch (error) {
        if (!(error instanceof Error) && !(error instanceof DOMException)) throw error;
      }
      done++;
    }
    return new Response(`${done === Object.keys(ways).length}`);
  },
};
