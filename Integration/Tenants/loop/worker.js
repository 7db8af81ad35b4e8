// Misbehaves: never gives the processor back. Its neighbours do not notice; its clients get 503 cpu_limit.
export default {
  fetch() {
    for (;;) {}
  },
};
