// Kept until there are no more, and given back; never more than the quota at a time.
export default {
  fetch() {
    const kept = [];
    let caught;
    for (;;) {
      try {
        kept.push(new ArrayBuffer(1 << 20));
      } catch (error) {
        caught = error.name;
        break;
      }
    }
    const held = kept.length;
    for (const large of [2 ** 32, 2 ** 40, 2 ** 53]) {
      try {
        new ArrayBuffer(large);
        caught = 'no error';
      } catch (error) {
        if (error.name !== 'RangeError') caught = error.name;
      }
    }
    return new Response(`${caught} ${held > 32 && held <= 64}`);
  },
};
