const attempt = (what) => {
  try {
    return typeof what();
  } catch (error) {
    return error.name;
  }
};
const buffer = () => new ArrayBuffer(8);
const detached = () => { const b = buffer(); structuredClone(b, { transfer: [b] }); return b; };

const refused = [
  () => structuredClone(() => {}),
  () => structuredClone(Symbol('x')),
  () => structuredClone({ a: { b: [new WeakMap()] } }),
  () => structuredClone(new Proxy({}, {})),
  () => structuredClone(Promise.resolve()),
  () => structuredClone(function* () {}),
  () => structuredClone(globalThis),
  () => structuredClone(new Response('x')),
  () => { const b = buffer(); return structuredClone(b, { transfer: [b, b] }); },
  () => { const b = detached(); return structuredClone(b, { transfer: [b] }); },
  () => structuredClone(1, { transfer: [{}] }),
  () => structuredClone(1, { transfer: [new Proxy(buffer(), {})] }),
  () => { const m = new WebAssembly.Memory({ initial: 1 }); return structuredClone(1, { transfer: [m.buffer] }); },
  () => structuredClone(new WebAssembly.Memory({ initial: 1 })),
  () => structuredClone({ get a() { throw new RangeError('getter'); } }),
];

const allowed = [
  () => { const a = {}; a.a = a; return structuredClone(a).a; },
  () => structuredClone(Object.create({ inherited: 1 })),
  () => structuredClone(new Map([[{}, new Set([new Date(NaN)])]])),
  () => structuredClone({ __proto__: null, constructor: 1, ['__proto__']: 2 }),
  () => structuredClone([, 1, , 2]),
  () => structuredClone(Object.assign(new Error('x'), { name: 'Other', extra: () => {} })),
  () => structuredClone(new Float64Array(new ArrayBuffer(16), 8, 1)),
];

export default {
  fetch() {
    const first = refused.map(attempt).filter((result) => !['DataCloneError', 'TypeError', 'RangeError'].includes(result));
    const second = allowed.map(attempt).filter((result) => result !== 'object');
    return new Response(`${first.join() || 'refused'} ${second.join() || 'allowed'}`);
  },
};
