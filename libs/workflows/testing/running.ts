import { type DynamicModule, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { Egress, type EgressOutcome, type EgressRequest } from '#libs/egress/src/egress.js';
import type { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { Progress, type Subscriber, type Table } from '#libs/event-store/src/subscriber.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { type Cause, causedBy } from '#libs/events/src/envelope.js';
import { Clock, SystemClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { PostgresCheckpoints } from '#libs/persistence/src/checkpoints.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { AdvisoryLocks } from '#libs/persistence/src/session/advisory-locks.adapter.js';
import { SessionConnection } from '#libs/persistence/src/session/session-connection.adapter.js';
import { PostgresWorkQueue } from '#libs/persistence/src/work/work-queue.adapter.js';
import { WorkQueue } from '#libs/persistence/src/work/work.js';
import { Workers } from '#libs/persistence/src/work/workers.adapter.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { AdvanceRun } from '../src/run/advance-run.worker.js';
import { Cancellations } from '../src/run/cancellations.js';
import { RunController } from '../src/run/run.controller.js';
import { RunProjection } from '../src/run/run.projection.js';
import { RunView } from '../src/run/run.view.js';
import { StartRuns } from '../src/run/start.subscriber.js';
import { WorkflowFiles } from '../src/workflow/workflow-files.adapter.js';
import { WorkflowController } from '../src/workflow/workflow.controller.js';
import { WorkflowProjection } from '../src/workflow/workflow.projection.js';
import { WorkflowTable } from '../src/workflow/workflow.table.js';
import { WorkflowVersionView, WorkflowView } from '../src/workflow/workflow.view.js';
import { WorkflowsModule } from '../src/workflows.module.js';
import { testDefinitions } from './library.js';

@Module({})
class Surroundings {}

/** A way out on which nothing leaves: each request is answered by the test. */
export class ScriptedEgress extends Egress {
  readonly requests: EgressRequest[] = [];
  answer: (request: EgressRequest) => Promise<EgressOutcome> = () => Promise.resolve(answered(200));

  request(request: EgressRequest): Promise<EgressOutcome> {
    this.requests.push(request);
    return this.answer(request);
  }

  refusal(): undefined {
    return undefined;
  }
}

export const answered = (status: number, body = ''): EgressOutcome => ({
  kind: 'response',
  status,
  headers: {},
  body: Buffer.from(body),
  truncated: false,
  latencyMs: 1,
});

export interface RunningOptions {
  readonly databaseUrl: string;
  /** Shared by several processes of one test. */
  readonly store: MemoryEventStore;
  readonly folder?: string;
  readonly working?: boolean;
  readonly log?: Log;
}

/** One process with the stage and everything around it but HTTP: a log in memory, views and work in PostgreSQL. */
export class Running {
  readonly caller: Caller = { orgId: DEFAULT_ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };

  private constructor(
    readonly store: MemoryEventStore,
    readonly dataSource: DataSource,
    readonly egress: ScriptedEgress,
    readonly runner: Runner,
    private readonly session: SessionConnection,
    private readonly workers: Workers,
    private readonly app: INestApplicationContext,
  ) {}

  static async start({ databaseUrl: url, store, folder = '', working = true, log }: RunningOptions): Promise<Running> {
    const entities = [WorkflowView, WorkflowVersionView, RunView];
    const dataSource = await openDataSource({ url, poolSize: 5, entities });
    const session = new SessionConnection(url);
    const runner = new Runner({
      store,
      checkpoints: new PostgresCheckpoints(dataSource),
      locks: new AdvisoryLocks(session),
      signals: session,
    });
    const queue = new PostgresWorkQueue(dataSource, session);
    const egress = new ScriptedEgress();
    const nowhere = () => undefined;
    const provided: [unknown, unknown][] = [
      [EventStore, store],
      [DataSource, dataSource],
      [Clock, new SystemClock()],
      [Progress, runner],
      [WorkQueue, queue],
      [Egress, egress],
      [Settings, { retrySchedule: [100, 200], workflowsDir: folder }],
      [Plugins, new Plugins([{ name: 'test', sdk: 1, steps: testDefinitions }])],
      [LOG, log ?? { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }],
    ];
    const surroundings: DynamicModule = {
      module: Surroundings,
      global: true,
      providers: provided.map(([provide, useValue]) => ({ provide: provide as never, useValue })),
      exports: provided.map(([token]) => token as never),
      imports: [WorkflowsModule],
    };
    const app = await NestFactory.createApplicationContext(surroundings, { logger: false });
    const workers = new Workers({ dataSource, queue, workers: working ? [app.get(AdvanceRun)] : [] });
    const get = <T>(type: unknown): T => app.get<T>(type as never, { strict: false });
    await runner.start({
      subscribers: working ? [StartRuns, RunProjection, WorkflowProjection].map((type) => get<Subscriber>(type)) : [],
      tables: [WorkflowTable, Cancellations].map((type) => get<Table>(type)),
    });
    await workers.start();
    return new Running(store, dataSource, egress, runner, session, workers, app);
  }

  async stop(): Promise<void> {
    await this.files.stop();
    await this.workers.stop(0);
    await this.runner.stop();
    await this.app.close();
    await this.session.close();
    await this.dataSource.destroy();
  }

  get workflows(): WorkflowController {
    return this.app.get(WorkflowController, { strict: false });
  }

  get runs(): RunController {
    return this.app.get(RunController, { strict: false });
  }

  get files(): WorkflowFiles {
    return this.app.get(WorkflowFiles, { strict: false });
  }

  save(source: string): Promise<object> {
    const name = /^name: *(\S+)/m.exec(source)![1]!;
    return this.workflows.save(this.caller, name, { body: source });
  }

  async begin(name: string, inputs: object = {}): Promise<string> {
    const run = (await this.runs.begin(this.caller, name, { body: { inputs } })) as { id: string };
    return run.id;
  }

  view(id: string): Promise<RunShown> {
    return this.runs.view(this.caller, id) as Promise<RunShown>;
  }

  /** Resolves when the row of the run has one of the statuses. */
  async untilStatus(id: string, ...statuses: string[]): Promise<RunShown> {
    return waitFor(`run ${id} to be ${statuses.join(' or ')}`, async () => {
      const shown = await this.view(id);
      return statuses.includes(shown.status) && shown;
    });
  }

  /** Puts an event into the log, in a stream of its own unless one is named. */
  async append(type: EventType, data: object, more: { cause?: Cause; stream?: string } = {}): Promise<RecordedEvent> {
    const id = uuid7();
    const stream = more.stream ?? `test-${id}`;
    const { cause } = more;
    const context = {
      id,
      orgId: DEFAULT_ORG,
      actor: 'test',
      now: new Date(),
      subject: 'test',
      ...(cause && { cause }),
    };
    await this.store.append(stream, [newEvent({ type, data }, context)], 'any');
    const [recorded] = await this.store.readStream(stream, { direction: 'backwards', limit: 1 });
    return recorded!;
  }

  /** Answers a request for a redelivery, as the stage of deliveries does. */
  async answer(request: RecordedEvent, status: number): Promise<void> {
    const { deliveryId } = request.data as { deliveryId: string };
    const data = { deliveryId, eventId: 'evt_1', eventType: 'git.push', attempt: 2, latencyMs: 1, status };
    const cause = causedBy(request);
    if (status < 300) await this.append('webhook.delivered', data, { cause });
    else
      await this.append(
        'webhook.failed',
        { ...data, failureClass: 'status', detail: `the receiver answered ${status}`, retryable: true },
        { cause },
      );
  }

  async logged(type: EventType): Promise<readonly RecordedEvent[]> {
    return (await this.store.readAll({ from: 0n, filter: { types: [type] }, limit: 10_000 })).events;
  }
}

export interface RunShown {
  readonly id: string;
  readonly status: string;
  readonly until?: string;
  readonly outputs?: unknown;
  readonly error?: { readonly code: string };
  readonly timeline: readonly {
    readonly path: string;
    readonly status: string;
    readonly output?: unknown;
    readonly attempts: readonly { readonly resumed: number }[];
  }[];
}
