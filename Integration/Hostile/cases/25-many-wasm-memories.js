const modules = [];

/// Differs from all others by its custom section.
const number = (n) => { const bytes = []; do bytes.push((n & 127) | (n > 127 ? 128 : 0)); while ((n >>= 7)); return bytes; };
const module = (n) => {
  const body = [0, ...new Array(400).fill([0x41, 0, 0x1a]).flat(), 0x0b];
  const code = [1, ...number(body.length), ...body];
  const name = [...`${n}`].map((digit) => digit.charCodeAt(0));
  const custom = [name.length, ...name];
  return new WebAssembly.Module(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, ...number(code.length), ...code, 0, custom.length, ...custom,
  ]));
};

export default {
  fetch(request) {
    const kept = [];
    if (request.url.endsWith('/modules')) {
      for (let i = 0; i < 200; i++) modules.push(module(modules.length));
      return new Response('200 more');
    }
    if (request.url.endsWith('/garbage')) {
      for (let i = 0; i < 2500; i++) module(i);
      return new Response('2500 that nobody keeps');
    }
    const initial = request.url.endsWith('/large') ? 64 : request.url.endsWith('/empty') ? 0 : 1;
    try {
      for (let i = 0; i < 10000; i++) kept.push(new WebAssembly.Memory({ initial, maximum: 65536 }));
    } catch (error) {
      return new Response(error.name);
    }
    return new Response(String(kept.length));
  },
};
