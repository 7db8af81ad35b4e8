// Very many header fields, asked for and answered.
export default {
  fetch(request) {
    const count = Number(new URL(request.url).searchParams.get('n') ?? 0);
    const headers = new Headers();
    for (let i = 0; i < count; i++) headers.append(`x-${i}`, 'y');
    return new Response('answered', { headers });
  },
};
