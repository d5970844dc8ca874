import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

import type { SubjectKeys } from '../keys/subject-keys.js';
import { hashIn } from './subject-id.js';

/** Drops the keys of erased people from the memory of every process. */
export class ErasedSubjects implements Table {
  readonly name = followers.erasedSubjects;
  readonly reads = ['subject.erased'] as const;

  constructor(private readonly keys: SubjectKeys) {}

  clear(): void {
    // A key that was destroyed once never comes back.
  }

  apply(event: RecordedEvent): void {
    if (!event.is('subject.erased')) return;
    const { subjectId, keys: names } = event.data;
    this.keys.forget({ orgId: event.metadata.orgId, hash: hashIn(subjectId)!, names });
  }
}
