export default {
  fetch() {
    try {
      const cells = new Int32Array(typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(4) : new SharedArrayBuffer(4));
      return new Response(Atomics.wait(cells, 0, 0, 60_000));
    } catch (error) {
      return new Response(`throws ${error instanceof Error}`);
    }
  },
};
