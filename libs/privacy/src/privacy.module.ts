import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';

import { SubjectKeys } from './keys/subject-keys.js';
import { EraseSubjects } from './subjects/erase-subjects.subscriber.js';
import { ErasedSubjects } from './subjects/erased-subjects.table.js';
import { StoredSubjects } from './subjects/stored-subjects.adapter.js';
import { SubjectController } from './subjects/subject.controller.js';

/** People of whom events have personal fields, and how they are erased. */
@Module({
  imports: [EventIndexModule],
  controllers: [SubjectController],
  providers: [
    EraseSubjects,
    { provide: ErasedSubjects, useFactory: (keys: SubjectKeys) => new ErasedSubjects(keys), inject: [SubjectKeys] },
    {
      provide: StoredSubjects,
      useFactory: (database: DataSource) => new StoredSubjects(database),
      inject: [DataSource],
    },
  ],
  exports: [EraseSubjects, ErasedSubjects],
})
export class PrivacyModule {}
