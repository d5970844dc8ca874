import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type DynamicModule, type INestApplicationContext, Module } from '@nestjs/common';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { DECORATORS } from '@nestjs/swagger';
import { Type } from '@sinclair/typebox';
import type { DataSource } from 'typeorm';
import { AppModule, type Parts, partsOf } from '#apps/server/src/app.module.js';
import { checkCommandHandlers } from '#apps/server/src/command-check.adapter.js';
import type { Core } from '#apps/server/src/core.module.js';
import { Health } from '#apps/server/src/health/health.adapter.js';
import { Metrics } from '#apps/server/src/health/metrics.js';
import { RouteTable } from '#apps/server/src/http/route-table.js';
import { Schemas } from '#apps/server/src/http/schemas.js';
import { parseConfig } from '#apps/server/src/config.js';
import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import { AccessModule } from '#libs/access/src/access.module.js';
import { createToken, token, CreateToken } from '#libs/access/src/token/token.js';
import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { checkWiring } from '#libs/event-store/src/runner/wiring.js';
import { catalogue } from '#libs/events/src/catalogue.js';
import { gitEvents } from '#libs/events/src/types/git.events.js';
import { inboundEvents } from '#libs/events/src/types/inbound.events.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { silentLog } from '#libs/kernel/src/log.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { Plugin } from '#libs/plugin-sdk/src/define-plugin.js';
import { memoryKeys } from '#libs/privacy/testing/memory-key-names.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { stepEvents } from '#libs/workflows/src/steps/registry.js';
import { MemoryCheckpoints, MemoryLocks, MemorySignals } from '../../libs/event-store/testing/memory-runner.js';

import 'reflect-metadata';

/** Actions come from plug-ins alone. */
const pager: Plugin = {
  name: 'pager',
  sdk: 1,
  actions: [
    {
      name: 'page-on-call',
      description: 'Pages the person on call.',
      inputSchema: Type.Object({}),
      run: () => Promise.resolve(null),
    },
  ],
};

/** What a stage may ask for, without a database behind it: nothing is started here, only put together. */
function coreWithoutDatabase(): Core {
  const database = {
    query: () => Promise.resolve([]),
    getRepository: () => ({}),
    subscribers: [],
  } as unknown as DataSource;
  const parsed = parseConfig({}, '/nowhere');
  if (parsed.kind === 'invalid') throw new Error(parsed.problems.join());
  const { settings } = parsed.config;
  const store = new MemoryEventStore();
  const keyring = new Keyring([Buffer.alloc(32)]);
  return {
    store,
    clock: new SystemClock(),
    database,
    workQueue: new PostgresWorkQueue(database),
    keyring,
    secrets: new PostgresSecrets(database, keyring),
    subjectKeys: memoryKeys().keys,
    egress: new HttpEgress(settings),
    plugins: new Plugins([builtInProviders, { name: 'built-in steps', sdk: 1, steps: builtInSteps }, pager]),
    runner: new Runner({
      store,
      checkpoints: new MemoryCheckpoints(),
      locks: new MemoryLocks(),
      signals: new MemorySignals(),
    }),
    settings,
    schemas: new Schemas({}),
    metrics: new Metrics(),
    health: new Health(store, database, () => Promise.resolve([])),
    routes: new RouteTable(),
    shutdown: new AbortController().signal,
    log: silentLog,
  };
}

/** Written by whoever sends requests: intake's providers, and programs that publish. */
const FROM_OUTSIDE: readonly string[] = [...Object.keys(gitEvents), ...Object.keys(inboundEvents)];

/** Written by a route itself, without a command. */
const WRITTEN_IN: Readonly<Record<string, readonly string[]>> = {
  'libs/workflows/src/run/commands/cancel-run.ts': ['run.cancelled', 'run.finally_started'],
  'libs/workflows/src/run/commands/hold-run.ts': ['run.paused', 'run.resumed'],
  'libs/workflows/src/run/commands/retry-run.ts': ['run.retried'],
  'libs/workflows/src/run/bulk/bulk-retry.controller.ts': ['run.bulk_retry_requested'],
  'libs/workflows/src/run/commands/take-over-steps.ts': ['run.step_reused'],
  'libs/workflows/src/approvals/decide-approval.ts': ['approval.voted', 'approval.decided'],
  'libs/agents/src/execution/execution-stream.ts': ['agent.cancelled'],
  'libs/agents/src/execution/decide-approval.ts': ['agent.approval_decided'],
  'libs/audit/src/proof/signing-keys.ts': ['log.key_rotated'],
  'libs/audit/src/log-copy/copy-log.ts': ['log.truncated'],
  'libs/audit/src/replay/replay.controller.ts': ['replay.requested', 'replay.cancelled'],
  'libs/audit/src/projections/rebuild-stream.ts': ['projection.rebuild_requested', 'projection.rebuild_ended'],
  'libs/event-store/src/runner/parking.ts': ['subscriber.parked'],
  'libs/privacy/src/subjects/subject.controller.ts': ['subject.erased'],
};

/** Written by older versions, and still read. */
const WRITTEN_BEFORE: readonly string[] = ['delivery.attempted'];

/** Read by name in a file of a subscriber that reads everything, or by whoever reads the stream again. */
const READ_IN: Readonly<Record<string, readonly string[]>> = {
  'libs/actions/src/messages/send-message.worker.ts': ['message.attempted'],
  'libs/actions/src/trackers/track-issue.worker.ts': ['tracker.attempted', 'tracker.key_taken'],
  'libs/actions/src/messages/message-address.ts': ['message.reply_taken'],
  'libs/audit/src/proof/seal-log.subscriber.ts': ['log.sealed', 'log.cosigned'],
  'libs/audit/src/proof/signing-keys.ts': ['log.key_rotated'],
  'libs/audit/src/proof/tree/leaf.ts': ['log.truncated'],
  'libs/audit/src/retention/truncate-log.worker.ts': ['retention.applied'],
  'libs/deliveries/src/delivery/schedule.ts': [
    'webhook.test',
    'webhook.requested',
    'webhook.redelivery_requested',
    'webhook.recovery_requested',
    'webhook.exhausted',
    'delivery.redelivery_requested',
    'run.request_withdrawn',
  ],
  'libs/deliveries/src/delivery/attempt-history.ts': ['delivery.attempted'],
  'libs/event-store/src/names/unique-name.ts': ['name.reserved'],
  'libs/rules/src/decisions/decide.subscriber.ts': ['rule.burst_ended'],
  'libs/workflows/src/run/start.subscriber.ts': ['workflow.requested', 'trigger.group_ended'],
  'libs/workflows/src/waits/answer-waits.subscriber.ts': ['run.wait_begun'],
  'libs/workflows/src/approvals/decide-approval.ts': ['approval.voted'],

  'libs/agents/src/engine/execution-state.ts': ['agent.attempt_started'],
  'libs/agents/src/engine/model-calls.ts': [
    'agent.tools_requested',
    'agent.tools_listed',
    'agent.model_called',
    'agent.model_answered',
    'agent.tool_unknown',
  ],
  'libs/workflows/src/engine/run-state.ts': [
    'workflow.step_completed',
    'workflow.error',
    'run.step_skipped',
    'run.timer_set',
    'run.timer_fired',
    'run.recovery_started',
    'run.vars_set',
    'run.step_reused',
    'run.paused',
    'run.crashed',
    'run.blocked',
    'workflow.near_limit',
  ],
};

/** Read by nobody of ours but the index of events, the rules and the subscriptions of users, each for a reason. */
const TERMINAL: Readonly<Record<string, string>> = {
  'correlation.exhausted': 'tells people, and rules and webhooks that name it',
  'name.lapsed': 'moves the stream on that it is in: that is all it is for',
  'replay.event_rerun': 'begins the story of an event that is acted on again; results of the replay show it',
  'subscriber.parked': 'tells people; the runner keeps the parked events itself',
};

/** Checkpoints are kept under these names: one that changes begins again from the start of the log. */
const NAMES: readonly string[] = [
  'access.forget-secrets',
  'actions.message-views',
  'actions.schedule',
  'agents.executions',
  'agents.follow-runs',
  'agents.request',
  'agents.views',
  'audit.events',
  'audit.pending-actions',
  'audit.rebuilds',
  'audit.replays',
  'audit.retention',
  'audit.seal',
  'deliveries.schedule',
  'deliveries.webhook-views',
  'intake.forget-refused',
  'intake.list',
  'intake.reconcile',
  'intake.silence',
  'intake.workflow-integrations',
  'issues.open',
  'issues.views',
  'privacy.erase',
  'rules.decide',
  'rules.decisions',
  'rules.views',
  'workflows.answers',
  'workflows.approvals',
  'workflows.bulk-retries',
  'workflows.children',
  'workflows.decisions',
  'workflows.runs',
  'workflows.schedules',
  'workflows.trigger',
  'workflows.views',
];

describe('the wiring', () => {
  let application: INestApplicationContext;
  let parts: Parts;
  let written: Set<string>;
  let read: Set<string>;
  beforeAll(async () => {
    application = await NestFactory.createApplicationContext(AppModule.with(coreWithoutDatabase()), { logger: false });
    parts = partsOf(application);
    const handlers = [...application.get(ModulesContainer).values()].flatMap((module) =>
      [...module.providers.values()].flatMap(
        ({ metatype }) => (metatype as { writes?: string[] } | null)?.writes ?? [],
      ),
    );
    written = new Set([
      ...FROM_OUTSIDE,
      ...handlers,
      ...parts.subscribers.flatMap(({ writes }) => [...writes]),
      ...parts.workers.flatMap(({ writes }) => [...writes]),
      ...Object.values(WRITTEN_IN).flat(),
      ...WRITTEN_BEFORE,
    ]);
    // Who reads everything does so for users: that is no reason for an event to exist.
    read = new Set();
    for (const { reads } of [...parts.subscribers, ...parts.tables])
      if (reads !== 'all') for (const type of reads) read.add(type);
    for (const types of Object.values(READ_IN)) for (const type of types) read.add(type);
    // What kinds of steps record, the fold of a run reads.
    for (const type of stepEvents.keys()) read.add(type);
    for (const { tables = [] } of parts.subscribers)
      for (const table of tables) for (const type of table.reads) read.add(type);
  });
  afterAll(() => application.close());

  it('every event that is written is read by somebody, or is declared to be an end', () => {
    const outside = new Set(FROM_OUTSIDE);
    const unread = [...written].filter((type) => !read.has(type) && !(type in TERMINAL) && !outside.has(type));
    expect(unread).toEqual([]);
  });

  it.each(Object.entries({ ...WRITTEN_IN, ...READ_IN }))('%s names what it is said to read or write', (file, types) => {
    const text = readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8');
    expect(types.filter((type) => !text.includes(`'${type}'`))).toEqual([]);
  });

  it('every event that somebody reads is written by somebody', () => {
    expect([...read].filter((type) => !written.has(type))).toEqual([]);
  });

  it('every type of the catalogue is written by somebody', () => {
    expect(Object.keys(catalogue).filter((type) => !written.has(type))).toEqual([]);
  });

  it('nothing is written that is not in the catalogue', () => {
    expect([...written].filter((type) => !(type in catalogue))).toEqual([]);
  });

  it('no declared end has found a reader since', () => {
    expect(Object.keys(TERMINAL).filter((type) => read.has(type) || !written.has(type))).toEqual([]);
  });

  it('each subscriber and table has a name of its own, and reads what its tables need', () => {
    expect(() => checkWiring(parts.subscribers, parts.tables)).not.toThrow();
  });

  it('subscribers keep the names that their checkpoints have', () => {
    expect(parts.subscribers.map(({ name }) => name).sort()).toEqual([...NAMES]);
  });

  it('each queue has one worker', () => {
    const queues = parts.workers.map(({ queue }) => queue);
    expect(new Set(queues).size).toBe(queues.length);
    expect(queues.sort()).toEqual([
      'actions.messages',
      'actions.run.page-on-call',
      'actions.trackers',
      'agents.execute',
      'audit.rebuilds',
      'audit.replays',
      'audit.retention',
      'audit.seal',
      'audit.witness',
      'deliveries.attempt',
      'deliveries.pace',
      'intake.reconcile',
      'intake.silence',
      'rules.bursts',
      'workflows.conflicts',
      'workflows.groups',
      'workflows.retry',
      'workflows.run',
      'workflows.schedules',
    ]);
  });

  it('no command has two handlers', () => {
    expect(() => checkCommandHandlers(application)).not.toThrow();
  });
});

describe('a query parameter', () => {
  interface Argument {
    readonly data?: string;
  }

  it('that a route reads is described, or the guard would refuse it', async () => {
    const application = await NestFactory.createApplicationContext(AppModule.with(coreWithoutDatabase()), {
      logger: false,
    });
    const undescribed: string[] = [];
    let read = 0;
    for (const { metatype } of [...application.get(ModulesContainer).values()].flatMap(({ controllers }) => [
      ...controllers.values(),
    ])) {
      const { prototype } = metatype as { prototype: object };
      for (const [handler, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
        if (typeof value !== 'function') continue;
        const parameters = (Reflect.getMetadata(DECORATORS.API_PARAMETERS, value) ?? []) as { name: string }[];
        const described = new Set(parameters.map(({ name }) => name));
        const all = (Reflect.getMetadata(ROUTE_ARGS_METADATA, metatype as object, handler) ?? {}) as Record<
          string,
          Argument
        >;
        for (const [key, { data: name }] of Object.entries(all)) {
          if (!key.startsWith(`${RouteParamtypes.QUERY}:`) || name === undefined) continue;
          read += 1;
          if (!described.has(name)) undescribed.push(`${(metatype as { name: string }).name}.${handler}: ${name}`);
        }
      }
    }
    await application.close();
    expect(read).toBeGreaterThan(20);
    expect(undescribed).toEqual([]);
  });
});

describe('a second handler for one command', () => {
  it('ends the start: it would silently replace the first', async () => {
    const second = commandHandlers(token, [on(CreateToken, createToken)])[0]!;
    @Module({ providers: [second] })
    class Rival {}
    const core = AppModule.with(coreWithoutDatabase());
    const twice: DynamicModule = { ...core, imports: [...(core.imports ?? []), Rival] };
    expect(core.imports).toContain(AccessModule);
    const application = await NestFactory.createApplicationContext(twice, { logger: false });
    try {
      expect(() => checkCommandHandlers(application)).toThrow(/^CreateToken has two handlers/);
    } finally {
      await application.close();
    }
  });
});
