import { followers } from '#libs/events/src/followers.js';
import type { Work } from '#libs/persistence/src/claims/work.js';

import type { Schedule } from '../triggers/schedule.trigger.js';

/** The queue of ticks that will be due. */
export const TICKS = followers.schedules;

/** The next tick of one trigger of one workflow. */
export interface NextTick {
  readonly orgId: string;
  readonly workflowId: string;
  readonly workflow: string;
  /** The key of the trigger. */
  readonly trigger: string;
  readonly schedule: Schedule;
  /** RFC 3339 UTC, without jitter. */
  readonly at: string;
}

export const keyOf = ({ workflowId, trigger }: Pick<NextTick, 'workflowId' | 'trigger'>): string =>
  `${workflowId} ${trigger}`;

export const workOf = (tick: NextTick, dueAt: Date, position: bigint): Work<NextTick> => ({
  queue: TICKS,
  key: keyOf(tick),
  dueAt,
  payload: tick,
  position,
});
