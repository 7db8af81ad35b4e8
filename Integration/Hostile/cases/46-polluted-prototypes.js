// Everything that can be reached is changed; what another tenant has must be as it was made.
const spoil = (object, seen = new Set()) => {
  if ((typeof object !== 'object' && typeof object !== 'function') || object === null || seen.has(object)) return;
  seen.add(object);
  for (const key of Reflect.ownKeys(object)) {
    const property = Reflect.getOwnPropertyDescriptor(object, key);
    if (!property) continue;
    for (const value of [property.value, property.get, property.set]) spoil(value, seen);
  }
  spoil(Object.getPrototypeOf(object), seen);
  try {
    object.polluted = 'polluted';
    Object.defineProperty(object, 'toString', { value: () => 'polluted' });
  } catch {}
};

export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/spoil') {
      const answer = new Response('spoilt');
      spoil(globalThis);
      spoil(Object.getPrototypeOf((function* () {})()));
      spoil(Object.getPrototypeOf([][Symbol.iterator]()));
      Array.prototype.push = Array.prototype.map = Promise.prototype.then = Function.prototype.call = undefined;
      Object.prototype.get = Object.prototype.value = Object.prototype.then = () => 'polluted';
      return answer;
    }
    return new Response(String({}.polluted));
  },
};
