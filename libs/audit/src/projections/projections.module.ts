import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { EventStore } from '#libs/event-store/src/event-store.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Projections } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';

import { ProjectionController } from './projection.controller.js';
import { RebuildProjection } from './rebuild.projection.js';
import { RebuildRows } from './rebuild-rows.worker.js';

/** Rebuilding and verifying the rows that are folded from the log. */
@Module({
  controllers: [ProjectionController],
  providers: [
    RebuildProjection,
    {
      provide: RebuildRows,
      useFactory: (
        store: EventStore,
        database: DataSource,
        projections: Projections,
        quarantine: Quarantine,
        clock: Clock,
        log: Log,
      ) => new RebuildRows({ store, database, projections, quarantine, clock, log }),
      inject: [EventStore, DataSource, Projections, Quarantine, Clock, LOG],
    },
  ],
  exports: [RebuildProjection, RebuildRows],
})
export class ProjectionsModule {}
