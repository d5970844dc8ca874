import { Inject, Injectable } from '@nestjs/common';

import { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';

import { keyReference } from '../keys/subject-keys.js';

/**
 * Destroys the keys of erased people. The event is there before: a process that dies in between does the rest at the next
 * start. Safe twice.
 */
@Injectable()
export class EraseSubjects implements Subscriber {
  readonly name = followers.eraseSubjects;
  readonly reads = ['subject.erased'] as const;
  readonly writes = [] as const;

  constructor(@Inject(Secrets) private readonly secrets: Secrets) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const erased = events.filter((event) => event.is('subject.erased'));
    if (erased.length === 0) return;
    const tx = await context.transaction();
    for (const { data, metadata } of erased) {
      await this.secrets.remove(data.keys.map(keyReference));
      tx.write('update views.subject_keys set erased_at = coalesce(erased_at, $2) where name = any($1::text[])', [
        data.keys,
        metadata.timestamp,
      ]);
    }
    // The answer that a person is erased must survive a power cut.
    tx.endure();
    crashPoint('privacy.before-erase');
  }
}
