import type { IncomingHttpHeaders } from 'node:http';

import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { Organisations } from '#libs/access/src/organisations.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { Settings } from '#libs/kernel/src/settings.js';
import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import { mediaTypeOf } from '#libs/plugin-sdk/src/body/inbound-body.js';

import { AgentReceivers } from '../agent-webhook/agent-receivers.js';
import { SenderAddress } from '../integration/addresses.js';
import { IntegrationTable, type Receiver } from '../integration/integration.table.js';
import { RunAnswers } from '../workflow-webhook/run-answers.js';
import type { Accepted } from './provider-output.js';
import {
  agentForm,
  type AnswerForm,
  communicatorForm,
  customPathForm,
  platformForm,
  PROBLEM_TYPE,
  type Written,
} from './answers.js';
import { InboundPipeline } from './pipeline.js';
import {
  BROKEN_OFF,
  BUSY,
  FAILED,
  UNAVAILABLE,
  MAX_BODY_BYTES,
  METHOD_NOT_ALLOWED,
  Refusal,
  TOO_LARGE,
} from './refusal.js';

/**
 * The inbound routes, on Fastify itself: between the socket and the pipeline there is only what a request needs. They have
 * their own content type parser, which passes on the raw bytes, since signatures are made over these.
 */
@Injectable()
export class InboundRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(InboundPipeline) private readonly pipeline: InboundPipeline,
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(AgentReceivers) private readonly agents: AgentReceivers,
    @Inject(RunAnswers) private readonly answers: RunAnswers,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Organisations) private readonly organisations: Organisations,
  ) {}

  async onModuleInit(): Promise<void> {
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter) return;
    const fastify = adapter.getInstance<FastifyInstance>();
    const { pipeline, table, agents, answers, organisations } = this;
    const sender = new SenderAddress(this.settings.trustProxy);
    await fastify.register(inboundRoutes, { pipeline, table, agents, answers, sender, organisations });
  }
}

export interface InboundParts {
  readonly pipeline: InboundPipeline;
  readonly table: IntegrationTable;
  readonly agents: AgentReceivers;
  /** Absent: no answer waits for a run. */
  readonly answers?: RunAnswers;
  readonly sender: SenderAddress;
  /** Absent: none is archived. */
  readonly organisations?: Organisations;
}

interface Received extends FastifyRequest {
  receiver?: Receiver;
  form?: AnswerForm;
  sentType?: string | undefined;
}

const OTHER_METHODS = ['PUT', 'PATCH', 'DELETE'];
/** Of a chat's answer, which shows none of the ids. */
const MOST_IDS = 20;
const NO_BYTES = Buffer.alloc(0);
const NO_QUERY: Readonly<Record<string, string>> = Object.freeze({});

/** A Fastify plug-in: encapsulated, so that its parser and its error handler apply to these routes alone. */
export async function inboundRoutes(
  fastify: FastifyInstance,
  { pipeline, table, agents, answers, sender, organisations }: InboundParts,
): Promise<void> {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_, body, done) =>
    done(null, body),
  );
  fastify.decorateRequest('receiver');
  fastify.decorateRequest('form');
  fastify.decorateRequest('sentType');
  fastify.setErrorHandler((error: FastifyError, request: Received, reply) => {
    const refusal = refusalOf(error);
    if (refusal === FAILED) request.log.error(error);
    if (request.receiver)
      pipeline.refused(request.receiver, refusal, { requestId: request.id, sourceIp: sourceOf(request.raw, sender) });
    return write(reply, (request.form ?? platformForm).refused(refusal, request.id));
  });

  /** The rest of the path decides who receives. It is looked up before a byte of the body is read. */
  // A sender gives up at a 404; what a table could not take in may be what it is looking for.
  const isIncomplete = (): boolean => table.incomplete || agents.incomplete;

  const receive = (url: string, form: AnswerForm, find: (rest: string) => Receiver | undefined): void => {
    const receiverOf = ({ params }: FastifyRequest): Receiver | undefined => {
      const rest = Object.values(params as Record<string, string>)[0] ?? '';
      const receiver = find(rest.endsWith('/') ? rest.slice(0, -1) : rest);
      return receiver && organisations?.isArchived(receiver.orgId) ? undefined : receiver;
    };
    fastify.post(url, {
      bodyLimit: MAX_BODY_BYTES,
      onRequest: (request: Received, reply, done) => {
        const receiver = receiverOf(request);
        request.form = form;
        if (!receiver) return void write(reply, isIncomplete() ? form.refused(UNAVAILABLE, request.id) : form.notFound);
        request.receiver = receiver;
        // Fastify refuses what is not a media type; to a signature over the bytes it makes no difference.
        request.sentType = request.raw.headers['content-type'];
        request.raw.headers['content-type'] = undefined;
        done();
      },
      handler: async (request: Received, reply) => {
        request.raw.headers['content-type'] = request.sentType;
        const outcome = await pipeline.receive(request.receiver!, viewOf(request, sender), request.id);
        if (outcome instanceof Refusal) return write(reply, form.refused(outcome, request.id));
        const run = WAITING_FORMS.has(form) && !outcome.answer && runOf(answers, request, outcome);
        return writeAccepted(reply, form, run ? { ...outcome, run: await run } : outcome);
      },
    });
    fastify.route({
      method: 'GET',
      url,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        const receiver = receiverOf(request);
        // The same answer where nothing receives: trying addresses reveals nothing.
        const outcome = receiver && (await pipeline.check(receiver, viewOf(request, sender), request.id));
        if (!outcome) return write(reply, form.refused(METHOD_NOT_ALLOWED, request.id));
        return outcome instanceof Refusal
          ? write(reply, form.refused(outcome, request.id))
          : writeAccepted(reply, form, outcome);
      },
    });
    fastify.route({
      method: ['HEAD', 'OPTIONS'],
      url,
      onRequest: (request, reply) => {
        const receiver = receiverOf(request);
        const { method } = request;
        if (!receiver)
          return void write(reply, method === 'HEAD' ? form.notFound : form.refused(METHOD_NOT_ALLOWED, request.id));
        const outcome = pipeline.handshake(receiver, method, viewOf(request, sender));
        if (outcome instanceof Refusal) return void write(reply, form.refused(outcome, request.id));
        // A sender that checks the address in this way is counted; the answer is the same.
        if (method === 'HEAD') void pipeline.check(receiver, viewOf(request, sender), request.id);
        void reply.headers(outcome).send();
      },
      handler: () => undefined,
    });
  };
  const route = (path: string, form: AnswerForm, find: (rest: string) => Receiver | undefined): void => {
    receive(`${path}/*`, form, find);
    fastify.route({
      method: OTHER_METHODS,
      url: `${path}/*`,
      exposeHeadRoute: false,
      // Before the body is read.
      onRequest: (request, reply) => void write(reply, form.refused(METHOD_NOT_ALLOWED, request.id)),
      handler: () => undefined,
    });
  };

  const finders: Record<keyof typeof FORMS, (rest: string) => Receiver | undefined> = {
    '/api/v1/webhooks/inbound': (slug) => table.withSlug(slug),
    '/api/webhook': (path) => table.withPath(path),
    '/webhooks': (rest) => {
      const [id = '', kind, ...more] = rest.split('/');
      const receiver = more.length === 0 ? table.withId(id) : undefined;
      return kind === undefined || kind === receiver?.provider ? receiver : undefined;
    },
    '/api/communicator/webhook': (id) => {
      const receiver = table.withId(id);
      return receiver && pipeline.isCommunicator(receiver) ? receiver : undefined;
    },
    '/api/communicator/botframework': (rest) => {
      const [id = '', messages, ...more] = rest.split('/');
      const receiver = messages === 'messages' && more.length === 0 ? table.withId(id) : undefined;
      return receiver?.provider === 'botframework' ? receiver : undefined;
    },
  };
  for (const path of Object.keys(FORMS) as (keyof typeof FORMS)[]) route(path, FORMS[path], finders[path]);
  // Beside the REST routes.
  for (const path of ['/agents', '/api/v1/agents'])
    for (const end of ['', '/']) receive(`${path}/:id/webhook${end}`, agentForm, (id) => agents.withId(id));
}

/** Every inbound address begins with one of these, and is answered in its form. */
const FORMS = {
  '/api/v1/webhooks/inbound': platformForm,
  '/api/webhook': customPathForm,
  '/webhooks': platformForm,
  '/api/communicator/webhook': communicatorForm,
  '/api/communicator/botframework': communicatorForm,
} as const;

/**
 * The answer to an inbound address that cannot be decoded (`%zz`), which no route sees: to the last byte that of any other
 * address where nothing receives. `undefined` if the path is not an inbound one.
 */
export function undecodable(path: string): Written | undefined {
  const prefix = Object.keys(FORMS).find((one) => path.startsWith(`${one}/`)) as keyof typeof FORMS | undefined;
  if (AGENT_WEBHOOK.test(path)) return agentForm.notFound;
  return prefix && FORMS[prefix].notFound;
}

const AGENT_WEBHOOK = /^(?:\/api\/v1)?\/agents\/[^/]+\/webhook\/?(?:$|\?)/;

function viewOf(request: Received, sender: SenderAddress): InboundRequest {
  const { headers } = request.raw;
  return {
    headers: headers as InboundRequest['headers'],
    rawBody: Buffer.isBuffer(request.body) ? request.body : NO_BYTES,
    query: request.raw.url!.includes('?') ? flat(request.query as Record<string, unknown>) : NO_QUERY,
    contentType: mediaTypeOf(headers['content-type']),
    method: request.method,
    target: request.raw.url!,
    sourceIp: sourceOf(request.raw, sender),
  };
}

/** A request whose body was given up while it was read has no socket any more. */
const sourceOf = (
  {
    socket,
    headers,
  }: { readonly socket: { readonly remoteAddress?: string | undefined } | null; readonly headers: IncomingHttpHeaders },
  sender: SenderAddress,
): string => sender.of(socket?.remoteAddress, headers['x-forwarded-for'] as string | undefined);

/** Those whose answers may wait: chats show them to people, and agents have their own. */
const WAITING_FORMS: ReadonlySet<AnswerForm> = new Set([platformForm, customPathForm]);

/** The run that the answer waits for; at once `undefined` for most requests. A sender that has gone gives its place back. */
function runOf(answers: RunAnswers | undefined, { receiver, raw }: Received, { eventIds }: Accepted) {
  if (!answers?.mayAnswer(receiver!)) return undefined;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  raw.socket.once('close', leave);
  return answers.of(receiver!, eventIds, gone.signal)?.finally(() => raw.socket.removeListener('close', leave));
}

/** A parameter that is given several times has its last value. */
const flat = (query: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, String(Array.isArray(value) ? value.at(-1) : value)]),
  );

/** What Fastify found wrong while it read the body. */
function refusalOf(error: FastifyError | Transient): Refusal {
  if (error instanceof Transient) return BUSY;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return TOO_LARGE;
  const cutOff = error.code === 'ECONNRESET' || error.code === 'ERR_STREAM_PREMATURE_CLOSE';
  return cutOff || (error.statusCode !== undefined && error.statusCode < 500) ? BROKEN_OFF : FAILED;
}

/** A sender that reads an answer of its own finds the ids beside it. */
function writeAccepted(reply: FastifyReply, form: AnswerForm, outcome: Accepted): FastifyReply {
  if (outcome.answer?.headers) reply.headers(outcome.answer.headers);
  if (outcome.answer && outcome.isHandshake !== true)
    reply.header('x-millrace-event-ids', outcome.eventIds.slice(0, MOST_IDS).join(' '));
  reply.header('x-content-type-options', 'nosniff');
  return write(reply, form.accepted(outcome));
}

function write(
  reply: FastifyReply,
  { status, contentType, body, retryAfter, allow, challenge }: Written,
): FastifyReply {
  if (challenge !== undefined) reply.header('www-authenticate', challenge);
  if (allow !== undefined) reply.header('allow', allow);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  if (contentType === PROBLEM_TYPE) reply.header('cache-control', 'no-store');
  return reply.code(status).header('content-type', contentType).send(body);
}
