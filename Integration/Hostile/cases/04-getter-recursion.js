const ways = {
  '/to-string': () => {
    const o = { toString: () => `${o}` };
    return `${o}`;
  },
  '/getter': () => {
    const o = { get x() { return this.x; } };
    return o.x;
  },
  '/value-of': () => {
    const o = { valueOf() { return this + 1; } };
    return o + 1;
  },
  '/to-json': () => {
    const o = { toJSON: () => JSON.stringify(o) };
    return JSON.stringify(o);
  },
  '/to-primitive': () => {
    const o = { [Symbol.toPrimitive]: () => o * 2 };
    return o * 2;
  },
};

export default {
  fetch(request) {
    const way = new URL(request.url).pathname;
    // Unwound from the depth of the stack, again and again.
    if (way === '/all') {
      for (;;) {
        for (const recursion of Object.values(ways)) {
          try {
            recursion();
          } catch {}
        }
      }
    }
    try {
      return new Response(String(ways[way]()));
    } catch (error) {
      return new Response(error.name);
    }
  },
};
