import { Module } from '@nestjs/common';

import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { EventStore } from '#libs/event-store/src/event-store.js';

import { AsOfController } from './as-of.controller.js';
import { Past } from './past.js';

/** Things as they were at a place in the log. */
@Module({
  imports: [EventIndexModule],
  controllers: [AsOfController],
  providers: [{ provide: Past, useFactory: (store: EventStore) => new Past(store), inject: [EventStore] }],
})
export class AsOfModule {}
