// What a test file uses: test(name, body) and the assertions. A test file is a module; its cases run one after the other, each to its end.
// The fixture's clock is its own: a timer's delay passes at once when nothing else is left to do.
const cases = [];
const report = fixture.report;
const { isArray } = Array;
const { is, keys, getPrototypeOf } = Object;

// body: may be async; gets nothing.
globalThis.test = (name, body) => { cases[cases.length] = { name, body }; };

const show = (value) => {
  try {
    return fixture.internal.inspect(value);
  } catch (error) {
    return 'a value that inspect cannot show';
  }
};
const fail = (message, what) => { throw new Error(what === undefined ? message : `${what}: ${message}`); };

const same = (a, b) => {
  if (is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (ArrayBuffer.isView(a) !== ArrayBuffer.isView(b) || isArray(a) !== isArray(b)) return false;
  const names = keys(a);
  if (names.length !== keys(b).length || a.length !== b.length) return false;
  return names.every((name) => same(a[name], b[name]));
};

globalThis.assert = (condition, what = 'it must hold') => { if (!condition) fail('does not hold', what); };
globalThis.assertEquals = (actual, expected, what) => { if (!same(actual, expected)) fail(`${show(actual)} instead of ${show(expected)}`, what); };
globalThis.assertMatch = (text, pattern, what) => { if (!pattern.test(text)) fail(`${show(text)} does not match ${pattern}`, what); };

const matches = (error, kind, pattern) => {
  const isKind = typeof kind === 'string' ? error instanceof DOMException && error.name === kind : error instanceof kind;
  return isKind && (pattern === undefined || pattern.test(error.message));
};
const kindName = (kind) => (typeof kind === 'string' ? `DOMException ${kind}` : kind.name);

// kind: an error's constructor, or the name of a DOMException.
globalThis.assertThrows = (body, kind, pattern) => {
  try {
    body();
  } catch (error) {
    if (!matches(error, kind, pattern)) fail(`threw ${show(error)} instead of ${kindName(kind)} ${pattern ?? ''}`);
    return error;
  }
  return fail(`did not throw ${kindName(kind)}`);
};
globalThis.assertRejects = async (promise, kind, pattern) => {
  try {
    await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    if (!matches(error, kind, pattern)) fail(`rejected with ${show(error)} instead of ${kindName(kind)} ${pattern ?? ''}`);
    return error;
  }
  return fail(`did not reject with ${kindName(kind)}`);
};

// The end of this turn and of what is due by then.
const { setTimeout } = globalThis;
globalThis.nextTurn = (milliseconds = 0) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
// Lines logged since the last look at the notes: [level, text].
globalThis.takeLogs = () => fixture.takeNotes().filter((note) => note[0] === 'log').map(([, level, text]) => [level, text]);

globalThis.runTests = async () => {
  // The start of the module itself is over first.
  await nextTurn();
  for (let index = 0; index < cases.length; index++) {
    const { name, body } = cases[index];
    let why = '';
    try {
      fixture.takeNotes();
      await body();
    } catch (error) {
      why = fixture.internal.describeError(error) || 'threw an empty value';
    }
    report(name, why);
  }
  fixture.done(cases.length);
};
