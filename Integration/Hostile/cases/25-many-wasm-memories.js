export default {
  fetch(request) {
    const kept = [];
    const initial = request.url.endsWith('/large') ? 64 : request.url.endsWith('/empty') ? 0 : 1;
    try {
      for (let i = 0; i < 10000; i++) kept.push(new WebAssembly.Memory({ initial, maximum: 65536 }));
    } catch (error) {
      return new Response(error.name);
    }
    return new Response(String(kept.length));
  },
};
