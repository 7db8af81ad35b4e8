const functions = [
  Function, (async () => {}).constructor, (function* () {}).constructor, (async function* () {}).constructor, [].map.constructor,
  console.log.constructor, Response.constructor, Object.getPrototypeOf(Response.prototype.text).constructor,
  Object.getOwnPropertyDescriptor(Response.prototype, 'status').get.constructor, setTimeout.constructor, crypto.randomUUID.constructor,
];

const ways = [
  () => eval('1'),
  () => (0, eval)('1'),
  () => globalThis['ev' + 'al']('1'),
  () => Reflect.apply(eval, null, ['1']),
  ...functions.map((make) => () => make('return 1')()),
  ...functions.map((make) => () => new make('return 1')()),
  () => Reflect.construct(Function, ['return 1'], Object)(),
  () => setTimeout('1'),
  () => new Proxy(Function, {})('return 1')(),
  () => ({}).constructor.constructor('return this')(),
  () => JSON.parse('[1]', Function('return 1')),
  () => 'a'.replace(/a/, Function('return 1')),
];

export default {
  async fetch() {
    const ran = [];
    for (const [index, way] of ways.entries()) {
      try {
        await way();
        ran.push(index);
      } catch {}
    }
    return new Response(`${ways.length} tried, ran: ${ran.join() || 'none'}`);
  },
};
