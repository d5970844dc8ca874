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

/** Something that the server needs and does not have. */
export interface Failure {
  /** Tells strangers nothing about what is in the server. */
  readonly what: string;
  readonly detail: string;
}

export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  /** Why not, in words; empty when ready. */
  readonly reasons: readonly string[];
  /** The same without names and errors, for callers without a token. */
  readonly publicReasons: readonly string[];
  /** What makes the server not ready if it persists. */
  readonly warnings?: readonly string[];
  readonly subscribers: readonly SubscriberHealth[];
}

/** A subscriber that works on a batch for this long is slow, not stuck. */
const STUCK_SECONDS = 15;

/**
 * Ready means: what is asked of this server now, it can do. Being behind is no reason to take it out of service; not
 * reaching the log or the database is, and so is a table that is not filled or a subscriber that is stuck.
 */
export function readinessOf(followers: readonly FollowerStatus[], failures: readonly Failure[]): Readiness {
  const found: Failure[] = [...failures];
  for (const { name, kind, active, state, lagSeconds, reason } of followers) {
    const why = reason === undefined ? '' : `: ${reason}`;
    const add = (what: string, who: string): void => void found.push({ what: `a ${kind} ${what}`, detail: who + why });
    if (kind === 'table' && state === 'catching_up' && lagSeconds > STUCK_SECONDS)
      add('is loading', `the table ${name} is loading`);
    else if (active && state === 'disconnected')
      add('is disconnected from the log', `${name} is disconnected from the log and reconnects`);
    else if (active && state === 'retrying' && lagSeconds > STUCK_SECONDS) add('is stuck', `${name} is stuck`);
    else if (state === 'incomplete')
      add(
        'could not process an event',
        `the table ${name} could not process an event; see the log of this process, fix the cause and restart it`,
      );
    else if (state === 'stopped') add('has stopped', `${name} has stopped`);
  }
  return {
    status: found.length === 0 ? 'ready' : 'not_ready',
    reasons: found.map(({ detail }) => detail),
    publicReasons: [...new Set(found.map(({ what }) => what))],
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
