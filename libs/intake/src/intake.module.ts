import { Module } from '@nestjs/common';
import { CommandBus, CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { Organisations } from '#libs/access/src/organisations.js';
import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress } from '#libs/egress/src/egress.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { AgentReceivers } from './agent-webhook/agent-receivers.js';
import { agentWebhook } from './agent-webhook/agent-webhook.js';
import { Counters } from './integration/counters.js';
import {
  AdoptSecret,
  adoptSecret,
  AwaitConfirmation,
  awaitConfirmation,
  FinishHandshake,
  finishHandshake,
  OpenHandshake,
  openHandshake,
  ShowHandshake,
  showHandshake,
} from './handshake/handshake.js';
import { HandshakeController } from './handshake/handshake.controller.js';
import { HandshakeChanges } from './handshake/handshake-changes.js';
import { IntegrationController } from './integration/integration.controller.js';
import {
  CreateIntegration,
  DeleteIntegration,
  DisableIntegration,
  EnableIntegration,
  RotateSecret,
  UpdateIntegration,
  create,
  disable,
  enable,
  integration,
  remove,
  rotateSecret,
  update,
} from './integration/integration.js';
import { IntegrationProjection } from './integration/integration.projection.js';
import { IntegrationTable } from './integration/integration.table.js';
import { OwnChanges } from './integration/own-changes.table.js';
import { ProviderController } from './integration/provider.controller.js';
import { RateLimiter } from './integration/rate-limiter.js';
import { CounterWriter } from './integration/counter-writer.adapter.js';
import { ForgetRefused } from './refused/forget-refused.subscriber.js';
import { RefusedRequests } from './refused/refused-requests.js';
import { RefusedStore } from './refused/refused-store.adapter.js';
import { RefusedController } from './refused/refused.controller.js';
import { InboundRoutes } from './receiving/inbound.adapter.js';
import type { Sealing } from './receiving/interpret-request.js';
import { InboundPipeline } from './receiving/pipeline.js';
import { TrialController } from './trial/trial.controller.js';
import { ReconcileController } from './reconcile/reconcile.controller.js';
import { ReconcileIntegrations, Reconciler } from './reconcile/reconcile.js';
import { ScheduleReconciliations } from './reconcile/reconcile.subscriber.js';
import { AwaitingWorkflows } from './workflow-webhook/awaiting-workflows.js';
import { RunAnswers } from './workflow-webhook/run-answers.js';
import { MakeWorkflowIntegrations } from './workflow-webhook/workflow-integrations.subscriber.js';
import { TellSilence } from './silence/silence.js';
import { WatchSilence } from './silence/silence.subscriber.js';

/** A text that cannot be read is none of ours. */
const sealingWith = (keyring: Keyring): Sealing => ({
  seal: (text, belongsTo) => {
    const { keyId, bytes } = keyring.seal(text, belongsTo);
    return { keyId, sealed: bytes.toString('base64') };
  },
  open: ({ keyId, sealed }, belongsTo) => {
    try {
      return keyring.open({ keyId, bytes: Buffer.from(sealed, 'base64') }, belongsTo);
    } catch {
      return undefined;
    }
  },
});

/** From the request to the log: integrations, verification, dedupe, append. */
@Module({
  imports: [CqrsModule],
  controllers: [
    RefusedController,
    ProviderController,
    IntegrationController,
    HandshakeController,
    TrialController,
    ReconcileController,
  ],
  providers: [
    ...commandHandlers(integration, [
      on(CreateIntegration, create),
      on(UpdateIntegration, update),
      on(RotateSecret, rotateSecret),
      on(EnableIntegration, enable),
      on(DisableIntegration, disable),
      on(DeleteIntegration, remove),
      on(OpenHandshake, openHandshake),
      on(AdoptSecret, adoptSecret),
      on(AwaitConfirmation, awaitConfirmation),
      on(ShowHandshake, showHandshake),
      on(FinishHandshake, finishHandshake),
    ]),
    IntegrationProjection,
    { provide: IntegrationTable, useFactory: (secrets: Secrets) => new IntegrationTable(secrets), inject: [Secrets] },
    { provide: AgentReceivers, useFactory: (secrets: Secrets) => new AgentReceivers(secrets), inject: [Secrets] },
    { provide: OwnChanges, useFactory: () => new OwnChanges() },
    { provide: Counters, useFactory: () => new Counters() },
    CounterWriter,
    { provide: RefusedRequests, useFactory: () => new RefusedRequests() },
    RefusedStore,
    ForgetRefused,
    {
      provide: InboundPipeline,
      useFactory: (
        store: EventStore,
        clock: Clock,
        { understanding }: Plugins,
        counters: Counters,
        http: Egress,
        log: Log,
        { publicUrl }: Settings,
        handshakes: HandshakeChanges,
        keyring: Keyring,
        ownTypes: OwnTypeTable,
        ownChanges: OwnChanges,
        refused: RefusedRequests,
      ) =>
        new InboundPipeline({
          refused,
          store,
          clock,
          providers: new Map([...understanding, [agentWebhook.name, agentWebhook]]),
          counters,
          http,
          publicUrl,
          handshakes,
          sealing: sealingWith(keyring),
          ownTypes,
          ownChanges,
          limiter: new RateLimiter(),
          log,
        }),
      inject: [
        EventStore,
        Clock,
        Plugins,
        Counters,
        Egress,
        LOG,
        Settings,
        HandshakeChanges,
        Keyring,
        OwnTypeTable,
        OwnChanges,
        RefusedRequests,
      ],
    },
    {
      provide: HandshakeChanges,
      useFactory: (commands: CommandBus, progress: Progress, secrets: Secrets) =>
        new HandshakeChanges({ commands, progress, secrets }),
      inject: [CommandBus, Progress, Secrets],
    },
    MakeWorkflowIntegrations,
    { provide: AwaitingWorkflows, useFactory: () => new AwaitingWorkflows() },
    {
      provide: RunAnswers,
      useFactory: (
        store: EventStore,
        progress: Progress,
        awaiting: AwaitingWorkflows,
        { publicUrl }: Settings,
        log: Log,
      ) => new RunAnswers({ store, progress, awaiting, publicUrl, log }),
      inject: [EventStore, Progress, AwaitingWorkflows, Settings, LOG],
    },
    InboundRoutes,
    ScheduleReconciliations,
    {
      provide: Reconciler,
      useFactory: (store: EventStore, clock: Clock, { providers }: Plugins, http: Egress, table: IntegrationTable) =>
        new Reconciler({ store, clock, http, providers, receiver: (id) => table.withId(id) }),
      inject: [EventStore, Clock, Plugins, Egress, IntegrationTable],
    },
    {
      provide: ReconcileIntegrations,
      useFactory: (reconciler: Reconciler, table: IntegrationTable, organisations: Organisations) =>
        new ReconcileIntegrations(
          reconciler,
          (id) => table.withId(id),
          (orgId) => organisations.isArchived(orgId),
        ),
      inject: [Reconciler, IntegrationTable, Organisations],
    },
    WatchSilence,
    {
      provide: TellSilence,
      useFactory: (store: EventStore, clock: Clock, progress: Progress, database: DataSource) =>
        new TellSilence({ store, clock, progress, movedAt: (id) => movedAt(database, id) }),
      inject: [EventStore, Clock, Progress, DataSource],
    },
  ],
  exports: [
    ForgetRefused,
    IntegrationTable,
    OwnChanges,
    AwaitingWorkflows,
    MakeWorkflowIntegrations,
    AgentReceivers,
    IntegrationProjection,
    WatchSilence,
    TellSilence,
    ScheduleReconciliations,
    ReconcileIntegrations,
  ],
})
export class IntakeModule {}

async function movedAt(database: DataSource, integrationId: string): Promise<bigint | undefined> {
  const [row] = await database.query<{ position: string }[]>(
    'select position from views.integration_watch where integration_id = $1',
    [integrationId],
  );
  return row && BigInt(row.position);
}
