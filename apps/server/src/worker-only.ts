import type { RequestListener } from 'node:http';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { PROBLEM_TYPE } from './http/problem.js';

const OPEN = new Set(['/healthz', '/readyz', '/metrics']);

/** A process without the role `api` can be asked how it is, and nothing else. */
export const withoutApi =
  (listener: RequestListener): RequestListener =>
  (request, response) => {
    if (OPEN.has(request.url?.split('?', 1)[0] ?? '')) {
      listener(request, response);
      return;
    }
    const body = {
      type: 'about:blank',
      title: 'Not found',
      status: 404,
      code: 'server.worker_only',
      detail:
        'This process has MILLRACE_ROLES=worker: it does work and serves no API. Ask a process with the role api.',
    };
    response.writeHead(404, { 'content-type': PROBLEM_TYPE, connection: 'close' }).end(stringifyJson(body));
  };
