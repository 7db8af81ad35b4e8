// Line ends in what becomes the head of an answer.
export default {
  fetch() {
    const evil = ['a\r\nset-cookie: stolen=1', 'a\nx: y', 'a\rb', 'a\0b', 'a\r\n\r\n<script>'];
    let refused = 0, tries = 0;
    const attempt = (action) => { tries += 1; try { action(); } catch (error) { if (error instanceof TypeError) refused += 1; } };
    for (const text of evil) {
      attempt(() => new Headers({ x: text }));
      attempt(() => new Headers([[text, 'x']]));
      attempt(() => new Headers().append('x', text));
      attempt(() => new Headers().set(text, 'x'));
      attempt(() => new Response('', { headers: { 'x-y': text } }));
      attempt(() => new Response('', { statusText: text }));
      attempt(() => { const r = new Response(''); r.headers.set('location', text); });
      // Also where a getter or a string that changes its mind stands between check and use.
      attempt(() => { let n = 0; new Headers({ get x() { return n++ === 0 ? text : text; } }); });
      attempt(() => { let n = 0; new Headers({ x: { toString: () => n++ === 0 ? text : 'a' } }); });
    }
    return new Response(`${refused} of ${tries}`, { headers: { 'x-safe': 'yes' } });
  },
};
