// Runs native code, as a tenant would that has broken out of V8: only in the cells of the tests (Tests/CTestCell/native.c, whose commands this
// writes). A request's body says what, as JSON: {"operation": "call", "number": 41, "arguments": [2, 1, 0]}. Arguments are numbers, a text
// whose address is passed, or {"bytes": [...]}. The answer is what came of it: a result, or minus an errno.
const operations = ['call', 'i386', 'crash', 'page', 'repeat', 'spin', 'descriptors'];

function native({ operation, number = 0, arguments: list = [] }) {
  const command = new Uint8Array(256);
  const view = new DataView(command.buffer);
  const text = new TextEncoder();
  command.set(text.encode('cloister-native:'));
  command[16] = operations.indexOf(operation);
  view.setBigInt64(24, BigInt(number), true);
  let end = 80;
  list.forEach((argument, index) => {
    let value = argument;
    if (typeof argument === 'string' || argument.bytes) {
      const data = argument.bytes ?? text.encode(`${argument}\0`);
      command.set(data, end);
      command[17] |= 1 << index;
      value = end;
      end += (data.length + 7) & ~7;
    }
    view.setBigInt64(32 + 8 * index, BigInt(value), true);
  });
  crypto.getRandomValues(command);
  return view.getBigInt64(24, true);
}

export default {
  async fetch(request) {
    if (request.method === 'GET') return new Response('here');
    return new Response(`${native(await request.json())}`);
  },
};
