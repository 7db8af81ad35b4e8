import { value } from './a.js';

const specifiers = [
  'file:///etc/passwd', '/etc/passwd', 'data:text/javascript,export default 1', 'http://127.0.0.1/x.js', 'blob:x', 'node:fs', 'fs', '', '.', '..',
  '../worker.js', '../../neighbour-standard/worker.js', './../../x.js', './a/../../../../etc/passwd', './a.js\0', './\0', './nothing.js', './A.js',
  './%61.js', './a.js?x', './a.js#x', '.\\a.js', './' + 'x'.repeat(1 << 20), '../'.repeat(1 << 16) + 'etc/passwd', './' + './'.repeat(1000),
  'cloister:///a.js', 'cloister:00-primordials', './a.js ', '\u202e./a.js',
];

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/cycle') return new Response(value());
    if (pathname === '/modules') {
      let refused = 0;
      for (let i = 0; i < 1e5; i++) await import(`./module-${i}.js`).catch(() => refused++);
      return new Response(String(refused));
    }
    const loaded = [];
    for (const specifier of specifiers) {
      try {
        await import(specifier);
        loaded.push(specifier.slice(0, 40));
      } catch (error) {
        if (!(error instanceof Error) || error.message.length > 1000) loaded.push(`${specifier.slice(0, 40)}: ${String(error).slice(0, 100)}`);
      }
    }
    return new Response(loaded.join() || 'none');
  },
};
