// An isolate serves a tenant's requests one after the other and at once: what one leaves in a global, the next one sees, until the isolate ends.
globalThis.count = 0;

export default {
  fetch(request) {
    if (request.url.endsWith('/pollute')) Object.prototype.polluted = 'by the tenant itself';
    if (request.url.endsWith('/loop')) for (;;);
    return new Response(`${++count} ${{}.polluted ?? 'clean'}`);
  },
};
