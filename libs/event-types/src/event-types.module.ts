import { Global, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';

import { EventTypeController } from './event-type.controller.js';
import { ArchiveEventType, archiveEventType, ownType, SaveEventType, saveEventType } from './own-type.js';
import { OwnTypeTable } from './own-type.table.js';

/** Event types: the built-in ones, and those of an organisation. */
@Global()
@Module({
  imports: [CqrsModule],
  controllers: [EventTypeController],
  providers: [
    ...commandHandlers(ownType, [on(SaveEventType, saveEventType), on(ArchiveEventType, archiveEventType)]),
    { provide: OwnTypeTable, useFactory: () => new OwnTypeTable() },
  ],
  exports: [OwnTypeTable],
})
export class EventTypesModule {}
