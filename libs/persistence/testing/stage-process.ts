import { type INestApplicationContext, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';

import type { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { type Followers, Runner } from '#libs/event-store/src/runner/runner.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { Cause } from '#libs/events/src/envelope.js';
import { Clock, SystemClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { PostgresCheckpoints } from '../src/checkpoints.adapter.js';
import { type DataSourceSettings, openDataSource } from '../src/data-source.adapter.js';
import { AdvisoryLocks } from '../src/session/advisory-locks.adapter.js';
import { SessionConnection } from '../src/session/session-connection.adapter.js';
import { PostgresWorkQueue } from '../src/claims/work-queue.adapter.js';
import { type Worker, WorkQueue } from '../src/claims/work.js';
import { Workers } from '../src/claims/workers.adapter.js';

@Module({})
class Surroundings {}

/** Finds a part of the stage by its class. */
export type Find = <T>(type: abstract new (...given: never[]) => T) => T;

export interface StageSettings {
  readonly databaseUrl: string;
  /** Shared by the processes of a test. */
  readonly store: MemoryEventStore;
  /** Of the events that the test appends. */
  readonly orgId: string;
  readonly module: Type;
  readonly entities?: DataSourceSettings['entities'];
  /** What the stage needs besides the log, the database, the clock and claimed work, by its token. */
  readonly provided?: readonly (readonly [token: unknown, value: unknown])[];
  /** What the process runs. */
  readonly runs: (find: Find) => Partial<Followers> & { readonly workers?: readonly Worker[] };
}

/** One process with one stage and all that a stage needs but HTTP: a log in memory, views and claimed work in PostgreSQL. */
export class StageProcess {
  private constructor(
    readonly store: MemoryEventStore,
    readonly dataSource: DataSource,
    readonly runner: Runner,
    private readonly orgId: string,
    private readonly session: SessionConnection,
    private readonly workers: Workers,
    private readonly app: INestApplicationContext,
  ) {}

  static async start(settings: StageSettings): Promise<StageProcess> {
    const { databaseUrl: url, store, orgId, module, entities = [], provided = [], runs } = settings;
    const dataSource = await openDataSource({ url, poolSize: 5, entities });
    const session = new SessionConnection(url);
    const runner = new Runner({
      store,
      checkpoints: new PostgresCheckpoints(dataSource),
      locks: new AdvisoryLocks(session),
      signals: session,
    });
    const queue = new PostgresWorkQueue(dataSource, session);
    const everything: readonly (readonly [unknown, unknown])[] = [
      [EventStore, store],
      [DataSource, dataSource],
      [Clock, new SystemClock()],
      [Progress, runner],
      [WorkQueue, queue],
      [Quarantine, new Quarantine()],
      ...provided,
    ];
    const app = await NestFactory.createApplicationContext(
      {
        module: Surroundings,
        global: true,
        providers: everything.map(([provide, useValue]) => ({ provide: provide as never, useValue })),
        exports: everything.map(([token]) => token as never),
        imports: [module],
      },
      { logger: false },
    );
    const { workers: running = [], subscribers = [], tables = [] } = runs((type) => app.get(type, { strict: false }));
    const workers = new Workers({ dataSource, queue, workers: running });
    await runner.start({ subscribers, tables });
    await workers.start();
    return new StageProcess(store, dataSource, runner, orgId, session, workers, app);
  }

  async stop(): Promise<void> {
    await this.workers.stop(0);
    await this.runner.stop();
    await this.app.close();
    await this.session.close();
    await this.dataSource.destroy();
  }

  readonly find: Find = (type) => this.app.get(type, { strict: false });

  /** Puts an event into the log, in a stream of its own unless one is named. */
  async append<T extends EventType>(
    type: T,
    data: DataOf<T>,
    { stream, cause }: { readonly stream?: string; readonly cause?: Cause } = {},
  ): Promise<RecordedEvent> {
    const id = uuid7();
    const to = stream ?? `test-${id}`;
    const context = { id, orgId: this.orgId, actor: 'test', now: new Date(), subject: 'test', ...(cause && { cause }) };
    await this.store.append(to, [newEvent({ type, data }, context)], 'any');
    const [recorded] = await this.store.readStream(to, { direction: 'backwards', limit: 1 });
    return recorded!;
  }

  /** All events of these types. */
  async logged<T extends EventType>(...types: readonly T[]) {
    const { events } = await this.store.readAll({ from: 0n, filter: { types }, limit: 10_000 });
    return events.flatMap((event) => (event.is(...types) ? [event] : []));
  }
}
