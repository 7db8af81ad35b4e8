// Bodies for HEAD and for statuses that have none.
export default {
  fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === '/204' || path === '/205' || path === '/304') {
      try { return new Response('a body', { status: Number(path.slice(1)) }); } catch (error) { return new Response(`${error.name}`); }
    }
    if (path === '/length') return new Response(null, { status: 204, headers: { 'content-length': '5', 'transfer-encoding': 'chunked' } });
    if (path === '/lie') return new Response('a body', { headers: { 'content-length': '3' } });
    return new Response('a body');
  },
};
