import mode from './mode.txt';

switch (mode) {
  case 'loop':
    for (;;);
  case 'await':
    await new Promise(() => {});
    break;
  case 'microtasks':
    for (;;) await null;
  case 'timers':
    for (;;) await new Promise((done) => setTimeout(done, 1));
  case 'import':
    await import('./endless.js');
}

export default { fetch: () => new Response('loaded') };
