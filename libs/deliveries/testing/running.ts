import { type INestApplicationContext, type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { Egress } from '#libs/egress/src/egress.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { Progress, type Subscriber } from '#libs/event-store/src/subscriber.js';
import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import { causedBy, type Cause } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock, SystemClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { PostgresCheckpoints } from '#libs/persistence/src/checkpoints.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { AdvisoryLocks } from '#libs/persistence/src/session/advisory-locks.adapter.js';
import { SessionConnection } from '#libs/persistence/src/session/session-connection.adapter.js';
import { PostgresWorkQueue } from '#libs/persistence/src/work/work-queue.adapter.js';
import { WorkQueue } from '#libs/persistence/src/work/work.js';
import { Workers } from '#libs/persistence/src/work/workers.adapter.js';

import { DeliveriesModule } from '../src/deliveries.module.js';
import { DeliveryController } from '../src/delivery/delivery.controller.js';
import { ScheduleDeliveries } from '../src/delivery/delivery.subscriber.js';
import { DeliveryView } from '../src/delivery/delivery.view.js';
import { AttemptDelivery } from '../src/sending/attempt-delivery.worker.js';
import { WebhookController } from '../src/webhook/webhook.controller.js';
import { WebhookProjection } from '../src/webhook/webhook.projection.js';
import { WebhookTable } from '../src/webhook/webhook.table.js';
import { WebhookHealthView, WebhookView } from '../src/webhook/webhook.view.js';
import { MemorySecrets } from './doubles.js';
import { ORG } from './given.js';

@Module({})
class Surroundings {}

/** The stage with everything around it but HTTP: a log in memory, views and work in PostgreSQL, real calls out. */
export class Running {
  readonly caller: Caller = { orgId: ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };

  private constructor(
    readonly store: MemoryEventStore,
    readonly dataSource: DataSource,
    readonly secrets: MemorySecrets,
    readonly runner: Runner,
    private readonly session: SessionConnection,
    private readonly egress: HttpEgress,
    private readonly workers: Workers,
    private readonly app: INestApplicationContext,
  ) {}

  /** On an empty database. */
  static async start(databaseUrl: string): Promise<Running> {
    const store = new MemoryEventStore();
    const dataSource = await openDataSource({
      url: databaseUrl,
      poolSize: 5,
      entities: [WebhookView, WebhookHealthView, DeliveryView],
    });
    const session = new SessionConnection(databaseUrl);
    const runner = new Runner({
      store,
      checkpoints: new PostgresCheckpoints(dataSource),
      locks: new AdvisoryLocks(session),
      signals: session,
    });
    const queue = new PostgresWorkQueue(dataSource);
    const secrets = new MemorySecrets();
    const egress = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] });
    const provided: [unknown, unknown][] = [
      [EventStore, store],
      [DataSource, dataSource],
      [Clock, new SystemClock()],
      [Progress, runner],
      [WorkQueue, queue],
      [Secrets, secrets],
      [Egress, egress],
    ];
    const providers = provided.map(([provide, useValue]) => ({ provide: provide as never, useValue }));
    const surroundings: DynamicModule = {
      module: Surroundings,
      global: true,
      providers,
      exports: provided.map(([token]) => token as never),
      imports: [DeliveriesModule],
    };
    const app = await NestFactory.createApplicationContext(surroundings, { logger: false });
    const workers = new Workers({ dataSource, queue, workers: [app.get(AttemptDelivery)] });
    const subscribers = [ScheduleDeliveries, WebhookProjection].map((type) => app.get<Subscriber>(type as never));
    await runner.start({ subscribers, tables: [app.get(WebhookTable)] });
    await workers.start();
    return new Running(store, dataSource, secrets, runner, session, egress, workers, app);
  }

  async stop(): Promise<void> {
    await this.workers.stop(0);
    await this.runner.stop();
    await this.app.close();
    this.egress.close();
    await this.session.close();
    await this.dataSource.destroy();
  }

  get webhooks(): WebhookController {
    return this.app.get(WebhookController, { strict: false });
  }

  get deliveries(): DeliveryController {
    return this.app.get(DeliveryController, { strict: false });
  }

  /** Puts an event into the log, in a stream of its own unless one is named. */
  async append<T extends EventType>(
    type: T,
    data: DataOf<T>,
    { stream, cause }: { stream?: string; cause?: Cause } = {},
  ): Promise<{ id: string; position: bigint; stream: string }> {
    const id = uuid7();
    const to = stream ?? `test-${id}`;
    const event = newEvent(
      { type, data },
      { id, orgId: ORG, actor: 'test', now: new Date(), subject: 'test', ...(cause && { cause }) },
    );
    const { position } = await this.store.append(to, [event], 'any');
    return { id, position, stream: to };
  }

  /** Everything in the log of one type. */
  async logged<T extends EventType>(type: T) {
    const { events } = await this.store.readAll({ from: 0n, filter: { types: [type] }, limit: 10_000 });
    return events.flatMap((event) => (event.is(type) ? [event] : []));
  }

  /** Does what the retry workflow does: asks for another attempt of whatever failed, up to `times`, then gives up. */
  async retryFailures(times: number, afterMs: number, signal: AbortSignal): Promise<void> {
    const filter = { types: ['webhook.failed'] };
    for await (const item of this.store.subscribe({ from: 'start', filter, signal })) {
      if (item.kind !== 'events') continue;
      for (const event of item.events) {
        if (!event.is('webhook.failed') || !event.data.retryable) continue;
        const { deliveryId, attempt } = event.data;
        const more = { stream: streams.run(deliveryId), cause: causedBy(event) };
        const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'redeliver' };
        if (attempt <= times)
          await this.append('webhook.redelivery_requested', { requestedBy, deliveryId, afterMs }, more);
        else await this.append('webhook.exhausted', { deliveryId, attempts: attempt }, more);
      }
    }
  }
}
