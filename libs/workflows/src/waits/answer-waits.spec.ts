import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';

import { crashingStore, Killed } from '../../testing/crashing-store.js';
import { VirtualWorld } from '../../testing/virtual-world.js';

const ITEMS = 4;
/** Waits again and again, one after the other or beside each other, for events of two numbers. */
const looping = (concurrency: number) => `
name: x
steps:
  - id: each
    forEach: [1, 2, 1, 2]
    concurrency: ${concurrency}
    steps:
      - { id: ask, uses: call, with: { to: x } }
      - { id: answer, waitForEvent: { event: comment.created, when: "data.n == item && data.ok" } }
`;

/** What may happen next, in any order: an event, a look of the worker, a batch of the subscriber, and a death of either. */
const action = fc.oneof(
  fc.record({ do: fc.constant('publish' as const), n: fc.integer({ min: 1, max: 2 }), ok: fc.boolean() }),
  fc.record({ do: fc.constant('work' as const) }),
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
        fc.integer({ min: 1, max: ITEMS }),
        fc.array(action, { maxLength: 40 }),
        fc.array(around, { maxLength: 12 }),
        async (concurrency, actions, plan) => {
          const left = [...plan];
          const publish = (n: number, ok = true) => world.publish('comment.created', { n, ok });
          const world: VirtualWorld = new VirtualWorld({
            yaml: looping(concurrency),
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
            else if (one.do === 'work') await work();
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
          expect(received).toHaveLength(ITEMS);
          expect(new Set(received.map(({ event }) => event.id)).size).toBe(ITEMS);
          // None is passed over: of each number, the run took the first that came.
          const { events: all } = await world.memory.readAll({
            from: 0n,
            filter: { types: ['comment.created'] },
            limit: 1_000,
          });
          for (const n of [1, 2]) {
            const fitting = all
              .filter(({ data }) => data['n'] === n && data['ok'] === true)
              .map(({ id }) => eventIdOf(id));
            const taken = received.filter(({ event }) => event.data?.['n'] === n).map(({ event }) => event.id);
            expect(new Set(taken)).toEqual(new Set(fitting.slice(0, 2)));
          }
          await world.answers.catchUp();
          expect(world.answers.openWaits).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
