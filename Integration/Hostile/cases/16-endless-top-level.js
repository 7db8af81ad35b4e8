import mode from './mode.txt';

switch (mode) {
  case 'loop':
    for (;;);
  case 'await':
    await new Promise(() => {});
    break;
  case 'microtasks':
    for (;;) await null;
  case 'unawaited':
    // The module is done before this is.
    (async () => {
      for (let i = 0; i < 20; i++) await null;
      for (;;);
    })();
    break;
  case 'chain':
    (function again() { queueMicrotask(again); })();
    break;
  case 'timers':
    for (;;) await new Promise((done) => setTimeout(done, 1));
  case 'import':
    await import('./endless.js');
}

export default { fetch: () => new Response('loaded') };
