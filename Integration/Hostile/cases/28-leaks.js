const map = new Map();
const set = new Set();
const symbols = [];
const closures = [];
const weak = new WeakMap();
const registered = [];

const ways = {
  '/map': () => { for (let i = 0; ; i++) map.set(i, { i }); },
  '/set': () => { for (let i = 0; ; i++) set.add(`${i}`); },
  '/symbol': () => { for (;;) symbols.push(Symbol('leak')); },
  '/symbol-for': () => { for (let i = 0; ; i++) Symbol.for(`leak ${i}`); },
  '/closure': () => { for (let i = 0; ; i++) { const large = new Array(100).fill(i); closures.push(() => large); } },
  '/weak': () => { for (;;) { const key = {}; registered.push(key); weak.set(key, new Array(100)); } },
  '/listener': () => { for (;;) addEventListener('leak', () => {}); },
  '/regexp': () => { for (let i = 0; ; i++) symbols.push(new RegExp(`(a${i}){1,9}`)); },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
