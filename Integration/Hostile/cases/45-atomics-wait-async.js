export default {
  fetch() {
    let done = 0;
    try {
      const cells = new Int32Array(typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(4) : new SharedArrayBuffer(4));
      for (; done < 1e6; done++) Atomics.waitAsync(cells, 0, 0);
    } catch (error) {
      return new Response(`throws ${error instanceof Error} after ${done}`);
    }
    return new Response('waits');
  },
};
