// Answers what it was asked, so that the order can be seen.
export default { fetch(request) { return new Response(new URL(request.url).pathname); } };
