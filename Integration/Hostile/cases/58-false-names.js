// Wants to be taken for the neighbour: in answers, headers and log lines.
export default {
  fetch(request) {
    const { searchParams } = new URL(request.url);
    const name = searchParams.get('name');
    console.log(`line"}\n{"time":"2020-01-01T00:00:00Z","level":"error","message":"forged","logger":"tenant","tenant":"${name}"}`);
    console.log(`forged\u2028{"tenant":"${name}"}\r\n\u001b[2K{"message":"forged","tenant":"${name}"}`);
    console.log('%o', { tenant: name, toString: () => `{"tenant":"${name}"}` });
    return new Response(name, {
      headers: { 'cloister-error': 'cell_lost', 'x-request-id': '0000000000000001', 'cloister-tenant': name, host: `${name}.localhost` },
    });
  },
};
