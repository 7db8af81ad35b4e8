// Says whom it was asked as.
export default { fetch(request) { return new Response(`offender ${new URL(request.url).host} ${request.headers.get('host')}`); } };
