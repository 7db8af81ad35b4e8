// Behind ten thousand connections that say nothing.
export default { fetch() { return new Response('here'); } };
