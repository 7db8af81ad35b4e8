const guarded = (bomb) => () => {
  try {
    return bomb();
  } catch (error) {
    return error.name;
  }
};

const ways = {
  '/replace-all': () => 'a'.repeat(1e4).replaceAll('a', 'b'.repeat(2e4)).length,
  '/replace-all-empty': () => 'a'.repeat(1e7).replaceAll('', 'bbbbbbbbbbbbbbb').length,
  '/join': () => Array(2e4).fill('a'.repeat(1e4)).join('').length,
  '/join-nothing': () => new Array(1e8).join('ab').length,
  '/too-long': guarded(() => Array(1e5).fill('a'.repeat(1e5)).join('').length),
  '/dollar': guarded(() => 'a'.repeat(2 ** 14).replace(/a+/, '$&'.repeat(2 ** 14)).length),
  '/pad': () => { let s = ''; for (;;) s = ' '.padEnd(2 ** 26, s); },
  '/flatten': () => { let s = 'ab'; for (let i = 0; i < 27; i++) s += s; return s.charCodeAt(1e6); },
  '/concat': () => { const kept = []; for (;;) kept.push(('x' + kept.length).repeat(1e5).normalize()); },
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]())) };
