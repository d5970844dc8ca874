import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';
import type { Caller } from '#libs/access/src/caller.js';
import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { Egress } from '#libs/egress/src/egress.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { StageProcess } from '../../persistence/testing/stage-process.js';
import { DeliveriesModule } from '../src/deliveries.module.js';
import { DeliveryController } from '../src/delivery/delivery.controller.js';
import { ScheduleDeliveries } from '../src/delivery/delivery.subscriber.js';
import { DeliveryView } from '../src/delivery/delivery.view.js';
import { AttemptDelivery } from '../src/sending/attempt-delivery.worker.js';
import { ReleaseAttempts } from '../src/sending/release-attempts.worker.js';
import { WebhookController } from '../src/webhook/webhook.controller.js';
import { WebhookProjection } from '../src/webhook/webhook.projection.js';
import { WebhookTable } from '../src/webhook/webhook.table.js';
import { WebhookHealthView, WebhookView } from '../src/webhook/webhook.view.js';
import { MemorySecrets } from './doubles.js';
import { ORG } from './given.js';

/** The stage with everything around it but HTTP, and real calls out. */
export class Running {
  readonly caller: Caller = { orgId: ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
  readonly append = this.stage.append.bind(this.stage);
  readonly logged = this.stage.logged.bind(this.stage);
  readonly webhooks = this.stage.find(WebhookController);
  readonly deliveries = this.stage.find(DeliveryController);
  readonly store = this.stage.store;
  readonly dataSource = this.stage.dataSource;
  readonly runner = this.stage.runner;

  private constructor(
    private readonly stage: StageProcess,
    readonly secrets: MemorySecrets,
    private readonly egress: HttpEgress,
  ) {}

  /** On an empty database; or beside `other`, as another process of the same installation. */
  static async start(databaseUrl: string, other?: Running): Promise<Running> {
    const secrets = other?.secrets ?? new MemorySecrets();
    const store = other?.store ?? new MemoryEventStore();
    const egress = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] });
    const stage = await StageProcess.start({
      databaseUrl,
      store,
      orgId: ORG,
      module: DeliveriesModule,
      entities: [WebhookView, WebhookHealthView, DeliveryView],
      provided: [
        [Secrets, secrets],
        [NamedSecretValues, new NamedSecretValues(store, secrets)],
        [Egress, egress],
        [VocabularyTable, new VocabularyTable(new NamedSecretTable(), new OwnTypeTable(), new Plugins([]))],
        [Settings, { correlationBudget: 10_000 }],
      ],
      runs: (find) => ({
        subscribers: [find(ScheduleDeliveries), find(WebhookProjection)],
        tables: [find(WebhookTable)],
        workers: [find(AttemptDelivery), find(ReleaseAttempts)],
      }),
    });
    return new Running(stage, secrets, egress);
  }

  async stop(): Promise<void> {
    await this.stage.stop();
    this.egress.close();
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
