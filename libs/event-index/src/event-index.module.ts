import { Module, Scope } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { EventStore } from '#libs/event-store/src/event-store.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { CorrelationBudget } from './correlation-budget.js';
import { DecisionSources } from './decision-sources.js';
import { EventIndex } from './event-index.projection.js';
import { EventReader } from './event-reader.adapter.js';
import { Worlds } from './worlds.js';

/** Finding events by what they are: who imports it may ask. */
@Module({
  providers: [
    { provide: EventIndex, useFactory: () => new EventIndex() },
    { provide: DecisionSources, useFactory: () => new DecisionSources() },
    { provide: Worlds, useFactory: () => new Worlds() },
    {
      provide: EventReader,
      useFactory: (database: DataSource, store: EventStore, progress: Progress, quarantine: Quarantine) =>
        new EventReader(database, store, progress, quarantine),
      inject: [DataSource, EventStore, Progress, Quarantine],
    },
    {
      // Each subscriber has its own: it counts what that subscriber has seen.
      provide: CorrelationBudget,
      scope: Scope.TRANSIENT,
      useFactory: (store: EventStore, clock: Clock, reader: EventReader, { correlationBudget: limit }: Settings) =>
        new CorrelationBudget({ store, clock, limit, countStory: reader.countStory.bind(reader) }),
      inject: [EventStore, Clock, EventReader, Settings],
    },
  ],
  exports: [EventIndex, EventReader, CorrelationBudget, DecisionSources, Worlds],
})
export class EventIndexModule {}
