import { Module } from '@nestjs/common';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Egress } from '#libs/egress/src/egress.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { ConnectionTable } from './connections/connection.table.js';
import { MessageAddress } from './messages/message-address.js';
import { MessageController } from './messages/message.controller.js';
import { MessageProjection } from './messages/message.projection.js';
import { SendMessage } from './messages/send-message.worker.js';
import { TrackIssue } from './trackers/track-issue.worker.js';
import { ActionWorkers } from './plugins/action-workers.js';
import { ScheduleActions } from './attempts/schedule.subscriber.js';

/**
 * What rules, runs and agents ask of others: actions of plug-ins, messages, and issues
 * in trackers outside. Scheduled, carried out, and what became of them.
 */
@Module({
  controllers: [MessageController],
  providers: [
    MessageProjection,
    ScheduleActions,
    {
      provide: ActionWorkers,
      useFactory: (
        plugins: Plugins,
        store: EventStore,
        clock: Clock,
        http: Egress,
        { actionRetrySchedule: retrySchedule }: Settings,
        secrets: NamedSecretValues,
        log: Log,
      ) => new ActionWorkers(plugins.actions.values(), { store, clock, http, retrySchedule, secrets, log }),
      inject: [Plugins, EventStore, Clock, Egress, Settings, NamedSecretValues, LOG],
    },
    { provide: ConnectionTable, useFactory: (secrets: Secrets) => new ConnectionTable(secrets), inject: [Secrets] },
    {
      provide: SendMessage,
      useFactory: (
        { providers }: Plugins,
        store: EventStore,
        clock: Clock,
        http: Egress,
        progress: Progress,
        connections: ConnectionTable,
        keyring: Keyring,
        { actionRetrySchedule: retrySchedule }: Settings,
        log: Log,
      ) =>
        new SendMessage({
          providers,
          store,
          clock,
          http,
          progress,
          connections,
          address: new MessageAddress(store, keyring, clock),
          retrySchedule,
          log,
        }),
      inject: [Plugins, EventStore, Clock, Egress, Progress, ConnectionTable, Keyring, Settings, LOG],
    },
    {
      provide: TrackIssue,
      useFactory: (
        { providers }: Plugins,
        store: EventStore,
        clock: Clock,
        http: Egress,
        progress: Progress,
        connections: ConnectionTable,
        keyring: Keyring,
        { actionRetrySchedule: retrySchedule }: Settings,
        log: Log,
      ) => new TrackIssue({ providers, store, clock, http, progress, connections, keyring, retrySchedule, log }),
      inject: [Plugins, EventStore, Clock, Egress, Progress, ConnectionTable, Keyring, Settings, LOG],
    },
  ],
  exports: [MessageProjection, ScheduleActions, ActionWorkers, ConnectionTable, SendMessage, TrackIssue],
})
export class ActionsModule {}
