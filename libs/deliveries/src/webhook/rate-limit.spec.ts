import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { WebhookRate } from '#libs/events/src/shapes/webhook-shape.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';

import { expectedAt, periodRefusal, rateOf, release } from './rate-limit.js';

describe('a rate', () => {
  it.each([
    [100, { limit: 100, per: '1m' }],
    [{ limit: 5 }, { limit: 5, per: '1m' }],
    [
      { limit: 5, per: '2s' },
      { limit: 5, per: '2s' },
    ],
  ])('%j is %j', (given, rate) => {
    expect(rateOf(given)).toEqual(rate);
  });

  it.each(['1s', '90s', '1d'])('may have the period %s', (per) => {
    expect(periodRefusal({ limit: 1, per })).toBeUndefined();
  });

  it.each(['999ms', '2d', 'soon', ''])('must not have the period "%s"', (per) => {
    expect(periodRefusal({ limit: 1, per })).toMatch(/^Must be a duration from 1s to 1d/);
  });
});

interface Attempt {
  readonly id: number;
  readonly askedAt: number;
  releasedAt?: number;
  /** When the request reached its receiver. */
  arrivedAt?: number;
  settledAt?: number;
}

/** How long each attempt takes: after its release until it arrives, and from there until its outcome is recorded. */
type Delays = readonly (readonly [toReceiver: number, toOutcome: number])[];

/**
 * Releases attempts in virtual time, as `ReleaseAttempts` does with rows.
 * @param lost looks at the line, by number, that a process died before: another one looks `takeover` later.
 */
function simulate(
  rate: WebhookRate,
  asked: readonly number[],
  delays: Delays,
  lost: ReadonlySet<number>,
  takeover: number,
) {
  const periodMs = parseDuration(rate.per);
  const attempts: Attempt[] = asked.toSorted((a, b) => a - b).map((askedAt, id) => ({ id, askedAt }));
  let looks = 0;
  for (let now = attempts[0]!.askedAt, next: number | undefined; ; now = next) {
    looks += 1;
    const isLost = lost.has(looks);
    const taken = attempts.filter(
      ({ releasedAt, settledAt = Infinity }) => releasedAt !== undefined && settledAt > now - periodMs,
    );
    const settled = taken.flatMap(({ settledAt = Infinity }) => (settledAt <= now ? settledAt : []));
    const firstSettledAt = settled.length === 0 ? undefined : Math.min(...settled);
    const { most, again } = release(rate, { count: taken.length, firstSettledAt }, now);
    const due = attempts.filter(({ releasedAt, askedAt }) => releasedAt === undefined && askedAt <= now);
    for (const attempt of isLost ? [] : due.slice(0, most)) {
      const [toReceiver, toOutcome] = delays[attempt.id % delays.length]!;
      attempt.releasedAt = now;
      attempt.arrivedAt = now + toReceiver;
      attempt.settledAt = attempt.arrivedAt + toOutcome;
    }
    const left = attempts.filter(({ releasedAt }) => releasedAt === undefined);
    if (left.length === 0) return { attempts, looks };
    if (isLost) next = now + takeover;
    else next = left[0]!.askedAt <= now ? again : left[0]!.askedAt;
  }
}

const worlds = fc.record({
  limit: fc.integer({ min: 1, max: 20 }),
  seconds: fc.integer({ min: 1, max: 90 }),
  asked: fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 120 }),
  delays: fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 40_000 })), {
    minLength: 1,
    maxLength: 20,
  }),
  lost: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 }),
});

describe('what is released', () => {
  it('never exceeds the rate at the receiver, keeps its order, and ends', () => {
    fc.assert(
      fc.property(worlds, ({ limit, seconds, asked, delays, lost }) => {
        const rate = { limit, per: `${seconds}s` };
        const { attempts, looks } = simulate(rate, asked, delays, new Set(lost), 8_000);
        const arrivals = attempts.map(({ arrivedAt }) => arrivedAt!).sort((a, b) => a - b);
        for (const [index, time] of arrivals.entries()) {
          const together = arrivals.slice(index).filter((other) => other < time + seconds * 1_000);
          expect(together.length).toBeLessThanOrEqual(limit);
        }
        const released = attempts.map(({ releasedAt }) => releasedAt!);
        expect(released).toEqual(released.toSorted((a, b) => a - b));
        // A look for each arrival, and at most 64 in a period.
        const lasting = attempts.at(-1)!.releasedAt! - attempts[0]!.askedAt;
        expect(looks).toBeLessThanOrEqual(
          attempts.length + lost.length + 64 * Math.ceil(lasting / (seconds * 1_000)) + 1,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('uses the whole rate while outcomes come at once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 200 }),
        (limit, seconds, count) => {
          const rate = { limit, per: `${seconds}s` };
          const { attempts } = simulate(rate, Array<number>(count).fill(0), [[0, 0]], new Set(), 0);
          const last = attempts.at(-1)!.releasedAt!;
          expect(last).toBe(Math.floor((count - 1) / limit) * seconds * 1_000);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is expected when it comes, if outcomes come at once', () => {
    fc.assert(
      fc.property(
        fc.record({ limit: fc.integer({ min: 1, max: 9 }), seconds: fc.integer({ min: 1, max: 60 }) }),
        fc.array(fc.integer({ min: 0, max: 59_999 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 40 }),
        ({ limit, seconds }, before, waiting) => {
          const rate = { limit, per: `${seconds}s` };
          const now = 60_000;
          const all = [...before, ...Array<number>(waiting).fill(now)];
          const { attempts } = simulate(rate, all, [[0, 0]], new Set(), 0);
          const taken = attempts.flatMap(({ releasedAt }) =>
            releasedAt! < now && releasedAt! > now - seconds * 1_000 ? releasedAt! : [],
          );
          const left = attempts.filter(({ releasedAt }) => releasedAt! >= now);
          left.forEach(({ releasedAt }, index) => {
            const expected = expectedAt(rate, taken, index + 1, now);
            // Places that become free close to each other are given out together.
            expect(releasedAt! - expected).toBeGreaterThanOrEqual(0);
            expect(releasedAt! - expected).toBeLessThanOrEqual(
              Math.ceil((index / limit + 2) * ((seconds * 1_000) / 64 + 1)),
            );
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  it('waits for the places that are too many after the limit was lowered', () => {
    const rate = { limit: 2, per: '10s' };
    expect(release(rate, { count: 5, firstSettledAt: 1_000 }, 4_000)).toEqual({ most: 0, again: 11_000 });
    expect(expectedAt(rate, [1_000, 2_000, 3_000, 3_500, undefined], 1, 4_000)).toBe(13_500);
    expect(expectedAt(rate, [1_000, 2_000, 3_000, 3_500, undefined], 2, 4_000)).toBe(14_000);
    expect(expectedAt(rate, [1_000, 2_000, 3_000, 3_500, undefined], 3, 4_000)).toBe(23_500);
  });
});
