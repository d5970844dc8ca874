import { describe, expect, it } from '@jest/globals';
import { assert, constant, constantFrom, integer, oneof, property, array, record } from 'fast-check';

import { arrive, IN_ORDER, leave, type Conflict, type Turn } from './turns.js';

const queue = { key: 'k', limit: 1, onConflict: 'queue', maxQueued: 100 } as const;

describe('the turn of a run', () => {
  it('comes at once where there is room', () => {
    expect(arrive([], 'a', queue)).toMatchObject({ begin: ['a'], conflicts: [] });
  });

  it('comes after those that came before', () => {
    const one = arrive([], 'a', queue);
    const two = arrive(one.turns, 'b', queue);
    const three = arrive(two.turns, 'c', queue);
    expect([two.begin, three.begin]).toEqual([[], []]);
    expect(leave(three.turns, 'a').begin).toEqual(['b']);
  });

  it('is given up by a run that is cancelled while it waits', () => {
    const three = ['b', 'c'].reduce((turns, id) => arrive(turns, id, queue).turns, arrive([], 'a', queue).turns);
    const left = leave(three, 'b');
    expect(left.begin).toEqual([]);
    expect(leave(left.turns, 'a').begin).toEqual(['c']);
  });

  it('does not come where the queue is full, and that is said', () => {
    const short = { ...queue, maxQueued: 1 };
    const two = arrive(arrive([], 'a', short).turns, 'b', short);
    const three = arrive(two.turns, 'c', short);
    expect(three.conflicts).toEqual([
      { runId: 'c', kind: 'skip', reason: 'queue-full', detail: '1 runs wait already; "maxQueued" is 1.' },
    ]);
    expect(three.turns).toEqual(two.turns);
  });

  it('does not come with skip while another is under way', () => {
    const skip = { ...queue, onConflict: 'skip' } as const;
    expect(arrive(arrive([], 'a', skip).turns, 'b', skip).conflicts).toMatchObject([{ runId: 'b', reason: 'running' }]);
  });

  it('comes with cancel_running once the older one has ended, for the newest alone', () => {
    const replace = { ...queue, onConflict: 'cancel_running' } as const;
    const two = arrive(arrive([], 'a', replace).turns, 'b', replace);
    expect(two).toMatchObject({ begin: [], conflicts: [{ runId: 'a', kind: 'cancel', by: 'run/b' }] });
    const three = arrive(two.turns, 'c', replace);
    expect(three).toMatchObject({ begin: [], conflicts: [{ runId: 'b', kind: 'cancel', by: 'run/c' }] });
    expect(leave(three.turns, 'a').begin).toEqual(['c']);
  });

  it('comes again after a wait behind those that queue already, whatever becomes of a conflict', () => {
    const skip = { ...queue, onConflict: 'skip', maxQueued: 0 } as const;
    const released = leave(arrive([], 'a', skip).turns, 'a');
    const other = arrive(released.turns, 'b', skip);
    expect(other.begin).toEqual(['b']);
    const back = arrive(other.turns, 'a', { ...skip, ...IN_ORDER });
    expect(back).toMatchObject({ begin: [], conflicts: [] });
    expect(leave(back.turns, 'b').begin).toEqual(['a']);
  });

  it('follows the limit of the newest version', () => {
    const three = ['b', 'c'].reduce((turns, id) => arrive(turns, id, queue).turns, arrive([], 'a', queue).turns);
    expect(arrive(three, 'd', { ...queue, limit: 3 }).begin).toEqual(['b', 'c']);
  });
});

/** What happens to a key: a run comes, one of those that are there ends, is cancelled or waits, or one goes on after a wait. */
const happenings = array(
  oneof(
    constant({ kind: 'arrive' as const }),
    record({ kind: constant('end' as const), which: integer({ min: 0, max: 50 }) }),
    record({ kind: constant('wait' as const), which: integer({ min: 0, max: 50 }) }),
    record({ kind: constant('wake' as const), which: integer({ min: 0, max: 50 }) }),
  ),
  { maxLength: 200 },
);
const settings = record({
  key: constant('k'),
  limit: integer({ min: 1, max: 4 }),
  onConflict: constantFrom('queue' as const, 'skip' as const, 'cancel_running' as const),
  maxQueued: integer({ min: 0, max: 5 }),
});

describe('turns, whatever comes and ends', () => {
  it('are never more than the limit, in the order of coming, and none is forgotten', () => {
    assert(
      property(settings, happenings, (concurrency, all) => {
        let turns: readonly Turn[] = [];
        let runs = 0;
        let arrivals = 0;
        const begun: number[] = [];
        const told = new Map<string, Conflict>();
        const left = new Set<string>();
        const waiting: string[] = [];
        /** With which arrival a run is there: turns are given in this order. */
        const came = new Map<string, number>();
        const see = (given: ReturnType<typeof arrive>): void => {
          turns = given.turns;
          begun.push(...given.begin.map((runId) => came.get(runId)!));
          for (const one of given.conflicts) told.set(one.runId, one);
          const underWay = turns.filter(({ state }) => state !== 'queued');
          expect(underWay.length).toBeLessThanOrEqual(concurrency.limit);
          // Nobody waits beside a free place.
          if (underWay.length < concurrency.limit) expect(turns).toHaveLength(underWay.length);
        };
        const come = (runId: string, how = concurrency): void => {
          came.set(runId, arrivals++);
          see(arrive(turns, runId, how));
        };
        const end = (runId: string): void => {
          left.add(runId);
          see(leave(turns, runId));
        };
        for (const one of all) {
          const active = turns.filter(({ state }) => state === 'begun');
          if (one.kind === 'arrive') come(String(runs++));
          else if (one.kind === 'end' && turns.length > 0) end(turns[one.which % turns.length]!.runId);
          else if (one.kind === 'wait' && active.length > 0) {
            const { runId } = active[one.which % active.length]!;
            waiting.push(runId);
            see(leave(turns, runId));
          } else if (one.kind === 'wake' && waiting.length > 0) {
            const [runId] = waiting.splice(one.which % waiting.length, 1);
            come(runId!, { ...concurrency, ...IN_ORDER });
            // One that was begun is never skipped.
            expect(turns.some((turn) => turn.runId === runId)).toBe(true);
          }
        }
        for (const runId of waiting) come(runId, { ...concurrency, ...IN_ORDER });
        while (turns.length > 0) end(turns.find(({ state }) => state !== 'queued')!.runId);
        expect(begun).toEqual(begun.toSorted((a, b) => a - b));
        expect(new Set(begun).size).toBe(begun.length);
        for (let id = 0; id < runs; id++) expect(left.has(String(id)) || told.has(String(id))).toBe(true);
        for (const { runId, kind } of told.values()) if (kind === 'skip') expect(begun).not.toContain(came.get(runId));
      }),
      { numRuns: 500 },
    );
  });
});
