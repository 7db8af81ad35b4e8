// Buffers so small that V8 must get them, when the quota is used up.
export default {
  fetch(request) {
    const kept = [];
    try {
      for (;;) kept.push(new Uint8Array(1 << 20));
    } catch {}
    try {
      for (;;) kept.push(new Uint8Array(1 << 10));
    } catch {}
    if (request.url.endsWith('/some')) {
      for (let i = 0; i < 1000; i++) kept.push(new Uint8Array(1), new Float64Array(8), new ArrayBuffer(64));
      return new Response(String(kept.at(-1).byteLength));
    }
    if (request.url.endsWith('/buffers')) for (;;) kept.push(new ArrayBuffer(64));
    for (;;) kept.push(new Uint8Array(65));
  },
};
