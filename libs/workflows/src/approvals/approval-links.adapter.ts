import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';

import { Transient } from '#libs/kernel/src/errors.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';

import { ApprovalLinks, type LinkAnswer } from './approval-links.js';
import { messagePage, PAGE_POLICY } from './approval-page.js';

const MAX_BYTES = 64 * 1024;
type Fields = Readonly<Record<string, string>> | undefined;

/** `GET /links/…` shows what a signed link is for, `POST` does it. Their own parser: browsers send forms. */
@Injectable()
export class ApprovalLinkRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(ApprovalLinks) private readonly links: ApprovalLinks,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onModuleInit(): Promise<void> {
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    const { links, log } = this;
    await adapter
      ?.getInstance<FastifyInstance>()
      .register((fastify: FastifyInstance) => linkRoutes(fastify, links, log));
  }
}

async function linkRoutes(fastify: FastifyInstance, links: ApprovalLinks, log: Log): Promise<void> {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: MAX_BYTES },
    (_, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
  );
  fastify.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error instanceof Transient ? 503 : (error.statusCode ?? 500);
    if (status >= 500 && !(error instanceof Transient))
      log.error({ err: error, requestId: request.id }, 'a link failed');
    const html = messagePage('Not recorded', 'The server could not process this. Open the link again in a minute.');
    return write(reply, { status, html });
  });
  const linkOf = (params: unknown): string => (params as { readonly '*': string })['*'];
  fastify.get('/links/*', async ({ params }, reply) => write(reply, await links.show(linkOf(params))));
  fastify.post<{ Body: Fields }>('/links/*', { bodyLimit: MAX_BYTES }, async ({ params, body }, reply) =>
    write(reply, await links.decide(linkOf(params), body ?? {})),
  );
  return Promise.resolve();
}

const write = (reply: FastifyReply, { status, html }: LinkAnswer): FastifyReply =>
  reply
    .code(status)
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', PAGE_POLICY)
    .header('referrer-policy', 'no-referrer')
    .header('cache-control', 'no-store')
    .send(html);
