// WebAssembly: sum.wasm is built from sum.wat by scripts/build-wasm and imported as a WebAssembly.Module.
import module from './sum.wasm';

const { sum } = new WebAssembly.Instance(module).exports;

export default {
  fetch(request) {
    const text = new URL(request.url).searchParams.get('n') ?? '1000000';
    const n = Number(text);
    if (!Number.isInteger(n) || n < 0 || n > 10_000_000) {
      return new Response('n must be a whole number from 0 to 10000000\n', { status: 400 });
    }
    return Response.json({ n, sum: String(sum(n)) });
  },
};
