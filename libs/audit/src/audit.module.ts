import { Module } from '@nestjs/common';

import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';

import { EventController } from './event.controller.js';
import { PendingActionController } from './pending-action.controller.js';
import { PendingActions } from './pending-action.projection.js';
import { PublishController } from './publish.controller.js';

/** Reading the log: search, export, traces; and publishing into it. */
@Module({
  imports: [EventIndexModule],
  controllers: [EventController, PublishController, PendingActionController],
  providers: [{ provide: PendingActions, useFactory: () => new PendingActions() }],
  exports: [PendingActions],
})
export class AuditModule {}
