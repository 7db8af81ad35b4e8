// Misbehaves: takes memory until it is stopped. Its clients get 503 memory_limit, and the next request a fresh isolate.
export default {
  fetch() {
    const hoard = [];
    for (;;) hoard.push({ index: hoard.length, text: `item ${hoard.length}` });
  },
};
