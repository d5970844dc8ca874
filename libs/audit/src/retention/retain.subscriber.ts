import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import type { TruncateTask } from './truncate-log.worker.js';

/** Keeps a row of work for each organisation that does not keep everything: one process at a time removes what is too old. */
@Injectable()
export class Retain implements Subscriber {
  readonly name = followers.retain;
  readonly reads = ['retention.changed'] as const;
  readonly writes = [] as const;

  constructor(@Inject(WorkQueue) private readonly work: WorkQueue) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const newest = new Map<string, RecordedEvent<'retention.changed'>>();
    for (const event of events) if (event.is('retention.changed')) newest.set(event.metadata.orgId, event);
    if (newest.size === 0) return;
    const tx = await context.transaction();
    const ends = [...newest].filter(([, { data }]) => Object.keys(data).length === 0).map(([orgId]) => orgId);
    await this.work.remove(tx, followers.retain, ends);
    const due = [...newest]
      .filter(([orgId]) => !ends.includes(orgId))
      .map(([orgId, { created, position }]) => {
        const payload: TruncateTask = { orgId };
        return { queue: followers.retain, key: orgId, dueAt: created, payload, position };
      });
    await this.work.schedule(tx, due);
  }
}
