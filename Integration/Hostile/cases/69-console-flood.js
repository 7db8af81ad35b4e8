// Far more lines than anybody reads, and very long ones.
export default {
  fetch(request) {
    if (new URL(request.url).pathname === '/long') {
      console.log('x'.repeat(10_000_000));
      return new Response('said');
    }
    for (let i = 0; i < 100_000; i++) console.log(`flood ${i} ${'x'.repeat(100)}`);
    return new Response('said');
  },
};
