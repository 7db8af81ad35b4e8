// A router: methods and path patterns with :parameters.
export class Router {
  #routes = [];

  on(method, pattern, handler) {
    const names = [];
    const source = pattern.replace(/:(\w+)/g, (_, name) => {
      names.push(name);
      return '([^/]+)';
    });
    this.#routes.push({ method, names, expression: new RegExp(`^${source}$`), handler });
    return this;
  }

  /** The handler's answer; 404 for an unknown path, 405 for a known one with another method. */
  async handle(request, context) {
    const { pathname } = new URL(request.url);
    const allowed = [];
    for (const route of this.#routes) {
      const match = route.expression.exec(pathname);
      if (!match) continue;
      if (route.method !== request.method) {
        allowed.push(route.method);
        continue;
      }
      const parameters = Object.fromEntries(route.names.map((name, index) => [name, decodeURIComponent(match[index + 1])]));
      return route.handler(request, parameters, context);
    }
    if (allowed.length > 0) {
      return problem(405, `use ${allowed.join(' or ')}`, { allow: allowed.join(', ') });
    }
    return problem(404, `there is nothing at ${pathname}`);
  }
}

/** An error as JSON. */
export function problem(status, message, headers = {}) {
  return Response.json({ error: message }, { status, headers });
}
