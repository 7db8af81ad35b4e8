// Misbehaves: a microtask that queues itself, so that the turn never ends. 503 cpu_limit.
export default {
  fetch() {
    const again = () => Promise.resolve().then(again);
    return again();
  },
};
