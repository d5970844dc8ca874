import { beforeEach, describe, expect, it } from '@jest/globals';

import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { MemoryEventStore } from './adapters/memory/memory-event-store.js';
import { slice, typesOf } from './command-handlers.js';
import { RecordedEvent } from './event-store.js';
import { newEvent } from './new-event.js';
import { SliceTable } from './slice-table.js';

type Tally =
  { readonly kind: 'unknown' } | { readonly kind: 'known'; readonly name: string } | { readonly kind: 'gone' };

const token = slice<Tally>()({
  name: 'token',
  stream: (id) => `tally-${id}`,
  initial: { kind: 'unknown' },
  evolve: {
    'token.created': (_, { name }) => ({ kind: 'known', name }),
    'token.revoked': () => ({ kind: 'gone' }),
  },
  hasEnded: ({ kind }) => kind === 'gone',
});

let store: MemoryEventStore;
let table: SliceTable<Tally, 'token.created' | 'token.revoked'>;
beforeEach(() => {
  store = new MemoryEventStore();
  table = new SliceTable('test.tallies', token);
});

async function happened<T extends EventType>(stream: string, type: T, data: DataOf<T>): Promise<void> {
  const event = newEvent({ type, data }, { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date(0) });
  const { position } = await store.append(stream, [event], 'any');
  const { events } = await store.readAll({ from: position, limit: 1 });
  table.apply(events[0]!);
}
const created = (name: string) => ({ tokenId: 'a', name, hash: '0'.repeat(64), roles: ['admin' as const] });

describe('a table of a slice', () => {
  it('reads the types that the slice is folded from, or those that it is told to', () => {
    expect(typesOf(token)).toEqual(['token.created', 'token.revoked']);
    expect(table.reads).toEqual(typesOf(token));
    expect(new SliceTable('test.some', token, ['token.created']).reads).toEqual(['token.created']);
  });

  it('holds the state of each thing, until that has ended', async () => {
    await happened('tally-a', 'token.created', created('one'));
    expect(table.get('a')).toEqual({ kind: 'known', name: 'one' });
    await happened('tally-a', 'token.created', created('two'));
    expect([...table.entries()]).toEqual([['a', { kind: 'known', name: 'two' }]]);
    await happened('tally-a', 'token.revoked', { tokenId: 'a' });
    expect([...table.entries()]).toEqual([]);
  });

  it('takes no notice of what others write into other streams', async () => {
    await happened('tally-a', 'token.created', created('one'));
    await happened('published-1', 'token.revoked', { tokenId: 'a' });
    await happened('tally-b', 'token.revoked', { tokenId: 'a' });
    expect(table.get('a')).toEqual({ kind: 'known', name: 'one' });
  });

  it('does not parse events of other types', () => {
    const unreadable = new RecordedEvent('tally-a', 0n, 1n, uuid7(), 'git.push', new Date(0), '{', '{');
    expect(table.after(unreadable)).toBeUndefined();
    expect(new SliceTable('test.some', token, ['token.created']).after(unreadable)).toBeUndefined();
  });

  it('is empty after it was cleared', async () => {
    await happened('tally-a', 'token.created', created('one'));
    table.clear();
    expect(table.get('a')).toBeUndefined();
  });
});
