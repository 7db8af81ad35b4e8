// The smallest tenant: greets with a variable of its policy.
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    return new Response(`${env.GREETING ?? 'hello'} ${pathname === '/' ? 'world' : decodeURIComponent(pathname.slice(1))}\n`);
  },
};
