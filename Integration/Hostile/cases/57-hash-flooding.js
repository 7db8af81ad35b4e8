// Strings whose hashes are the same where the seed is 0 or known, and array indices whose hashes need no seed.
const strings = (count) => {
  // Blocks that a multiplicative hash without a seed maps alike.
  const pairs = ['AaAa', 'AaBB', 'BBAa', 'BBBB'];
  return Array.from({ length: count }, (_, i) => {
    let text = '';
    for (let j = 0; j < 9; j++) text += pairs[(i >> (2 * j)) & 3];
    return text;
  });
};
const indices = (count) => Array.from({ length: count }, (_, i) => String(i * 2 ** 13 + 2 ** 22));
const doubles = (count) => Array.from({ length: count }, (_, i) => (i + 1) * 2 ** 40);

const sinks = {
  object: (keys) => { const o = Object.create(null); for (const key of keys) o[key] = 1; return Object.keys(o).length; },
  map: (keys) => new Map(keys.map((key) => [key, 1])).size,
  set: (keys) => new Set(keys).size,
  json: (keys) => Object.keys(JSON.parse(`{${keys.map((key) => `"${key}":1`)}}`)).length,
  headers: (keys) => { const h = new Headers(); for (const key of keys.slice(0, 1000)) h.append(`x${key}`, '1'); return keys.length + [...h].length * 0; },
};

export default {
  fetch(request) {
    const [, keys, sink] = new URL(request.url).pathname.split('/');
    const all = { strings, indices, doubles }[keys](1e5);
    return new Response(String(sinks[sink](all) === new Set(all.map(String)).size));
  },
};
