import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { readOnly, Worlds } from '#libs/event-index/src/worlds.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';

import { DecidedThen } from './modes/decided-then.adapter.js';
import { WhatIf } from './modes/what-if.js';
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
      useFactory: (
        database: DataSource,
        events: EventReader,
        decisions: DecisionSources,
        whatIf: WhatIf,
        store: EventStore,
      ) => new ShownResults(database, events, decisions, whatIf, readOnly(store)),
      inject: [DataSource, EventReader, DecisionSources, WhatIf, EventStore],
    },
    {
      provide: WhatIf,
      useFactory: (store: EventStore, worlds: Worlds, decisions: DecisionSources) =>
        new WhatIf(store, worlds, new DecidedThen(readOnly(store), decisions)),
      inject: [EventStore, Worlds, DecisionSources],
    },
    {
      provide: RunReplay,
      useFactory: (
        store: EventStore,
        clock: Clock,
        events: EventReader,
        rows: ReplayRows,
        whatIf: WhatIf,
        progress: Progress,
      ) => new RunReplay({ store, clock, events, rows, whatIf, progress }),
      inject: [EventStore, Clock, EventReader, ReplayRows, WhatIf, Progress],
    },
  ],
})
export class ReplayModule {}
