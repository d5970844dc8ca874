/** So many requests in so many milliseconds. */
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
  private readonly buckets = new Map<string, Bucket>();

  /** Takes one token. 0 if there was one, else the milliseconds until there is. */
  take(key: string, { limit, perMs }: RateLimit, now: number): number {
    const known = this.buckets.get(key);
    const bucket = known?.perMs === perMs ? known : this.open(key, limit, perMs, now);
    bucket.credit = Math.min(limit * perMs, bucket.credit + Math.max(0, now - bucket.at) * limit);
    bucket.at = now;
    if (bucket.credit >= perMs) {
      bucket.credit -= perMs;
      return 0;
    }
    return Math.ceil((perMs - bucket.credit) / limit);
  }

  private open(key: string, limit: number, perMs: number, now: number): Bucket {
    if (this.buckets.size >= MAX_IDLE)
      for (const [other, bucket] of this.buckets) if (now - bucket.at > bucket.perMs) this.buckets.delete(other);
    const bucket = { credit: limit * perMs, at: now, perMs };
    this.buckets.set(key, bucket);
    return bucket;
  }
}
