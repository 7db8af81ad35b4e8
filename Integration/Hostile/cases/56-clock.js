// Everything that could tell time within a turn, before and after work.
const clocks = {
  date: () => Date.now(),
  object: () => new Date().getTime(),
  text: () => Date(),
  performance: () => performance.now(),
  origin: () => performance.timeOrigin,
  event: () => new Event('x').timeStamp,
  file: () => new File([], 'x').lastModified,
  format: () => new Intl.DateTimeFormat('en', { timeStyle: 'full', fractionalSecondDigits: undefined }).format(),
  milliseconds: () => new Intl.DateTimeFormat('en', { fractionalSecondDigits: 3 }).format(),
};

export default {
  async fetch() {
    const before = Object.values(clocks).map((read) => read());
    for (let i = 0, x = 0; i < 3e7; i++) x += i;
    const after = Object.values(clocks).map((read) => read());
    // Microtasks are part of the turn; a timer begins another.
    for (let i = 0; i < 1000; i++) await null;
    const later = Object.values(clocks).map((read) => read());
    const moved = Object.keys(clocks).filter((name, i) => before[i] !== after[i] || before[i] !== later[i]);
    await new Promise((done) => setTimeout(done, 20));
    return new Response(`${moved.join() || 'frozen'} ${Date.now() > before[0]} ${'SharedArrayBuffer' in globalThis}`);
  },
};
