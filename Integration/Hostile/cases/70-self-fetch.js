// Asks itself, for ever if it is let.
export default {
  async fetch(request) {
    try {
      const response = await fetch(request.url);
      return new Response(`answered ${response.status}`);
    } catch (error) {
      return new Response(`${error.code ?? error.name}`);
    }
  },
};
