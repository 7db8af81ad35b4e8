// Live data just below the limit, and garbage on top: nearly all time goes to collections.
export default {
  fetch(request) {
    const megabytes = Number(new URL(request.url).searchParams.get('keep'));
    const kept = [];
    for (let i = 0; i < megabytes * 10; i++) kept.push(new Array(13_000).fill(i));
    if (request.url.includes('/objects')) {
      for (;;) for (let i = 0; i < 1000; i++) kept[i % kept.length][i] = { i, next: kept[(i + 1) % kept.length] };
    }
    for (;;) kept[Math.floor(Math.random() * kept.length)] = new Array(13_000).fill(0);
  },
};
