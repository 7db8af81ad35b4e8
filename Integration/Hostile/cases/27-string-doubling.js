const ways = {
  // Ropes: no memory until somebody looks.
  '/rope': () => {
    let s = 'ab';
    try {
      for (;;) s += s;
    } catch (error) {
      return error.name;
    }
  },
  '/flat': () => {
    let s = 'ab';
    for (;;) {
      s += s;
      s.charCodeAt(s.length / 2);
    }
  },
  '/two-byte': () => {
    let s = '\u1234';
    for (;;) {
      s += s;
      s.indexOf('\u4321');
    }
  },
  '/template': () => {
    let s = 'x';
    for (;;) s = encodeURIComponent(`${s}%${s}`);
  },
};

export default { fetch: (request) => new Response(ways[new URL(request.url).pathname]()) };
