import { fastifyHelmet } from '@fastify/helmet';
import fastifyRateLimit from '@fastify/rate-limit';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';

import { authenticate } from '#libs/access/src/token/authenticate.js';
import type { TokenTable } from '#libs/access/src/token/token.table.js';
import { networkOf } from '#libs/intake/src/integration/addresses.js';
import { undecodable } from '#libs/intake/src/receiving/inbound.adapter.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseAsWritten, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { FrontDoor } from './front-door.js';
import { MalformedRequest, readJsonBody } from './json-body.js';
import type { Metrics } from '../health/metrics.js';
import { BODIES_FULL, limitBodies } from '../limits/bodies.js';
import { PROBLEM_TYPE, type ProblemAnswer, problemOf } from './problem.js';
import { requestIdOf } from './request-id.js';
import { RouteTable } from './route-table.js';

export const BODY_LIMIT = 1024 * 1024;
const PUBLISH = '/api/v1/events';
/** Each minute and process. Generous: it stops a loop that ran away, not a program at work. */
const CALLS_PER_TOKEN = 60_000;
const CALLS_PER_ADDRESS = 1_200;
/** Of each large document. */
const DOCUMENTS_PER_ADDRESS = 120;

export interface Http {
  readonly adapter: FastifyAdapter;
  readonly fastify: FastifyInstance;
  readonly routes: RouteTable;
  /** Who is calling, for the rate limit; without it everybody is a stranger. */
  tokens?: TokenTable;
}

/** Keeps the error handler that is set here: Nest would put its own over it, too late for routes that are there. */
class Adapter extends FastifyAdapter {
  override setErrorHandler(): FastifyInstance {
    return this.getInstance<FastifyInstance>();
  }
}

/** Fastify behind our own listening socket, with what holds for every route: limits, headers, rates, measurements. */
export async function createHttp(
  door: FrontDoor,
  trustProxy: readonly string[],
  metrics: Metrics,
  log: Log,
): Promise<Http> {
  const adapter = new Adapter({
    serverFactory: () => door.server,
    logger: false,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: 512 },
    skipMiddie: true,
    genReqId: requestIdOf,
    // The door answers these itself.
    clientErrorHandler: () => undefined,
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const inbound = undecodable(request.raw.url ?? '');
      if (!inbound) return void answerProblem(error, reply);
      void reply.code(inbound.status).header('cache-control', 'no-store').type(inbound.contentType).send(inbound.body);
    },
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  const http: Http = { adapter, fastify, routes: new RouteTable() };

  // What goes wrong before a route of Nest begins: a body that cannot be read, a rate that is too high.
  fastify.setErrorHandler((error, request, reply) => {
    if ((error as { code?: unknown }).code === 'route.method_not_allowed')
      void reply.header('allow', http.routes.methodsOf(request.url.split('?', 1)[0]!).join(', '));
    const { bug, body } = answerProblem(error, reply);
    if (bug !== undefined && body.code !== BODIES_FULL)
      log.error(
        { err: bug, requestId: reply.request.id, method: request.method, errorId: body.errorId },
        'a request failed',
      );
  });
  // A text without a type of its own is no request of this API: better refused than taken for an empty body.
  fastify.removeContentTypeParser('text/plain');
  // Programs name a content type out of habit, also where they send nothing: that is a request without a body.
  fastify.removeContentTypeParser('application/json');
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // What programs publish is passed on as they wrote it, as what senders send is.
    const parse = request.routeOptions.url === PUBLISH ? parseAsWritten : parseJson;
    try {
      done(null, body === '' ? undefined : readJsonBody(body as string, parse));
    } catch (error) {
      done(error as Error);
    }
  });
  fastify.addHook('onRequest', (request, _, done) => {
    const holdsNul = isApi(request.routeOptions) && /%00/.test(request.url);
    done(holdsNul ? new MalformedRequest('The URL must not contain the character NUL (%00).') : undefined);
  });
  fastify.setReplySerializer((payload) => stringifyJson(payload));
  fastify.addHook('onRoute', (route) => {
    http.routes.add(route.method, route.url);
    if (isApi(route)) {
      route.config = { ...route.config, rateLimit: {} };
      (route as { helmet?: object }).helmet ??= {};
    } else if (isDocument(route)) route.config = { ...route.config, rateLimit: { max: documents } };
  });
  await fastify.register(fastifyHelmet, {
    global: false,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    // The proxy that terminates TLS decides on it.
    strictTransportSecurity: false,
    crossOriginResourcePolicy: { policy: 'same-origin' },
  });
  await fastify.register(fastifyRateLimit, {
    global: false,
    enableDraftSpec: true,
    timeWindow: 60_000,
    cache: 10_000,
    keyGenerator: (request) => callerKey(request, http.tokens),
    max: (_, key) => (key.startsWith('tok_') ? CALLS_PER_TOKEN : CALLS_PER_ADDRESS),
    errorResponseBuilder: (_, { ttl }) =>
      new Rejected(
        'rate_limited',
        'request.rate_limited',
        'Too many requests. Wait for the seconds in Retry-After, then send fewer.',
        { retryAfter: Math.max(1, Math.ceil(ttl / 1000)) },
      ),
  });
  limitBodies(fastify, (request) => {
    if (request.is404) throw http.routes.explain({ statusCode: 404 }, request.method, request.url);
    const { routeOptions } = request;
    if (http.tokens && isApi(routeOptions) && !hasOwnToken(routeOptions))
      authenticate(request.headers, http.tokens, new Date());
  });
  observe(fastify, metrics, log);
  fastify.get('/docs/', (_, reply) => reply.redirect('/docs', 308));
  return http;
}

/** Inbound routes have rates of their own, by integration; health has none. */
const isApi = ({ url = '' }: { readonly url?: string | undefined }): boolean =>
  /^\/(api\/v1|agents)\b/.test(url) &&
  !url.startsWith('/api/v1/webhooks/') &&
  !/\/:id\/webhook\/?$/.test(url) &&
  !url.endsWith('/openapi.json');

/** Agents deliver their results with the token of the execution. */
const hasOwnToken = ({ url = '' }: { readonly url?: string | undefined }): boolean =>
  url.endsWith('/executions/:executionId/result');

/** What costs more than a few bytes, and everybody may read. */
const isDocument = ({ url }: RouteOptions): boolean =>
  /^\/(docs|schemas|metrics|links)\b/.test(url) || url.endsWith('/openapi.json');

const documents = (_: FastifyRequest, key: string): number =>
  key.startsWith('tok_') ? CALLS_PER_TOKEN : DOCUMENTS_PER_ADDRESS;

function callerKey(request: FastifyRequest, tokens: TokenTable | undefined): string {
  const text = request.headers.authorization?.replace(/^Bearer +/i, '');
  return (text !== undefined && tokens?.find(text)?.id) || networkOf(request.ip);
}

function observe(fastify: FastifyInstance, metrics: Metrics, log: Log): void {
  const access = (log as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.('debug') === true;
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? '(none)';
    metrics.answered(request.method, route, reply.statusCode, reply.elapsedTime);
    if (access)
      log.debug(
        {
          requestId: request.id,
          method: request.method,
          route,
          status: reply.statusCode,
          ms: Math.round(reply.elapsedTime),
          ip: request.ip,
        },
        'answered',
      );
    done();
  });
}

function answerProblem(error: unknown, reply: FastifyReply): ProblemAnswer {
  const answer = problemOf(error);
  const { headers } = answer;
  const body = { ...answer.body, requestId: reply.request.id };
  void reply.status(body.status).headers(headers).type(PROBLEM_TYPE).send(stringifyJson(body));
  return answer;
}
