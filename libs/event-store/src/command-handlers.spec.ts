import { describe, expect, it } from '@jest/globals';

import { FixedClock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { MemoryEventStore } from './adapters/memory/memory-event-store.js';
import { type Author, type Decide, execute, slice, ThingCommand } from './command-handlers.js';
import { type EventToAppend, type ExpectedRevision, WrongRevision } from './event-store.js';
import { newEvent } from './new-event.js';
import { readWhole } from './reading.js';

/** A small thing over event types that exist: how often it was exhausted. */
type Tally = { readonly status: 'unknown' } | { readonly status: 'counted'; readonly attempts: number };
const tally = slice<Tally>()({
  name: 'tally',
  stream: (id) => `tally-${id}`,
  initial: { status: 'unknown' },
  evolve: {
    'webhook.exhausted': (state, data) => ({
      status: 'counted',
      attempts: (state.status === 'counted' ? state.attempts : 0) + data.attempts,
    }),
  },
});

class Count extends ThingCommand<Tally> {
  constructor(
    id: string,
    author: Author,
    readonly attempts: number,
    expectedRevision?: bigint,
  ) {
    super(id, author, expectedRevision);
  }
}
const count: Decide<Tally, 'webhook.exhausted', Count> = (_state, { id, attempts }) => {
  if (attempts < 0) throw new Rejected('invalid', 'tally.negative', 'Count up.');
  return attempts === 0 ? [] : [{ type: 'webhook.exhausted', data: { deliveryId: id, attempts } }];
};

const author: Author = { orgId: 'org_1', actor: 'token/tok_1' };
const clock = new FixedClock('2026-11-20T13:14:15.123Z');

describe('a command', () => {
  it('appends what its decision says, with who, when and what it is about', async () => {
    const store = new MemoryEventStore();
    const committed = await execute(store, clock, tally, count, new Count('a', author, 2));
    expect(committed).toMatchObject({ id: 'a', revision: 0n, state: { status: 'counted', attempts: 2 } });
    const [event] = await store.readStream('tally-a');
    expect(event!.type).toBe('webhook.exhausted');
    expect(event!.data).toEqual({ deliveryId: 'a', attempts: 2 });
    expect(event!.metadata).toMatchObject({
      source: 'millrace',
      subject: 'tally/a',
      orgId: 'org_1',
      actor: 'token/tok_1',
      timestamp: '2026-11-20T13:14:15.123Z',
      $correlationId: event!.id,
      hop: 0,
    });
    expect(event!.metadata).not.toHaveProperty('$causationId');
  });

  it('carries on the story of its cause', async () => {
    const store = new MemoryEventStore();
    const cause = { $correlationId: uuid7(), $causationId: uuid7(), hop: 4 };
    await execute(store, clock, tally, count, new Count('a', { ...author, cause }, 2));
    expect((await store.readStream('tally-a'))[0]!.metadata).toMatchObject(cause);
  });

  it('decides on the state that its stream folds to', async () => {
    const store = new MemoryEventStore();
    await execute(store, clock, tally, count, new Count('a', author, 2));
    const { state, revision } = await execute(store, clock, tally, count, new Count('a', author, 3));
    expect(state).toEqual({ status: 'counted', attempts: 5 });
    expect(revision).toBe(1n);
  });

  it('appends nothing when there is nothing to do', async () => {
    const store = new MemoryEventStore();
    expect(await execute(store, clock, tally, count, new Count('a', author, 0))).toMatchObject({
      revision: -1n,
      position: 0n,
      state: { status: 'unknown' },
    });
    expect(await store.readStream('tally-a')).toEqual([]);
  });

  it('leaves the stream alone when the domain says no', async () => {
    const store = new MemoryEventStore();
    await expect(execute(store, clock, tally, count, new Count('a', author, -1))).rejects.toThrow(Rejected);
    expect(await store.readStream('tally-a')).toEqual([]);
  });

  it('reads again and decides anew when somebody else was faster', async () => {
    const store = new RacingStore(1);
    const { state } = await execute(store, clock, tally, count, new Count('a', author, 1));
    expect(state).toEqual({ status: 'counted', attempts: 101 });
    expect(await readWhole(store, 'tally-a')).toHaveLength(2);
  });

  it('gives up after a bounded number of races', async () => {
    const store = new RacingStore(1000);
    await expect(execute(store, clock, tally, count, new Count('a', author, 1))).rejects.toThrow(WrongRevision);
  });

  it('refuses at once when the caller named another revision than the stream is at', async () => {
    const store = new MemoryEventStore();
    await execute(store, clock, tally, count, new Count('a', author, 1));
    await expect(execute(store, clock, tally, count, new Count('a', author, 1, 4n))).rejects.toThrow(WrongRevision);
    await expect(execute(store, clock, tally, count, new Count('a', author, 1, 0n))).resolves.toMatchObject({
      revision: 1n,
    });
  });
});

describe('a long stream', () => {
  it('is read whole, page by page', async () => {
    const store = new MemoryEventStore();
    const events = Array.from({ length: 2500 }, () =>
      newEvent(
        { type: 'webhook.exhausted', data: { deliveryId: 'a', attempts: 1 } },
        { id: uuid7(), orgId: 'org_1', actor: 'millrace', now: clock.now() },
      ),
    );
    await store.append('tally-a', events, 'no-stream');
    const all = await readWhole(store, 'tally-a');
    expect(all.map((event) => event.id)).toEqual(events.map((event) => event.id));
  });
});

/** Another writer gets in before each of the first `races` appends. */
class RacingStore extends MemoryEventStore {
  constructor(private races: number) {
    super();
  }
  override async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    if (this.races-- > 0) {
      const other = newEvent(
        { type: 'webhook.exhausted', data: { deliveryId: 'other', attempts: 100 } },
        { id: uuid7(), orgId: 'org_1', actor: 'other', now: clock.now() },
      );
      await super.append(stream, [other], expected);
    }
    return super.append(stream, events, expected);
  }
}
