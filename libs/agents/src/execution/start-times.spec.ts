import { expect, it } from '@jest/globals';
import fc from 'fast-check';

import { startTimes } from './start-times.js';

it('executions of an agent start at once while no minute has more than its rate, and as early as the rate allows then', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.record({ after: fc.nat(90_000), count: fc.integer({ min: 1, max: 4 }) }), { maxLength: 12 }),
      (perMinute, requests) => {
        const starts: number[] = [];
        let now = 0;
        for (const { after, count } of requests) {
          now += after;
          const earlier = starts.filter((time) => time > now - 60_000);
          for (const time of startTimes(earlier, { count, perMinute, now })) {
            const last = starts.at(-perMinute);
            expect(time).toBe(
              Math.max(now, starts.at(-1) ?? 0, last === undefined || starts.length < perMinute ? 0 : last + 60_000),
            );
            starts.push(time);
          }
        }
        for (const [index, time] of starts.entries())
          expect(starts.slice(index + 1).filter((one) => one < time + 60_000).length).toBeLessThan(perMinute);
      },
    ),
  );
});
