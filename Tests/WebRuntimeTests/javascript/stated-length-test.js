// Answers whose stream has as many bytes as their content-length says.
const { hooks } = fixture.internal;
const START = 1, REQUEST = 2, BODY = 3, ABORT = 5;
const bytes = (text) => new TextEncoder().encode(text);
const kinds = () => fixture.takeNotes().map((note) => note[0]);

let lastRequest = 1000;
// Calls the handler once; what was noted until nothing more happens, without the head.
const call = async (fetch, kind = 0) => {
  await hooks[START](Promise.resolve(), { default: { fetch } });
  fixture.takeNotes();
  hooks[REQUEST](++lastRequest, kind === 0 ? 'GET' : 'POST', 'http://hello.localhost/', '', kind, undefined);
  await nextTurn();
  const [head, ...rest] = kinds();
  assertEquals(head, 'respond');
  return rest;
};
const answer = (body, length) => new Response(body, { headers: { 'content-length': length } });

test('a body is complete with its last byte, whenever its stream is closed', async () => {
  let controller, reason;
  const begin = (length) => {
    const stream = new ReadableStream({ start(given) { controller = given; }, cancel(given) { reason = given; } });
    return call(() => answer(stream, length));
  };
  assertEquals(await begin('0'), ['bodyEnd']);
  hooks[ABORT](lastRequest, 1);
  assertEquals(kinds(), ['finished']);
  assert(reason instanceof DOMException);
  assertEquals(await begin('3'), []);
  controller.enqueue(bytes('abc'));
  assertEquals(kinds(), ['bodyWrite', 'bodyEnd']);
  controller.close();
  assertEquals(kinds(), ['finished']);
  // Nothing waits for room that nobody needs.
  fixture.setWindow(false);
  assertEquals(await begin('3'), []);
  controller.enqueue(bytes('abc'));
  fixture.setWindow(true);
  assertEquals(kinds(), ['bodyWrite', 'bodyEnd']);
  // What comes behind is for nobody; the log says so.
  controller.enqueue(bytes('d'));
  assertEquals(kinds(), ['log', 'finished']);
  assert(reason instanceof TypeError);
});
test('an answer does not end before its request does', async () => {
  await call((request) => answer(request.body, '3'), 2);
  hooks[BODY](lastRequest, bytes('abc'), false);
  await nextTurn();
  assertEquals(kinds().filter((kind) => kind !== 'requestCredit'), ['bodyWrite']);
  hooks[BODY](lastRequest, undefined, true);
  await nextTurn();
  assertEquals(kinds(), ['bodyEnd', 'finished']);
});
test('a body that nobody reads is dropped where the answer waits for room', async () => {
  let controller;
  const stream = new ReadableStream({ start(given) { controller = given; } });
  await call(() => answer(stream, '2'), 2);
  hooks[BODY](lastRequest, bytes('abc'), false);
  assertEquals(kinds(), []);
  fixture.setWindow(false);
  controller.enqueue(bytes('ok'));
  fixture.setWindow(true);
  assertEquals(kinds(), ['bodyWrite', 'requestCredit']);
  hooks[BODY](lastRequest, undefined, true);
  await nextTurn();
  assertEquals(kinds(), ['bodyEnd']);
  controller.close();
  assertEquals(kinds(), ['finished']);
});
test('an answer that is whole ends with its request, whenever its stream is closed', async () => {
  let controller;
  const stream = new ReadableStream({ start(given) { controller = given; } });
  await call((request) => { request.text(); return answer(stream, '2'); }, 2);
  controller.enqueue(bytes('ok'));
  assertEquals(kinds().filter((kind) => kind !== 'requestCredit'), ['bodyWrite']);
  hooks[BODY](lastRequest, undefined, true);
  await nextTurn();
  assertEquals(kinds(), ['bodyEnd']);
  controller.close();
  assertEquals(kinds(), ['finished']);
});
