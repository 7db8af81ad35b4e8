const recurse = () => recurse();

const preparations = {
  '/recursion': () => recurse(),
  '/throws': () => { throw new Error('while preparing'); },
  '/again': (error) => error.stack,
  '/new-error': () => new Error('inner').stack,
  '/loop': () => { for (;;); },
  '/memory': () => { const kept = []; for (;;) kept.push(new Array(1000).fill(0)); },
  '/frames': (error, frames) => frames.map((frame) => `${frame.getThis()} ${frame.getFunction()} ${frame.getEvalOrigin()}`).join(),
};

export default {
  fetch(request) {
    const url = new URL(request.url);
    Error.prepareStackTrace = preparations[url.pathname];
    if (url.search === '?throw') throw new Error('outer');
    try {
      // The stack is exhausted where the trace is prepared.
      const descend = () => {
        try {
          descend();
        } catch (error) {
          void error.stack;
          throw new Error('on the way up').stack;
        }
      };
      descend();
      return new Response('done');
    } catch (error) {
      return new Response('caught');
    }
  },
};
