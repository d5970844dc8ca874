import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
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

export interface MissedTicks {
  /** Those that never fired, in the order of time. */
  readonly missed: readonly MissedTick[];
  /** How many an earlier backfill fired. */
  readonly backfilled: number;
}

/**
 * The ticks of a range that a schedule missed: none from before the workflow had it.
 * @throws Rejected `schedule.too_many_ticks`
 */
export async function missedTicks(
  store: EventStore,
  { id, name, definition, schedules }: ActiveWorkflow,
  range: { readonly from: Date; readonly to: Date },
): Promise<MissedTicks> {
  const until = new Date(range.to.getTime() - 1);
  const found = (definition?.triggers ?? []).filter(isSchedule).map(({ key, schedule }) => {
    const since = schedules.get(key)!.getTime();
    const after = new Date(Math.max(range.from.getTime() - 1, since));
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
  const fired: (RecordedEvent | undefined)[] = [];
  await inParallel([...all.entries()], CONCURRENT, async ([index, { trigger, at }]) => {
    [fired[index]] = await store.readStream(streams.tick(id, trigger, at.toISOString()), { limit: 1 });
  });
  return {
    missed: all.filter((_, index) => fired[index] === undefined),
    backfilled: fired.filter((tick) => tick?.is('schedule.fired') && tick.data.late === 'backfill').length,
  };
}

/** Fires them. Done twice, or at the same time as the schedule itself: each tick once. */
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
    crashPoint('schedules.after-backfill');
  }
}
