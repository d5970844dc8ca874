import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress } from '#libs/egress/src/egress.js';
import { CorrelationBudget } from '#libs/event-index/src/correlation-budget.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import { DeliveryController } from './delivery/delivery.controller.js';
import { ScheduleDeliveries } from './delivery/delivery.subscriber.js';
import { RecentEvents } from './delivery/recent-events.js';
import { redelivery, RequestRedelivery, requestRedelivery } from './delivery/redelivery.js';
import { AttemptDelivery } from './sending/attempt-delivery.worker.js';
import { CredentialCache } from './sending/credentials.js';
import { ReleaseAttempts } from './sending/release-attempts.worker.js';
import { WebhookController } from './webhook/webhook.controller.js';
import {
  DeleteWebhook,
  DisableWebhook,
  EnableWebhook,
  RecoverWebhook,
  RegisterWebhook,
  RotateWebhookSecret,
  TestWebhook,
  UpdateWebhook,
  disable,
  enable,
  recover,
  register,
  remove,
  rotateSecret,
  test,
  update,
  webhook,
} from './webhook/webhook.js';
import { WebhookProjection } from './webhook/webhook.projection.js';
import { WebhookTable } from './webhook/webhook.table.js';

/** Outbound webhooks: set up, scheduled for every event, sent, and what became of it. */
@Module({
  imports: [CqrsModule, EventIndexModule],
  controllers: [DeliveryController, WebhookController],
  providers: [
    ...commandHandlers(webhook, [
      on(RegisterWebhook, register),
      on(UpdateWebhook, update),
      on(RotateWebhookSecret, rotateSecret),
      on(EnableWebhook, enable),
      on(DisableWebhook, disable),
      on(DeleteWebhook, remove),
      on(TestWebhook, test),
      on(RecoverWebhook, recover),
    ]),
    ...commandHandlers(redelivery, [on(RequestRedelivery, requestRedelivery)]),
    WebhookProjection,
    { provide: WebhookTable, useFactory: () => new WebhookTable() },
    { provide: RecentEvents, useFactory: () => new RecentEvents() },
    { provide: CredentialCache, useFactory: (secrets: Secrets) => new CredentialCache(secrets), inject: [Secrets] },
    {
      provide: ScheduleDeliveries,
      useFactory: (store: EventStore, clock: Clock, work: WorkQueue, recent: RecentEvents, budget: CorrelationBudget) =>
        new ScheduleDeliveries(store, clock, work, recent, budget),
      inject: [EventStore, Clock, WorkQueue, RecentEvents, CorrelationBudget],
    },
    {
      provide: AttemptDelivery,
      useFactory: (
        store: EventStore,
        clock: Clock,
        egress: Egress,
        progress: Progress,
        webhooks: WebhookTable,
        credentials: CredentialCache,
        recent: RecentEvents,
        secrets: NamedSecretValues,
      ) => new AttemptDelivery({ store, clock, egress, progress, webhooks, credentials, recent, secrets }),
      inject: [EventStore, Clock, Egress, Progress, WebhookTable, CredentialCache, RecentEvents, NamedSecretValues],
    },
    {
      provide: ReleaseAttempts,
      useFactory: (database: DataSource, progress: Progress, webhooks: WebhookTable, work: WorkQueue) =>
        new ReleaseAttempts({ database, progress, webhooks, work }),
      inject: [DataSource, Progress, WebhookTable, WorkQueue],
    },
  ],
  exports: [WebhookProjection, WebhookTable, ScheduleDeliveries, AttemptDelivery, ReleaseAttempts],
})
export class DeliveriesModule {}
