import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';

import { EventIndex } from './event-index.projection.js';
import { EventReader } from './event-reader.adapter.js';

/** Finding events by what they are: who imports it may ask. */
@Module({
  providers: [
    { provide: EventIndex, useFactory: () => new EventIndex() },
    {
      provide: EventReader,
      useFactory: (database: DataSource, store: EventStore, progress: Progress) =>
        new EventReader(database, store, progress),
      inject: [DataSource, EventStore, Progress],
    },
  ],
  exports: [EventIndex, EventReader],
})
export class EventIndexModule {}
