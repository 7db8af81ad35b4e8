// For what a switch costs: the same loop with an interrupt that does nothing, and with one that suspends.
export const cases = {
  nothing: ({ ops }) => { for (let i = 0; i < 1000; i++) ops.interrupt(); },
  suspend: ({ ops }) => { for (let i = 0; i < 1000; i++) ops.preempt(); },
};
