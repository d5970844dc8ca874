import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { Egress } from '#libs/egress/src/egress.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { SHUTDOWN } from '#libs/kernel/src/shutdown.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';

import { EventController } from './event.controller.js';
import { PendingActionController } from './pending-action.controller.js';
import { PendingActions } from './pending-action.projection.js';
import { CheckpointFile } from './proof/checkpoint-file.adapter.js';
import { keptSubtrees, loadTrees } from './proof/kept-tree.adapter.js';
import { ProofController } from './proof/proof.controller.js';
import { SealLog } from './proof/seal-log.subscriber.js';
import { SealTree } from './proof/seal-tree.worker.js';
import { WitnessTree } from './proof/witness-tree.worker.js';
import { SigningKeys } from './proof/signing-keys.js';
import { PublishController } from './publish.controller.js';
import { QuarantineController } from './quarantine/quarantine.controller.js';
import {
  eventQuarantine,
  QuarantineEvent,
  quarantineEvent,
  ReleaseEvent,
  releaseEvent,
} from './quarantine/quarantine.js';
import { EventStreamController } from './stream/event-stream.controller.js';
import { OpenStreams } from './stream/open-streams.js';
import { EventViewController } from './views/event-view.controller.js';
import { eventView, RemoveEventView, removeEventView, SaveEventView, saveEventView } from './views/event-view.js';
import { EventViewTable } from './views/event-view.table.js';

/** Reading the log: search, export, traces; and publishing into it. */
@Module({
  imports: [CqrsModule, EventIndexModule],
  controllers: [
    EventStreamController,
    EventController,
    QuarantineController,
    EventViewController,
    PublishController,
    PendingActionController,
    ProofController,
  ],
  providers: [
    ...commandHandlers(eventView, [on(SaveEventView, saveEventView), on(RemoveEventView, removeEventView)]),
    { provide: EventViewTable, useFactory: () => new EventViewTable() },
    ...commandHandlers(eventQuarantine, [on(QuarantineEvent, quarantineEvent), on(ReleaseEvent, releaseEvent)]),
    { provide: PendingActions, useFactory: () => new PendingActions() },
    {
      provide: OpenStreams,
      useFactory: (shutdown: AbortSignal) => new OpenStreams(shutdown),
      inject: [SHUTDOWN],
    },
    SealLog,
    {
      provide: SigningKeys,
      useFactory: (store: EventStore, secrets: Secrets) => new SigningKeys(store, secrets),
      inject: [EventStore, Secrets],
    },
    {
      provide: WitnessTree,
      useFactory: (
        store: EventStore,
        clock: Clock,
        egress: Egress,
        keys: SigningKeys,
        database: DataSource,
        { witnessUrl }: Settings,
      ) =>
        new WitnessTree({
          store,
          clock,
          egress,
          keys,
          subtreesOf: (tree) => keptSubtrees(database, tree),
          url: witnessUrl,
        }),
      inject: [EventStore, Clock, Egress, SigningKeys, DataSource, Settings],
    },
    {
      provide: SealTree,
      useFactory: (
        store: EventStore,
        clock: Clock,
        progress: Progress,
        keys: SigningKeys,
        database: DataSource,
        { checkpointFile }: Settings,
        log: Log,
      ) =>
        new SealTree({
          store,
          clock,
          progress,
          keys,
          treeOf: async (name) => (await loadTrees(database, [name])).get(name),
          file: checkpointFile === undefined ? undefined : new CheckpointFile(checkpointFile),
          log,
        }),
      inject: [EventStore, Clock, Progress, SigningKeys, DataSource, Settings, LOG],
    },
  ],
  exports: [EventViewTable, PendingActions, SealLog, SealTree, WitnessTree],
})
export class AuditModule {}
