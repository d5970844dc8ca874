import { Rejected } from '#libs/kernel/src/errors.js';

import { httpStatusOf } from './problem.js';

/** What is served: tells an address that does not exist from a method that it does not have. Its own injection token. */
export class RouteTable {
  private readonly routes: { readonly methods: readonly string[]; readonly url: string; readonly pattern: RegExp }[] =
    [];

  /** Given each route as it is registered, in Fastify's notation: `/api/v1/rules/:id`, `/docs/*`. */
  add(method: string | readonly string[], url: string): void {
    const methods = typeof method === 'string' ? [method] : method;
    this.routes.push({ methods, url, pattern: patternOf(url) });
  }

  /** `METHOD /path` of every route, in Fastify's notation. */
  get all(): readonly string[] {
    return this.routes.flatMap(({ methods, url }) => methods.map((method) => `${method} ${url}`));
  }

  methodsOf(path: string): readonly string[] {
    const found = this.routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods);
    return [...new Set(found)].filter((method) => method !== 'OPTIONS').sort();
  }

  /** Words for "not found": which of the two it is, and what to do. Other errors are given back as they are. */
  explain(error: unknown, method: string, url: string): unknown {
    if (!isNotFound(error)) return error;
    const path = url.split('?', 1)[0]!;
    const methods = this.methodsOf(path);
    // What a route has with a slash more or less is still nothing at this address.
    if (methods.length === 0 || methods.includes(method))
      return new Rejected('not_found', 'route.not_found', `There is no route ${path}. GET /docs lists all routes.`);
    return new Rejected(
      'method_not_allowed',
      'route.method_not_allowed',
      `${path} accepts ${methods.join(', ')}, not ${method}.`,
    );
  }
}

/** What the framework throws where no route matches. Ours are `Rejected` and pass by. */
const isNotFound = (error: unknown): boolean => !(error instanceof Rejected) && httpStatusOf(error) === 404;

function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${source}/?$`);
}
