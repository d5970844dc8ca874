import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { choiceOf, type Wait, WaitIndex } from './wait-index.js';

const now = new Date('2026-01-01T00:00:00.000Z');

function recorded(type: string, data: object, orgId = 'org_1'): RecordedEvent {
  const { id, data: text, metadata } = newEvent({ type, data }, { id: uuid5('x'), orgId, actor: 'test', now });
  return new RecordedEvent('s', 0n, 1n, id, type, now, text, metadata);
}

function wait(nth: number, choices: Wait['data']['choices'], scope: Record<string, unknown> = {}): Wait {
  const id = uuid5('wait', String(nth));
  const data = {
    runId: `run_${nth}`,
    path: 'a',
    stepId: 'a',
    requestId: id,
    choices,
    scope,
    since: 'run' as const,
    maxBytes: 1,
  };
  return { id, orgId: 'org_1', position: BigInt(nth), cause: { $correlationId: id, hop: 0 }, data };
}

const found = (index: WaitIndex, event: RecordedEvent) =>
  [...index.fitting(event)].map(([runId, list]) => [runId, ...list.map(({ choice }) => choice)]);

describe('the index of waits', () => {
  it.each([
    'data.n == event.data.n && data.ok',
    'data.ok && event.data.n == data.n',
    '(data.ok && data.n == event.data.n) && type',
  ])('looks at no wait that an event cannot answer, however many there are: %s', (when) => {
    const index = new WaitIndex();
    let looked = 0;
    for (let nth = 0; nth < 2_000; nth++) {
      const scope = { event: { data: { n: nth } } };
      // Evaluated with the scope, and by nobody else.
      Object.defineProperty(scope, 'probe', { enumerable: true, get: () => looked++ });
      index.add(wait(nth, [{ event: ['comment.created'], when }], scope));
    }
    expect(found(index, recorded('comment.created', { n: 5_000, ok: true }))).toEqual([]);
    expect(found(index, recorded('git.push', { n: 7, ok: true }))).toEqual([]);
    expect(looked).toBe(0);
    expect(found(index, recorded('comment.created', { n: 7, ok: true }))).toEqual([['run_7', 0]]);
    expect(looked).toBe(1);
  });

  it('tells numbers from texts, and finds what is absent', () => {
    const index = new WaitIndex();
    const when = 'data.n == inputs.n';
    index.add(wait(1, [{ event: ['a.b'], when }], { inputs: { n: '7' } }));
    index.add(wait(2, [{ event: ['a.b'], when }], { inputs: { n: 7 } }));
    index.add(wait(3, [{ event: ['a.b'], when }], { inputs: { n: null } }));
    expect(found(index, recorded('a.b', { n: 7 }))).toEqual([['run_2', 0]]);
    expect(found(index, recorded('a.b', { n: '7' }))).toEqual([['run_1', 0]]);
    expect(found(index, recorded('a.b', {}))).toEqual([['run_3', 0]]);
    expect(found(index, recorded('a.b', { n: [7] }))).toEqual([]);
  });

  it('finds a wait by globs and by several choices, once, and no more when it is removed', () => {
    const index = new WaitIndex();
    const one = wait(1, [{ event: ['pr.*', 'pr.closed'] }, { event: ['git.push'], when: "data.ref == 'x'" }]);
    index.add(one);
    expect(found(index, recorded('pr.closed', {}))).toEqual([['run_1', 0]]);
    expect(found(index, recorded('git.push', { ref: 'x' }))).toEqual([['run_1', 1]]);
    expect(found(index, recorded('git.push', { ref: 'y' }))).toEqual([]);
    expect(index.remove(one.id)).toBe(true);
    expect(found(index, recorded('pr.closed', {}))).toEqual([]);
    expect(index.size).toBe(0);
  });

  it('finds what a look at every wait finds, whatever they wait for', () => {
    const value = fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(1, '1') },
      fc.constantFrom(true, null, undefined, { n: 1 }, [1]),
    );
    const when = fc.constantFrom(
      undefined,
      'data.a == inputs.a',
      'data.a == inputs.a && data.b == inputs.b',
      'inputs.b == data.b && data.a',
      'data.a && inputs.b == data.b',
      'data.a && (data.b == inputs.b && !(data.n))',
      "data.a == '1'",
      'data.a == `1` || data.b == inputs.b',
      '!(data.a == inputs.a)',
      'data.missing == inputs.missing',
      'length(data.a)',
    );
    const choice = fc.record({
      event: fc.uniqueArray(fc.constantFrom('pr.opened', 'pr.*', 'git.push', '*'), { minLength: 1, maxLength: 2 }),
      when,
    });
    const waits = fc.array(
      fc.record({
        choices: fc.array(choice, { minLength: 1, maxLength: 3 }),
        inputs: fc.record({ a: value, b: value }),
      }),
      { maxLength: 20 },
    );
    const events = fc.array(
      fc.record({
        type: fc.constantFrom('pr.opened', 'pr.merged', 'git.push', 'x.y'),
        data: fc.record({ a: value, b: value }),
      }),
      { minLength: 1, maxLength: 10 },
    );
    fc.assert(
      fc.property(waits, events, fc.nat(20), (some, came, gone) => {
        const index = new WaitIndex();
        const all = some.map(({ choices, inputs }, nth) => wait(nth, choices as never, { inputs }));
        for (const one of all) index.add(one);
        if (gone < all.length) index.remove(all.splice(gone, 1)[0]!.id);
        for (const { type, data } of came) {
          const event = recorded(type, data);
          const scanned = all.flatMap((one) => {
            const nth = choiceOf(one, event);
            return nth === undefined ? [] : [[one.data.runId, nth]];
          });
          expect(found(index, event).sort()).toEqual(scanned.sort());
        }
      }),
    );
  });

  it('keeps organisations apart', () => {
    const index = new WaitIndex();
    index.add(wait(1, [{ event: ['a.b'] }]));
    expect(found(index, recorded('a.b', {}, 'org_2'))).toEqual([]);
  });
});
