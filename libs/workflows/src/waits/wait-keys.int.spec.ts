import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { useViews } from '../../../../test/support/views.js';
import type { Place } from './wait-index.js';
import { LOOK_UP, StoredWaitKeys } from './wait-keys.adapter.js';
import { hashOf } from './wait-keys.js';
import type { Span } from './wait-rows.js';

const views = useViews();
let store: MemoryEventStore;
/** Parts of the log that were read whole. */
let scanned: (Span & { readonly after: bigint })[] = [];

const past = {
  async *between(span: Span & { readonly after: bigint }) {
    scanned.push(span);
    const { events } = await store.readAll({ after: span.after, limit: 100_000 });
    yield events.filter(({ position, type }) => position <= span.upTo && span.types.includes(type));
  },
};
const another = async (): Promise<StoredWaitKeys> => {
  const keys = new StoredWaitKeys(views.dataSource, store, past);
  await keys.load();
  return keys;
};
const commit = (keys: StoredWaitKeys) => inTransaction(views.dataSource, (tx) => Promise.resolve(keys.save(tx)));

/** Appends comments on these issues. */
async function comments(...numbers: readonly number[]): Promise<readonly RecordedEvent[]> {
  const context = { orgId: 'org_1', actor: 'x', now: new Date(), subject: 'x' };
  const stream = `comments-${uuid7()}`;
  await store.append(
    stream,
    numbers.map((number) => newEvent({ type: 'comment.created', data: { number } }, { ...context, id: uuid7() })),
    'no-stream',
  );
  return store.readStream(stream, { limit: 100_000 });
}
const place = (number: number): Place => ({
  pattern: 'comment.created',
  paths: [['data', 'number']],
  key: JSON.stringify([number]),
});
async function found(keys: StoredWaitKeys, numbers: readonly number[], after: bigint, before: bigint) {
  const all: unknown[] = [];
  for await (const events of keys.find(numbers.map(place), { orgId: 'org_1', after, before }))
    all.push(...events.map(({ data }) => data['number']));
  return all;
}

beforeEach(() => {
  store = new MemoryEventStore();
  scanned = [];
});

describe('keys of events for waits', () => {
  it('are entered once for what came before the first wait, and then as events come', async () => {
    const keys = await another();
    const [first, ...more] = await comments(0, 7, 8, 7);
    const end = more.at(-1)!.position + 1n;
    expect(await found(keys, [7], first!.position, end)).toEqual([7, 7]);
    expect(scanned).toHaveLength(1);
    await commit(keys);
    const later = await comments(8, 7);
    for (const event of later) keys.note(event);
    // Also what is not committed yet.
    expect(await found(keys, [7, 8], first!.position, end + 100n)).toEqual([7, 8, 7, 8, 7]);
    await commit(keys);
    // Another process takes over.
    expect(await found(await another(), [8], end - 1n, end + 100n)).toEqual([8]);
    expect(scanned).toHaveLength(1);
  });

  it('reach back further for a run that began earlier, and no event is read twice for it', async () => {
    const keys = await another();
    const old = await comments(7, 7);
    const [since, ...newer] = await comments(0, 7);
    expect(await found(keys, [7], since!.position, newer[0]!.position + 1n)).toEqual([7]);
    expect(await found(keys, [7], old[0]!.position, newer[0]!.position + 1n)).toEqual([7, 7]);
    expect(scanned.map(({ after, upTo }) => [after, upTo])).toEqual([
      [since!.position, newer[0]!.position],
      [old[0]!.position, since!.position],
    ]);
  });

  it('are entered again by whoever takes over before the commit', async () => {
    const [first, second] = await comments(7, 7);
    const end = second!.position + 1n;
    expect(await found(await another(), [7], first!.position, end)).toEqual([7]);
    expect(await found(await another(), [7], first!.position, end)).toEqual([7]);
    expect(scanned).toHaveLength(2);
  });

  it('are found by one range of the index among very many events', async () => {
    const keys = await another();
    const [event] = await comments(7);
    await found(keys, [7], 0n, event!.position);
    await commit(keys);
    const [{ id }] = await views.dataSource.query<[{ id: number }]>('select id from views.wait_shapes');
    await views.dataSource.query(
      `insert into views.wait_keys
       select $1, case when n % 1000 = 0 then $2::uuid else gen_random_uuid() end, n, 's', 0
         from generate_series(1, 100000) as n`,
      [id, hashOf(place(7).key)],
    );
    await views.dataSource.query('analyze views.wait_keys');
    const plan = await views.dataSource.query<{ 'QUERY PLAN': string }[]>(
      `explain (analyze, buffers off, timing off, summary off, costs off) ${LOOK_UP}`,
      [[id], [hashOf(place(7).key)], '10000', '90000'],
    );
    const text = plan.map((line) => line['QUERY PLAN']).join('\n');
    expect(text).toContain('wait_keys_pkey');
    expect(text).not.toContain('Seq Scan');
    // Nothing but the rows with the key is touched.
    expect(text).toMatch(/(Index Only Scan|Index Scan|Bitmap Index Scan).*wait_keys.*rows=79/);
  });
});
