import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { causedBy, ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { BURSTS, type BurstTask } from './burst-rows.adapter.js';

export interface EndBurstParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Position of the last match of a burst; `undefined` if it is over. */
  readonly lastOf: (burst: BurstTask) => Promise<bigint | undefined>;
}

/**
 * Tells that a burst is over. That is an event of the log, so that the rule decides in the log's order: a match recorded
 * before it makes the burst longer, one recorded after it begins another.
 */
export class EndBursts implements Worker<BurstTask> {
  readonly queue = BURSTS;
  readonly concurrency = 16;
  readonly writes = ['rule.burst_ended'] as const;

  constructor(private readonly parts: EndBurstParts) {}

  async run(work: ClaimedWork<BurstTask>): Promise<WorkDone> {
    const { store, clock, progress, lastOf } = this.parts;
    const task = work.payload;
    // What came in time may not have been decided yet, after a restart above all.
    await progress.whenProcessed(followers.decideRules, await store.head());
    const { ruleId, key, orgId, eventId, last: position } = task;
    const from = BigInt(position);
    if ((await lastOf(task)) !== from) return { position: work.position };
    const { events } = await store.readAll({ from, limit: 1 });
    const last = events.find((event) => event.position === from);
    const id = uuid5(BURSTS, ruleId, eventId);
    const ended = newEvent(
      { type: 'rule.burst_ended', data: { ruleId, key, eventId, position } },
      {
        id,
        orgId,
        actor: ENGINE,
        now: clock.now(),
        subject: `rule/${ruleId}`,
        ...(last && { cause: causedBy(last, ruleId) }),
      },
    );
    crashPoint('rules.before-burst-end');
    const appended = await appendOnce(store, streams.burst(ruleId, id), [ended]);
    crashPoint('rules.after-burst-end');
    return { position: appended.position };
  }
}
