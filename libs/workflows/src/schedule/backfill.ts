import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';

import { isSchedule } from '../triggers/schedule.trigger.js';
import { ticksUntil } from '../triggers/ticks.js';
import type { ActiveWorkflow } from '../workflow/workflow.table.js';
import { tickEvent } from './tick-event.js';

/** Most ticks of a range, of all triggers of a workflow. */
export const MAX_BACKFILL = 1_000;
const CONCURRENT = 32;

export interface MissedTick {
  readonly trigger: string;
  readonly at: Date;
}

/** The ticks of a range that never fired, in the order of time. @throws Rejected `schedule.too_many_ticks` */
export async function missedTicks(
  store: EventStore,
  { id, name, definition }: ActiveWorkflow,
  range: { readonly from: Date; readonly to: Date },
): Promise<readonly MissedTick[]> {
  const after = new Date(range.from.getTime() - 1);
  const until = new Date(range.to.getTime() - 1);
  const found = (definition?.triggers ?? []).filter(isSchedule).map(({ key, schedule }) => {
    const { ticks, hasMore } = ticksUntil(schedule.times, { after, until, most: MAX_BACKFILL });
    return { ticks: ticks.map((at) => ({ trigger: key, at })), hasMore };
  });
  const all = found.flatMap(({ ticks }) => ticks).sort((a, b) => a.at.getTime() - b.at.getTime());
  if (all.length > MAX_BACKFILL || found.some(({ hasMore }) => hasMore))
    throw new Rejected(
      'invalid',
      'schedule.too_many_ticks',
      `"${name}" has more than ${MAX_BACKFILL} ticks in this range. Backfill a shorter range.`,
    );
  const missed: boolean[] = [];
  await inParallel([...all.entries()], CONCURRENT, async ([index, { trigger, at }]) => {
    const fired = await store.readStream(streams.tick(id, trigger, at.toISOString()), { limit: 1 });
    missed[index] = fired.length === 0;
  });
  return all.filter((_, index) => missed[index]);
}

/** Fires them. Done twice, or at the same time as the schedule itself: each tick once. @returns the last position. */
export async function fireMissed(
  store: EventStore,
  { id: workflowId, name: workflow, orgId }: ActiveWorkflow,
  ticks: readonly MissedTick[],
  actor: string,
  now: Date,
): Promise<void> {
  // One after the other: their runs start in the order of time.
  for (const { trigger, at } of ticks) {
    const data = { workflowId, workflow, trigger, at: at.toISOString(), late: 'backfill' as const };
    const event = tickEvent({ type: 'schedule.fired', data }, orgId, actor, now);
    await appendOnce(store, streams.tick(workflowId, trigger, data.at), [event]);
  }
}
