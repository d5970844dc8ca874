import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';

import { crashingStore, Killed } from '../../testing/crashing-store.js';
import { VirtualWorld } from '../../testing/virtual-world.js';

/** How many events a run takes. */
const TAKEN = 4;
const comment = (when: string) => `{ event: comment.created, when: "${when} && data.ok" }`;
/** Waits for events of two numbers again and again, one after the other or beside each other. */
const FORMS = {
  one: { items: '[1, 2, 1, 2]', wait: comment('data.n == item') },
  any: { items: '[1, 2, 3, 4]', wait: `{ any: [${comment('data.n == `1`')}, ${comment('data.n == `2`')}] }` },
  all: { items: '[1, 2]', wait: `{ all: [${comment('data.n == `1`')}, ${comment('data.n == `2`')}] }` },
} as const;
const looping = (form: keyof typeof FORMS, concurrency: number) => `
name: x
steps:
  - id: each
    forEach: ${FORMS[form].items}
    concurrency: ${concurrency}
    steps:
      - { id: ask, uses: call, with: { to: x } }
      - { id: answer, waitForEvent: ${FORMS[form].wait} }
`;

/** What may happen next, in any order: an event, a look of one or more workers, a batch of the subscriber, and a death. */
const action = fc.oneof(
  fc.record({ do: fc.constant('publish' as const), n: fc.integer({ min: 1, max: 2 }), ok: fc.boolean() }),
  fc.record({ do: fc.constant('work' as const), processes: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('answer' as const), limit: fc.integer({ min: 1, max: 5 }), dies: fc.boolean() }),
);
/** Around an append of the worker: an event just before or just after it, and the death of the process. */
const around = fc.record({
  event: fc.constantFrom('none', 'before', 'after'),
  n: fc.integer({ min: 1, max: 2 }),
  fault: fc.constantFrom('none' as const, 'none' as const, 'before' as const, 'after' as const),
});

const receivedOf = (events: readonly RecordedEvent[]) =>
  events.flatMap((event) => (event.is('run.event_received') ? [event.data] : []));

describe('waits for events', () => {
  it('miss none and take none twice, whatever comes when and whoever dies', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('one' as const, 'any' as const, 'all' as const),
        fc.integer({ min: 1, max: TAKEN }),
        fc.array(action, { maxLength: 40 }),
        fc.array(around, { maxLength: 12 }),
        async (form, concurrency, actions, plan) => {
          const left = [...plan];
          const publish = (n: number, ok = true) => world.publish('comment.created', { n, ok });
          const world: VirtualWorld = new VirtualWorld({
            yaml: looping(form, concurrency),
            store: (memory) => {
              const store = crashingStore(memory, () => fault);
              let fault: 'none' | 'before' | 'after' = 'none';
              return new Proxy(store, {
                get(target, key) {
                  if (key !== 'append') return Reflect.get(target, key) as unknown;
                  return async (...given: Parameters<typeof target.append>) => {
                    const { event, n, fault: next } = left.shift() ?? { event: 'none', n: 0, fault: 'none' };
                    fault = next;
                    if (event === 'before') await publish(n);
                    try {
                      return await target.append(...given);
                    } finally {
                      if (event === 'after') await publish(n);
                    }
                  };
                },
              });
            },
          });
          const work = () => world.goOn().catch((error: unknown) => expect(error).toBeInstanceOf(Killed));
          await world.begin();
          for (const one of actions)
            if (one.do === 'publish') await publish(one.n, one.ok);
            else if (one.do === 'work') await Promise.all(Array.from({ length: one.processes }, work));
            else await world.answers.next(one.limit, one.dies);
          // Whatever is missing comes now.
          for (let turns = 0; turns < 10; turns++) {
            await work();
            await world.answers.catchUp();
          }
          for (const n of [1, 2, 1, 2]) {
            world.answers.restart();
            await publish(n);
            await world.answers.catchUp();
            await work();
            await world.answers.catchUp();
            await work();
          }
          expect((await world.run()).status).toBe('completed');
          const events = await world.events();
          const received = receivedOf(events);
          expect(received).toHaveLength(TAKEN);
          expect(new Set(received.map(({ event }) => event.id)).size).toBe(TAKEN);
          // None is passed over: the run took the first that came.
          const { events: all } = await world.memory.readAll({
            from: 0n,
            filter: { types: ['comment.created'] },
            limit: 1_000,
          });
          const fitting = (...numbers: readonly unknown[]) =>
            all.filter(({ data }) => numbers.includes(data['n']) && data['ok'] === true).map(({ id }) => eventIdOf(id));
          const taken = (...numbers: readonly unknown[]) =>
            received.filter(({ event }) => numbers.includes(event.data?.['n'])).map(({ event }) => event.id);
          if (form === 'any') {
            expect(new Set(taken(1, 2))).toEqual(new Set(fitting(1, 2).slice(0, TAKEN)));
            expect(received.map(({ choice, event }) => event.data?.['n'] === choice + 1)).not.toContain(false);
          } else for (const n of [1, 2]) expect(new Set(taken(n))).toEqual(new Set(fitting(n).slice(0, 2)));
          await world.answers.catchUp();
          expect(world.answers.openWaits).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
