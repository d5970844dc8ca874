import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { GROUPS, type GroupTask } from './trigger-flow.adapter.js';

export interface EndGroupParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  /** The last event of a group; `undefined` if it is over. */
  readonly lastOf: (group: GroupTask) => Promise<string | undefined>;
}

/**
 * Tells that a burst or batch is over. That is an event of the log, so that the trigger decides in the log's order: an event
 * recorded before it belongs to the group, one recorded after it begins another.
 */
export class EndGroups implements Worker<GroupTask> {
  readonly queue = GROUPS;
  readonly concurrency = 16;
  readonly writes = ['trigger.group_ended'] as const;

  constructor(private readonly parts: EndGroupParts) {}

  async run(work: ClaimedWork<GroupTask>): Promise<WorkDone> {
    const { store, clock, progress, lastOf } = this.parts;
    const { workflowId, trigger, key, orgId, eventId } = work.payload;
    // What came in time may not have been looked at yet, after a restart above all.
    await progress.whenProcessed(followers.startRuns, await store.head());
    if ((await lastOf(work.payload)) !== eventId) return { position: work.position };
    const ended = newEvent(
      { type: 'trigger.group_ended', data: { workflowId, trigger, key, eventId } },
      {
        id: uuid5(GROUPS, workflowId, eventId),
        orgId,
        actor: ENGINE,
        now: clock.now(),
        subject: `workflow/${workflowId}`,
      },
    );
    crashPoint('triggers.before-group-end');
    const { position } = await appendOnce(store, streams.groupEnd(workflowId, eventId), [ended]);
    crashPoint('triggers.after-group-end');
    return { position };
  }
}
