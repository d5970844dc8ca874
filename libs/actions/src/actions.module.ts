import { Module } from '@nestjs/common';

import { Egress } from '#libs/egress/src/egress.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { ActionWorkers } from './action-workers.js';
import { ScheduleActions } from './schedule.subscriber.js';

/** Actions that plug-ins add: scheduled for every request, run, and what became of them. */
@Module({
  providers: [
    ScheduleActions,
    {
      provide: ActionWorkers,
      useFactory: (
        plugins: Plugins,
        store: EventStore,
        clock: Clock,
        http: Egress,
        { actionRetrySchedule: retrySchedule }: Settings,
        log: Log,
      ) => new ActionWorkers(plugins.actions.values(), { store, clock, http, retrySchedule, log }),
      inject: [Plugins, EventStore, Clock, Egress, Settings, LOG],
    },
  ],
  exports: [ScheduleActions, ActionWorkers],
})
export class ActionsModule {}
