const ways = {
  '/pending': () => new Promise(() => {}),
  '/thenable': () => ({ then() {} }),
  '/timers': () => new Promise(() => setInterval(() => {}, 10)),
  '/body': (request) => request.text().then(() => new Promise(() => {})),
};

export default { fetch: (request) => ways[new URL(request.url).pathname](request) };
