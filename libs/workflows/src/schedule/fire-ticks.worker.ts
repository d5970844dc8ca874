import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import type { ClaimedWork, Work, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { dueTicks } from './due-ticks.js';
import { tickEvent } from './tick-event.js';
import { type NextTick, TICKS } from './tick-work.js';

/** How often it is looked whether an archived organisation is restored. */
const RESTORED_MS = 60_000;

export interface FireTicksParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Whether an organisation is archived: its ticks wait, and follow `catchup` when it is restored. */
  readonly isArchived: (orgId: string) => boolean;
  /** What the row says now; `undefined` where the trigger is gone or paused. */
  readonly current: (key: string) => Promise<Pick<Work<NextTick>, 'payload' | 'position'> | undefined>;
}

/**
 * Records ticks whose time has come. Each has a stream named after workflow, trigger and time, so that several processes,
 * restarts and clocks that jump record it once. The subscriber sees it and schedules the next one.
 */
export class FireTicks implements Worker<NextTick> {
  readonly queue = TICKS;
  readonly concurrency = 8;
  readonly writes = ['schedule.fired', 'schedule.skipped'] as const;

  constructor(private readonly parts: FireTicksParts) {}

  async run(work: ClaimedWork<NextTick>): Promise<WorkDone> {
    const { store, clock, progress, current, isArchived } = this.parts;
    if (isArchived(work.payload.orgId)) return { position: work.position, againAfterMs: RESTORED_MS };
    // An earlier try may have fired this tick, and a change of the workflow may not have been seen yet.
    await progress.whenProcessed(followers.schedules, await store.head());
    const row = await current(work.key);
    if (row?.payload.at !== work.payload.at) return { position: row?.position ?? work.position };
    const { orgId, workflowId, workflow, trigger, schedule, at } = row.payload;
    // It is due by the clock of the database. Given back because of ours, it would come again at once.
    const now = new Date(Math.max(clock.now().getTime(), work.dueAt.getTime()));
    const { skipped, fired } = dueTicks(schedule, new Date(at), now);
    let { position } = row;
    const about = { workflowId, workflow, trigger };
    if (skipped) {
      const data = { ...about, from: skipped.from.toISOString(), to: skipped.to.toISOString() };
      const event = tickEvent({ type: 'schedule.skipped', data }, orgId, ENGINE, now);
      const stream = streams.tick(workflowId, trigger, `${data.from} skipped`);
      position = (await appendOnce(store, stream, [event])).position;
    }
    for (const one of fired) {
      const data = { ...about, at: one.at.toISOString(), ...(one.late && { late: 'catchup' as const }) };
      const event = tickEvent({ type: 'schedule.fired', data }, orgId, ENGINE, now);
      crashPoint('schedules.before-tick');
      position = (await appendOnce(store, streams.tick(workflowId, trigger, data.at), [event])).position;
      crashPoint('schedules.after-tick');
    }
    return { position };
  }
}
