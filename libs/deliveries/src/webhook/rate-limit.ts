import type { NewWebhook, WebhookRate } from '#libs/events/src/shapes/webhook-shape.js';
import { formatDuration, parseDuration, tryParseDuration } from '#libs/kernel/src/time/durations.js';

/**
 * The rate of a webhook: at most `limit` requests in any period of that length, over all processes. A request takes one of
 * `limit` places when it is released for sending. The place is free again one period after its outcome was recorded: so the
 * rate holds however long the receiver, the network or a restart takes.
 */

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** A period is looked at at most this often: places that become free close to each other are given out together. */
const LOOKS_PER_PERIOD = 64;

/** `100`, which is a minute's, or `{ "limit": 100, "per": "1m" }`. */
export function rateOf(given: NonNullable<NewWebhook['rateLimit']>): WebhookRate {
  const { limit, per = '1m' } = typeof given === 'number' ? { limit: given } : given;
  return { limit, per };
}

export function periodRefusal({ per }: WebhookRate): string | undefined {
  const periodMs = tryParseDuration(per);
  if (periodMs !== undefined && periodMs >= SECOND_MS && periodMs <= DAY_MS) return undefined;
  return `Must be a duration from ${formatDuration(SECOND_MS)} to ${formatDuration(DAY_MS)}, such as 30s or 1m.`;
}

/** The places of a rate that are taken now. */
export interface Taken {
  readonly count: number;
  /** When the first outcome of them was recorded, in milliseconds; `undefined` while there is none. */
  readonly firstSettledAt?: number | undefined;
}

export interface Release {
  readonly most: number;
  /** When to look again if more wait. */
  readonly again: number;
}

/** How many requests may be released now. Times are milliseconds of one clock. */
export function release(rate: WebhookRate, taken: Taken, now: number): Release {
  const periodMs = parseDuration(rate.per);
  // What has no outcome yet takes its place for a period at least.
  const free = (taken.firstSettledAt ?? now) + periodMs;
  return {
    most: Math.max(0, rate.limit - taken.count),
    again: Math.max(free, now + Math.ceil(periodMs / LOOKS_PER_PERIOD)),
  };
}

/**
 * When the request at `rank` (1 is the next one) will be released, if everything that is under way ends now.
 * @param settled when the outcome of each taken place was recorded, the earliest first; `undefined` for none yet.
 */
export function expectedAt(
  rate: WebhookRate,
  settled: readonly (number | undefined)[],
  rank: number,
  now: number,
): number {
  const periodMs = parseDuration(rate.per);
  const place = (rank - 1) % rate.limit;
  const free = rate.limit - settled.length;
  const first = place < free ? now : Math.max(now, (settled[place - free] ?? now) + periodMs);
  return first + Math.floor((rank - 1) / rate.limit) * periodMs;
}
