export default {
  fetch() {
    const results = [];
    const attempt = (what) => {
      try {
        results.push(String(what()));
      } catch (error) {
        results.push(error.name);
      }
    };
    // Where the engine has them. Their memory must not come from outside the quota either.
    const isThere = 'resize' in ArrayBuffer.prototype;
    attempt(() => {
      const buffer = new ArrayBuffer(1024, { maxByteLength: 2 ** 31 });
      if (!isThere) return 'fixed';
      buffer.resize(2 ** 30);
      return new Uint8Array(buffer).fill(1).length;
    });
    attempt(() => {
      if (!isThere) throw new RangeError();
      const kept = [];
      for (;;) kept.push(new ArrayBuffer(1, { maxByteLength: 2 ** 30 }).resize(1 << 24));
    });
    return new Response(results.join(' '));
  },
};
