import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

/** So many requests length of the period in milliseconds. */
export interface RateLimit {
  readonly limit: number;
  readonly perMs: number;
}

interface Bucket {
  /** A request costs `perMs` of it, a millisecond earns `limit`: whole numbers, so that nothing is lost by rounding. */
  credit: number;
  at: number;
  readonly perMs: number;
}

const MAX_IDLE = 10_000;

/**
 * A token bucket for each key: a burst up to the limit, then as fast as it refills. Held in memory: each process counts
 * what it receives itself.
 */
export class RateLimiter {
  private readonly buckets: Map<string, Bucket>;

  /** @param most keys held, where strangers choose them: the oldest is forgotten first. */
  constructor(most?: number) {
    this.buckets = most === undefined ? new Map<string, Bucket>() : new BoundedMap<string, Bucket>(most);
  }

  /** Takes one token. 0 if there was one, else the milliseconds until there is. */
  take(key: string, rate: RateLimit, now: number): number {
    const { limit, perMs } = rate;
    const known = this.buckets.get(key);
    const bucket = known?.perMs === perMs ? known : this.open(key, limit, perMs, now);
    const wait = waitFor(bucket, rate, now);
    bucket.credit = creditOf(bucket, rate, now) - (wait === 0 ? perMs : 0);
    bucket.at = now;
    return wait;
  }

  /** What {@link take} would return, without taking a token. */
  wait(key: string, rate: RateLimit, now: number): number {
    const bucket = this.buckets.get(key);
    return bucket?.perMs === rate.perMs ? waitFor(bucket, rate, now) : 0;
  }

  private open(key: string, limit: number, perMs: number, now: number): Bucket {
    if (this.buckets.size >= MAX_IDLE)
      for (const [other, bucket] of this.buckets) if (now - bucket.at > bucket.perMs) this.buckets.delete(other);
    const bucket = { credit: limit * perMs, at: now, perMs };
    this.buckets.set(key, bucket);
    return bucket;
  }
}

const creditOf = ({ credit, at }: Bucket, { limit, perMs }: RateLimit, now: number): number =>
  Math.min(limit * perMs, credit + Math.max(0, now - at) * limit);

function waitFor(bucket: Bucket, rate: RateLimit, now: number): number {
  const missing = rate.perMs - creditOf(bucket, rate, now);
  return missing <= 0 ? 0 : Math.ceil(missing / rate.limit);
}
