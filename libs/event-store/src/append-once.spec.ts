import { beforeEach, describe, expect, it } from '@jest/globals';

import { uuid7 } from '#libs/kernel/src/ids.js';

import { MemoryEventStore } from './adapters/memory/memory-event-store.js';
import { appendOnce } from './append-once.js';
import { type EventToAppend, WrongRevision } from './event-store.js';
import { newEvent } from './new-event.js';
import { readAt, readLast } from './reading.js';

let store: MemoryEventStore;
beforeEach(() => {
  store = new MemoryEventStore();
});

const some = (count: number): EventToAppend[] =>
  Array.from({ length: count }, (_, n) =>
    newEvent({ type: 'x.happened', data: { n } }, { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date(0) }),
  );

describe('to append once', () => {
  it('appends what is not there', async () => {
    const appended = await appendOnce(store, 's', some(2));
    expect(appended).toMatchObject({ revision: 1n, repeated: false });
    expect(await store.readStream('s')).toHaveLength(2);
  });

  it('leaves what is there, and tells where it is', async () => {
    const first = await appendOnce(store, 's', some(2));
    await store.append('s', some(1), 1n);
    expect(await appendOnce(store, 's', some(2))).toEqual({ ...first, repeated: true });
    expect(await store.readStream('s')).toHaveLength(3);
  });

  it('has a place after a revision', async () => {
    await appendOnce(store, 's', some(1));
    const second = await appendOnce(store, 's', some(1), 0n);
    expect(second).toMatchObject({ revision: 1n, repeated: false });
    expect(await appendOnce(store, 's', some(1), 0n)).toEqual({ ...second, repeated: true });
  });

  it('fails where the stream has not come that far: nothing was done', async () => {
    await appendOnce(store, 's', some(1));
    await expect(appendOnce(store, 's', some(1), 3n)).rejects.toThrow(WrongRevision);
    await expect(appendOnce(store, 'other', some(1), 0n)).rejects.toThrow(WrongRevision);
  });
});

describe('to read one event', () => {
  it('gives the one at the place, and no other', async () => {
    const events = some(3);
    await appendOnce(store, 's', events);
    expect((await readAt(store, 's', 1n))!.id).toBe(events[1]!.id);
    expect((await readAt(store, 's', '2'))!.id).toBe(events[2]!.id);
    expect(await readAt(store, 's', 3n)).toBeUndefined();
    await store.truncateBefore('s', 2n);
    expect(await readAt(store, 's', 1n)).toBeUndefined();
  });

  it('gives the newest', async () => {
    expect(await readLast(store, 's')).toBeUndefined();
    const events = some(2);
    await appendOnce(store, 's', events);
    expect((await readLast(store, 's'))!.id).toBe(events[1]!.id);
  });
});
