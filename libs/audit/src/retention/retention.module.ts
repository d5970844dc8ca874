import { type DynamicModule, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

import { ChangeRetention, changeRetention, retention } from './retention.js';
import { Retain } from './retain.subscriber.js';
import { RetentionController } from './retention.controller.js';
import { TruncateLog } from './truncate-log.worker.js';

/** Removing what an organisation does not keep any longer. */
@Module({})
export class RetentionModule {
  /** @param retainables whose tables hold rows of events. */
  static with(retainables: readonly Retainable[]): DynamicModule {
    return {
      module: RetentionModule,
      imports: [CqrsModule],
      controllers: [RetentionController],
      providers: [
        ...commandHandlers(retention, [on(ChangeRetention, changeRetention)]),
        Retain,
        {
          provide: TruncateLog,
          useFactory: (store: EventStore, database: DataSource, clock: Clock, runner: Runner) =>
            new TruncateLog({ store, database, clock, retainables, status: () => runner.status() }),
          inject: [EventStore, DataSource, Clock, Runner],
        },
      ],
      exports: [Retain, TruncateLog],
    };
  }
}
