import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

import { type Pace, paced } from './pace.js';

const at = (time: number) =>
  ({ metadata: { receivedAt: new Date(time).toISOString(), timestamp: new Date(0).toISOString() } }) as RecordedEvent;

describe('the pace of a replay', () => {
  it('plays an event when its time has come, and says when the next one is due', () => {
    const events = [at(1_000), at(3_000), at(9_000)];
    const first = paced(events, { speed: 2 }, undefined, 50_000);
    expect(first).toEqual({ ready: 1, wait: 1_000, pace: { from: 1_000, at: 50_000 } });
    expect(paced(events.slice(1), { speed: 2 }, first.pace, 50_999)).toMatchObject({ ready: 0, wait: 1 });
    expect(paced(events.slice(1), { speed: 2 }, first.pace, 51_000)).toMatchObject({ ready: 1, wait: 3_000 });
    expect(paced(events.slice(2), { speed: 2 }, first.pace, 60_000)).toMatchObject({ ready: 1 });
    expect(paced([], { speed: 2 }, first.pace, 60_000)).toEqual({ ready: 0, pace: first.pace });
  });

  it('is that of the time that was asked for', () => {
    expect(paced([at(1_000), at(9_000)], { speed: 1, by: 'timestamp' }, undefined, 0).ready).toBe(2);
  });

  it('plays each event once, in order and never before its time, wherever it goes on', () => {
    const times = fc.array(fc.nat(10_000), { maxLength: 20 });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 50 }), (list, speed) => {
        const events = list.map(at);
        let [now, played, pace] = [100_000, 0, undefined as Pace | undefined];
        for (let steps = 0; played < events.length; steps++) {
          expect(steps).toBeLessThanOrEqual(events.length);
          const next = paced(events.slice(played), { speed }, pace, now);
          pace = next.pace;
          for (const time of list.slice(played, played + next.ready))
            expect(now).toBeGreaterThanOrEqual(pace!.at + (time - pace!.from) / speed);
          played += next.ready;
          now += next.wait ?? 0;
        }
        expect(now - 100_000).toBeLessThanOrEqual(10_000 / speed + events.length);
      }),
    );
  });
});
