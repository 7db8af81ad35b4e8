const ways = {
  // A thenable that settles again and again, throws, or answers with itself.
  '/thenable': () => ({ then(resolve, reject) { resolve(new Response('first')); resolve(new Response('second')); reject(new Error()); throw 1; } }),
  '/thenable-self': () => { const self = { then(resolve) { resolve(self); } }; return self; },
  '/instance': () => { Object.defineProperty(Response, Symbol.hasInstance, { value: () => true }); return { status: 200, body: 'fake' }; },
  '/prototype': () => Object.create(Response.prototype),
  '/set-prototype': () => Object.setPrototypeOf({ headers: new Headers() }, Response.prototype),
  '/proxied': () => new Proxy(new Response('proxied'), {}),
  '/subclass': () => new (class extends Response { get status() { return 99; } get body() { throw new Error('never'); } })('subclass'),
  '/species': () => {
    class Other extends Promise { static get [Symbol.species]() { return function (run) { run(() => {}, () => {}); return { then() {} }; }; } }
    return Other.resolve(new Response('species'));
  },
  '/constructor': () => {
    const promise = Promise.resolve(new Response('constructor'));
    promise.constructor = { [Symbol.species]: function () { throw new Error('species'); } };
    return promise;
  },
  '/capability': () => {
    const fail = () => { throw new Error('capability'); };
    const promise = Promise.resolve();
    promise.constructor = { [Symbol.species]: function (run) { run(fail, fail); } };
    // The microtask throws, where nobody can catch it.
    promise.then(() => {});
    return new Response('capability');
  },
  '/then': () => { Promise.prototype.then = function () { throw new Error('then'); }; return new Response('then'); },
  '/iterator': () => {
    Array.prototype[Symbol.iterator] = function* () { yield ['injected', 'header']; };
    return new Response('iterator', { headers: [['a', 'b']] });
  },
  '/exec': () => { RegExp.prototype.exec = () => { throw new Error('exec'); }; return new Response('exec', { headers: { a: 'b' } }); },
  '/map': () => {
    Map.prototype.get = Map.prototype.set = Map.prototype.has = WeakMap.prototype.get = () => { throw new Error('map'); };
    return new Response('map');
  },
};

export default { fetch: (request) => ways[new URL(request.url).pathname]() };
