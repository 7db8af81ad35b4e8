const huge = () => ({ length: 2 ** 53 - 1 });
const sparse = () => {
  const array = [];
  array.length = 2 ** 32 - 1;
  array[5] = 1;
  return array;
};
const array = Array.prototype;

const ways = {
  '/includes': () => array.includes.call(huge(), 1),
  '/index-of': () => array.indexOf.call(new Proxy(huge(), {}), 1),
  '/last-index-of': () => array.lastIndexOf.call(huge(), 1),
  '/reverse': () => array.reverse.call(huge()),
  '/fill': () => array.fill.call(huge(), 1),
  '/for-each': () => array.forEach.call(huge(), () => {}),
  '/copy-within': () => array.copyWithin.call(huge(), 5, 0),
  '/unshift': () => array.unshift.call({ length: 2 ** 53 - 2 }, 1),
  '/sparse-includes': () => sparse().includes(2),
  '/sparse-reverse': () => sparse().reverse(),
  '/sparse-fill': () => sparse().fill(1),
  '/sparse-shift': () => sparse().shift(),
  '/raw': () => String.raw({ raw: huge() }),
  '/apply': () => Math.max.apply(null, huge()),
  '/typed-from': () => Uint8Array.from(huge()),
};

export default { fetch: (request) => new Response(String(ways[new URL(request.url).pathname]())) };
