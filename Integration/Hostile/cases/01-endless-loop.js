export default {
  fetch(request) {
    if (request.url.endsWith('/fine')) return new Response('fine');
    for (;;);
  },
};
