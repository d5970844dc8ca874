import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Clock } from '#libs/kernel/src/clock.js';

import { Replays } from './replay-list.adapter.js';
import { ReplayController } from './replay.controller.js';
import { ReplayProjection } from './replay.projection.js';
import { ReplayRows } from './replay-rows.adapter.js';
import { RunReplay } from './run-replay.worker.js';
import { ReplayResultsController } from './shown/replay-results.controller.js';
import { ShownResults } from './shown/shown-results.adapter.js';

/** Replays of the log. */
@Module({
  imports: [EventIndexModule],
  controllers: [ReplayController, ReplayResultsController],
  providers: [
    ReplayProjection,
    { provide: ReplayRows, useFactory: (database: DataSource) => new ReplayRows(database), inject: [DataSource] },
    {
      provide: Replays,
      useFactory: (database: DataSource, rows: ReplayRows) => new Replays(database, rows),
      inject: [DataSource, ReplayRows],
    },
    {
      provide: ShownResults,
      useFactory: (database: DataSource, events: EventReader, decisions: DecisionSources) =>
        new ShownResults(database, events, decisions),
      inject: [DataSource, EventReader, DecisionSources],
    },
    {
      provide: RunReplay,
      useFactory: (store: EventStore, clock: Clock, events: EventReader, rows: ReplayRows) =>
        new RunReplay({ store, clock, events, rows }),
      inject: [EventStore, Clock, EventReader, ReplayRows],
    },
  ],
})
export class ReplayModule {}
