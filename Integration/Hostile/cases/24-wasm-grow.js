// (module (memory (export "memory") 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
const bytes = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 17, 2, 6, 109, 101, 109, 111, 114, 121, 2, 0,
  4, 103, 114, 111, 119, 0, 0, 10, 8, 1, 6, 0, 32, 0, 64, 0, 11,
]);

const touch = (memory) => new Uint8Array(memory.buffer).fill(1);

export default {
  fetch(request) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    if (request.url.endsWith('/inside')) {
      let pages = 1;
      // -1 is what WebAssembly says when it gets no more.
      while (exports.grow(16) !== -1) {
        pages += 16;
        touch(exports.memory);
      }
      return new Response(`${pages >= 256 && pages <= 1024} ${exports.grow(65000)}`);
    }
    try {
      for (;;) {
        exports.memory.grow(16);
        touch(exports.memory);
      }
    } catch (error) {
      return new Response(`${error.name} ${exports.memory.buffer.byteLength <= 64 << 20}`);
    }
  },
};
