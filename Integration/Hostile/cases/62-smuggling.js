// Tells which paths it was asked for.
const seen = [];
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === '/seen') return new Response(JSON.stringify(seen));
    seen.push(path);
    return new Response(`${(await request.text()).length}`);
  },
};
