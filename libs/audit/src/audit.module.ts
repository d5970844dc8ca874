import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';

import { EventIndex } from './event-index.projection.js';
import { EventReader } from './event-reader.adapter.js';
import { EventTypeController } from './event-type.controller.js';
import { EventController } from './event.controller.js';
import { PendingActionController } from './pending-action.controller.js';
import { PendingActions } from './pending-action.projection.js';
import { PublishController } from './publish.controller.js';

/** Reading the log: search, export, traces, the catalogue; and publishing into it. */
@Module({
  controllers: [EventController, PublishController, EventTypeController, PendingActionController],
  providers: [
    { provide: EventIndex, useFactory: () => new EventIndex() },
    { provide: PendingActions, useFactory: () => new PendingActions() },
    {
      provide: EventReader,
      useFactory: (database: DataSource, store: EventStore, progress: Progress) =>
        new EventReader(database, store, progress),
      inject: [DataSource, EventStore, Progress],
    },
  ],
  exports: [EventIndex, PendingActions],
})
export class AuditModule {}
