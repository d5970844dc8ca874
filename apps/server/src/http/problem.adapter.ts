import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Log } from '#libs/kernel/src/log.js';
import { databaseError } from '#libs/persistence/src/database-errors.js';

import { LOG } from '../logging.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { RouteTable } from './route-table.js';

/** Whatever a route throws leaves the server as problem details; a bug leaves its trace in the log alone. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    @Inject(LOG) private readonly log: Log,
    @Inject(RouteTable) private readonly routes: RouteTable,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const { body, headers, bug } = problemOf(this.routes.explain(databaseError(error), request.method, request.url));
    if (body.status === 405)
      void reply.header('allow', this.routes.methodsOf(request.url.split('?', 1)[0]!).join(', '));
    if (bug !== undefined) {
      const fields = {
        requestId: request.id,
        err: bug,
        method: request.method,
        route: request.routeOptions.url,
        errorId: body.errorId,
      };
      if (body.status === 503) this.log.warn(fields, 'a request could not be served');
      else this.log.error(fields, 'a request failed');
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    void reply
      .status(body.status)
      .headers(headers)
      .type(PROBLEM_TYPE)
      .send(stringifyJson({ ...body, requestId: request.id }));
  }
}
