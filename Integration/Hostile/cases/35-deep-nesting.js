const deep = (open, close, count = 1e5) => open.repeat(count) + close.repeat(count);
const nested = (count) => {
  let array = [];
  for (let i = 0; i < count; i++) array = [array];
  return array;
};

const ways = {
  '/parse-arrays': () => JSON.parse(deep('[', ']', 1e6)).length,
  '/parse-objects': () => JSON.parse('{"a":'.repeat(1e5) + '1' + '}'.repeat(1e5)) !== null,
  '/stringify': () => JSON.stringify(nested(1e5)),
  '/flat': () => nested(1e5).flat(Infinity),
  '/join': () => nested(1e5).join(),
  '/clone': () => structuredClone(nested(1e5)),
  '/regexp': () => new RegExp(deep('(', ')')).test('a'),
  '/regexp-class': () => new RegExp(deep('(?:a|', ')', 2e4)).test('b'),
  '/lookahead': () => new RegExp(deep('(?=', ')')).test('a'),
  '/source-arrays': () => eval(deep('[', ']')),
  '/source-parentheses': () => eval(`${deep('(', ')')}`),
  '/source-functions': () => eval('()=>'.repeat(1e5) + '1'),
  '/source-blocks': () => eval(deep('{', '}')),
  '/source-sum': () => eval('1' + '+1'.repeat(1e5)),
  '/source-chain': () => eval('a' + '.a'.repeat(1e5)),
  '/source-templates': () => eval(deep('`${', '}`')),
  '/source-classes': () => eval('class A extends '.repeat(1e4) + 'B' + '{}'.repeat(1e4)),
  '/inspect': () => console.debug(nested(1e5)),
};

export default {
  fetch(request) {
    const way = new URL(request.url).pathname;
    try {
      ways[way]();
      return new Response('done');
    } catch (error) {
      return new Response(error.name);
    }
  },
};
