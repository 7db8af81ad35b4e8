// Heads and bodies that come a byte at a time.
export default { async fetch(request) { return new Response(`${(await request.text()).length}`); } };
