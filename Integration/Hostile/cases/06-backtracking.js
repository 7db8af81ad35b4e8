const ways = {
  '/test': () => /^(a+)+$/.test('a'.repeat(60) + 'b'),
  '/alternatives': () => /^(a|a)*$/.exec('a'.repeat(60) + 'b'),
  '/sticky': () => /(x+x+)+y/y[Symbol.match]('x'.repeat(60)),
  '/unicode': () => /^(\p{L}+)+$/u.test('\u00e9'.repeat(60) + '1'),
  '/replace': () => 'a'.repeat(60).replace(/(a*)*c/g, ''),
  '/split': () => 'a'.repeat(60).split(/(a*)*c/),
  '/lookbehind': () => /(?<=^(a+)+)b/.test('a'.repeat(60) + 'c'),
  '/backreference': () => /^(a+)\1*?(\1+)+$/.test('a'.repeat(200) + 'b'),
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]())) };
