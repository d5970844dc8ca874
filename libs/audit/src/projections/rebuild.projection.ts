import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';
import { noteEnd, noteRequest } from '#libs/persistence/src/rebuild/rebuild-rows.adapter.js';

import type { RebuildTask } from './rebuild-rows.worker.js';

/** Requests to rebuild projections as rows and as claimed work. What is left of one that has ended is removed. */
@Injectable()
export class RebuildProjection implements Subscriber {
  readonly name = followers.rebuilds;
  readonly reads = ['projection.rebuild_requested', 'projection.rebuild_ended'] as const;
  readonly writes = [] as const;

  constructor(@Inject(WorkQueue) private readonly work: WorkQueue) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    for (const event of events) {
      if (event.is('projection.rebuild_requested')) {
        const { rebuildId: key, projection, mode } = event.data;
        const { actor, timestamp } = event.metadata;
        noteRequest(tx, { ...event.data, requestedBy: actor, requestedAt: timestamp });
        const payload: RebuildTask = { projection, mode };
        const dueAt = new Date(timestamp);
        await this.work.schedule(tx, [{ queue: this.name, key, dueAt, payload, position: event.position }]);
      } else if (event.is('projection.rebuild_ended')) {
        noteEnd(tx, event.data, event.metadata.timestamp);
        await this.work.remove(tx, this.name, [event.data.rebuildId]);
      }
    }
  }
}
