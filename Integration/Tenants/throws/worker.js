// Misbehaves: throws. Clients get 500 exception without the details; they are in the tenant's log, with file, line and column.
const settings = null;

export default {
  fetch(request) {
    return new Response(settings.greeting + request.url);
  },
};
