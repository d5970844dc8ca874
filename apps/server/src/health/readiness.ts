import type { FollowerStatus } from '#libs/event-store/src/runner/follower-status.js';

/** One subscriber or table in the answer of `/readyz`. */
export interface SubscriberHealth {
  readonly name: string;
  readonly kind: 'subscriber' | 'table';
  /** Whether it runs in this process. */
  readonly active: boolean;
  readonly state: string;
  /** Positions between the end of the log and what is handled. */
  readonly lag: number;
  /** How long it has made no progress although there is something to do. */
  readonly lagSeconds: number;
  readonly parked: number;
  readonly reason?: string;
}

export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  /** Why not, in words; empty when ready. */
  readonly reasons: readonly string[];
  readonly subscribers: readonly SubscriberHealth[];
}

/** A subscriber that works on a batch for this long is slow, not stuck. */
const STUCK_SECONDS = 15;

/**
 * Ready means: what is asked of this server now, it can do. Being behind is no reason to take it out of service; not
 * reaching the log or the database is, and so is a table that is not filled or a subscriber that is stuck.
 */
export function readinessOf(followers: readonly FollowerStatus[], failures: readonly string[]): Readiness {
  const reasons = [...failures];
  for (const { name, kind, active, state, lagSeconds, reason } of followers) {
    const why = reason === undefined ? '' : `: ${reason}`;
    if (kind === 'table' && state === 'catching_up' && lagSeconds > STUCK_SECONDS)
      reasons.push(`the table ${name} is being filled`);
    else if (active && state === 'disconnected') reasons.push(`${name} has lost the log${why}`);
    else if (active && state === 'retrying' && lagSeconds > STUCK_SECONDS) reasons.push(`${name} is stuck${why}`);
    else if (state === 'stopped') reasons.push(`${name} has stopped${why}`);
  }
  return {
    status: reasons.length === 0 ? 'ready' : 'not_ready',
    reasons,
    subscribers: followers.map(healthOf),
  };
}

export function healthOf({
  name,
  kind,
  active,
  state,
  position,
  head,
  lagSeconds,
  parked,
  reason,
}: FollowerStatus): SubscriberHealth {
  return {
    name,
    kind,
    active,
    state,
    lag: lagOf(position, head),
    lagSeconds: Math.round(lagSeconds * 10) / 10,
    parked,
    ...(reason !== undefined && { reason }),
  };
}

/** Before anything was handled the position is below every other: an empty log is no lag. */
export const lagOf = (position: bigint, head: bigint): number =>
  head <= 0n || position >= head ? 0 : Number(head - (position < 0n ? 0n : position));
