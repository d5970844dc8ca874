import { createHmac, randomUUID } from 'node:crypto';

import { fastify, type FastifyInstance } from 'fastify';

import type { KnownType } from '#libs/event-types/src/own-type.table.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { CommandBus } from '@nestjs/cqrs';

import { type Decide, execute, fold, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { IntegrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { Plugin } from '#libs/plugin-sdk/src/define-plugin.js';
import type { StepHttp, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import {
  AdoptSecret,
  adoptSecret,
  AwaitConfirmation,
  awaitConfirmation,
  FinishHandshake,
  finishHandshake,
} from '../src/handshake/handshake.js';
import { HandshakeChanges } from '../src/handshake/handshake-changes.js';
import { AgentReceivers } from '../src/agent-webhook/agent-receivers.js';
import { agentWebhook } from '../src/agent-webhook/agent-webhook.js';
import { SenderAddress } from '../src/integration/addresses.js';
import { Counters } from '../src/integration/counters.js';
import { CreateIntegration, create, type Integration, integration } from '../src/integration/integration.js';
import { IntegrationTable } from '../src/integration/integration.table.js';
import { OwnChanges } from '../src/integration/own-changes.table.js';
import { RateLimiter } from '../src/integration/rate-limiter.js';
import { inboundRoutes } from '../src/receiving/inbound.adapter.js';
import { InboundPipeline } from '../src/receiving/pipeline.js';
import { MemorySecrets } from '../../access/testing/memory-secrets.js';

export const AUTHOR = { orgId: 'org_1', actor: 'token/tok_1' };
/** How the outside knows the server, for senders that sign the URL. */
export const PUBLIC_URL = 'https://hooks.example.com';
export const NOW = '2026-11-20T13:14:15.123Z';

type IntegrationEvent = keyof typeof integration.evolve;

/** A line of the server's log. */
export interface Line {
  readonly level: keyof Log;
  readonly fields: object;
  readonly message: string;
}

/** Everything between the socket and the log, with a log in memory and a clock that stands still. */
export class InboundServer {
  /** What the server has logged. */
  readonly lines: Line[] = [];
  readonly clock = new FixedClock(NOW);
  readonly store: MemoryEventStore;
  readonly secrets = new MemorySecrets();
  readonly table = new IntegrationTable(this.secrets);
  readonly agents = new AgentReceivers(this.secrets);
  readonly counters = new Counters();
  readonly ownChanges = new OwnChanges();
  readonly pipeline: InboundPipeline;
  private http: FastifyInstance | undefined;
  url = '';
  /** What answers requests of the server, by URL; everything else cannot be reached. */
  readonly answers = new Map<string, string>();
  /** URLs that the server has opened. */
  readonly opened: string[] = [];
  private readonly outside: StepHttp = {
    request: ({ url }) => {
      this.opened.push(url);
      const body = this.answers.get(url);
      return Promise.resolve<StepHttpOutcome>(
        body === undefined
          ? { kind: 'failed', failureClass: 'connection', detail: 'away', latencyMs: 1 }
          : { kind: 'response', status: 200, headers: {}, body: Buffer.from(body), truncated: false, latencyMs: 1 },
      );
    },
  };
  /** Schemas of event types of the organisations' own. */
  readonly ownTypes = new Map<string, Record<string, unknown>>();
  private made = 0;
  private seen = 0n;

  constructor(
    plugins: readonly Plugin[],
    private readonly trustProxy: readonly string[] = [],
    store: MemoryEventStore = new MemoryEventStore(),
    verifyLimitMs?: number,
  ) {
    this.store = store;
    const { clock, counters } = this;
    const { understanding } = new Plugins(plugins);
    this.pipeline = new InboundPipeline({
      store,
      clock,
      providers: new Map([...understanding, [agentWebhook.name, agentWebhook]]),
      counters,
      limiter: new RateLimiter(),
      log: this.logInto(),
      publicUrl: PUBLIC_URL,
      ownTypes: { find: (orgId, type) => this.ownType(orgId, type) },
      http: this.outside,
      ownChanges: this.ownChanges,
      handshakes: this.handshakeChanges(),
      ...(verifyLimitMs !== undefined && { timeLimitMs: verifyLimitMs }),
    });
  }

  private ownType(orgId: string, type: string): KnownType | undefined {
    const schema = this.ownTypes.get(type);
    const content = schema && { description: type, schema, example: {} };
    return content && { kind: 'known', orgId, type, version: 2, content, updatedAt: NOW };
  }

  /** Carries out what senders change; the table sees it before it is answered. */
  private handshakeChanges(): HandshakeChanges {
    const decisions = new Map<unknown, unknown>([
      [AdoptSecret, adoptSecret],
      [AwaitConfirmation, awaitConfirmation],
      [FinishHandshake, finishHandshake],
    ]);
    const commands = {
      execute: (command: ThingCommand<Integration>) =>
        execute(this.store, this.clock, integration, decisions.get(command.constructor) as never, command as never),
    } as unknown as CommandBus;
    const progress = { whenProcessed: () => this.see() };
    return new HandshakeChanges({ commands, progress, secrets: this.secrets });
  }

  private logInto(): Log {
    const write = (level: keyof Log) => (fields: object, message: string) =>
      void this.lines.push({ level, fields, message });
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }

  async start(): Promise<this> {
    this.http = fastify();
    const { pipeline, table, agents } = this;
    const sender = new SenderAddress(this.trustProxy);
    await this.http.register(inboundRoutes, { pipeline, table, agents, sender });
    this.url = await this.http.listen({ port: 0, host: '127.0.0.1' });
    return this;
  }

  async stop(): Promise<void> {
    await this.http?.close();
  }

  /** An integration as the command makes it, known to the table. */
  async integration(
    provider: string,
    { secret, preset, ...settings }: Partial<IntegrationSettings> & { secret?: string; preset?: string } = {},
  ): Promise<{ id: string; slug: string; url: string }> {
    const id = `int_${String(++this.made).padStart(26, '0')}`;
    const slug = `wh_${String(this.made).padStart(32, 's')}`;
    const reference = secret === undefined ? undefined : `${id}/secret/1`;
    if (reference !== undefined) await this.secrets.put(AUTHOR.orgId, reference, secret!);
    const all = { name: 'test', config: {}, ...settings };
    await this.run(new CreateIntegration(id, AUTHOR, provider, slug, all, reference, preset), create);
    return { id, slug, url: `${this.url}/api/v1/webhooks/inbound/${slug}` };
  }

  /** Carries a command out and lets the table see what it did. */
  async run<C extends ThingCommand<Integration>>(
    command: C,
    decide: Decide<Integration, IntegrationEvent, C>,
  ): Promise<void> {
    await execute(this.store, this.clock, integration, decide, command);
    await this.see();
  }

  /** Lets the table see what is new in the log. */
  async see(): Promise<void> {
    const { events } = await this.store.readAll({ from: this.seen, limit: 100_000 });
    for (const event of events)
      if (event.position > this.seen) {
        this.seen = event.position;
        if ((this.table.reads as readonly string[]).includes(event.type)) await this.table.apply(event);
      }
  }

  async stateOf(id: string): Promise<Integration> {
    return fold(integration, await readWhole(this.store, integration.stream(id)));
  }

  /** What came in, in order. */
  async received() {
    const { events } = await this.store.readAll({ limit: 100_000 });
    return events.filter(({ stream }) => streams.isInbound(stream));
  }
}

export const signature = (body: string | Buffer, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

/** Headers as GitHub sends them. */
export const githubHeaders = (
  event: string,
  body: string | Buffer,
  secret: string,
  delivery: string = randomUUID(),
): Record<string, string> => ({
  'content-type': 'application/json',
  'x-github-event': event,
  'x-github-delivery': delivery,
  'x-hub-signature-256': signature(body, secret),
});
