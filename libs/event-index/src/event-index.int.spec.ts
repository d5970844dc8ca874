import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { type Parameters, parseQuery } from '#libs/audit/src/event-parameters.js';
import { traceOf } from '#libs/audit/src/trace.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { type Cause, eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { ReceivedAt } from '#libs/persistence/src/migrations/0027-received-at.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { EventIndex } from './event-index.projection.js';
import { matcherOf } from './event-matcher.js';
import { EventReader } from './event-reader.adapter.js';

/** Answers as a projection that is never done. */
class Behind extends Progress {
  readonly asked: string[] = [];
  whenProcessed(name: string, position: bigint): Promise<void> {
    this.asked.push(`${name} ${position}`);
    return Promise.reject(new Transient('subscriber.behind', 'behind'));
  }
}

interface Written {
  readonly type?: string;
  readonly orgId?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly at?: string;
  readonly received?: string;
  readonly data?: object;
  readonly cause?: Cause;
  readonly stream?: string;
}

describe('the index of events', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  let store: EventStore;
  let reader: EventReader;
  let progress: Behind;
  let quarantine: Quarantine;
  beforeEach(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 4 });
    store = await PostgresEventStore.open({ connectionString: testDatabase.url });
    progress = new Behind();
    quarantine = new Quarantine();
    reader = new EventReader(database, store, progress, quarantine);
  });
  afterEach(async () => {
    await store.close();
    await database.destroy();
    await testDatabase.drop();
  });

  async function write({ type = 'git.push', orgId = 'org_a', stream, cause, at, data = {}, ...rest }: Written = {}) {
    const { received = '2026-11-20T12:00:00Z', ...more } = rest;
    const id = uuid7();
    const event = newEvent(
      { type, data, ...(at !== undefined && { timestamp: at }) },
      { id, orgId, actor: 'millrace', now: new Date(received), ...more, ...(cause && { cause }) },
    );
    await store.append(stream ?? `s-${id}`, [event], stream === undefined ? 'no-stream' : 'any');
    return id;
  }
  const everything = async (): Promise<readonly RecordedEvent[]> => (await store.readAll({ limit: 10_000 })).events;
  const index = async (events?: readonly RecordedEvent[]) => {
    const all = events ?? (await everything());
    await inTransaction(database, (manager) =>
      new EventIndex().handle(all, {
        transaction: () => Promise.resolve(manager),
        signal: new AbortController().signal,
      }),
    );
  };
  const find = async (parameters: Parameters, orgId = 'org_a') => {
    const { events, next } = await reader.page(parseQuery({ order: 'asc', ...parameters }, orgId, 'page'));
    return { ids: events.map(({ id }) => id), next };
  };
  const ids = async (parameters: Parameters, orgId?: string) => (await find(parameters, orgId)).ids;

  it.each<Parameters>([
    {},
    { type: '*' },
    { type: 'git.push' },
    { type: 'pr.*,*.evaluated' },
    { source: 'git*', subject: 'repository/*/app' },
    { subject: 'a_b%' },
    { from: '2026-11-20T12:00:01Z', to: '2026-11-20T12:00:02Z' },
    { by: 'timestamp', from: '2026-11-19T00:00:00Z', to: '2026-11-20T00:00:00Z' },
    { fromPosition: '2', toPosition: '4' },
    { filter: 'data.n > `1`' },
    { actor: 'mill*' },
    { text: 'DEEP two' },
  ])('answers %j as a question about each event does', async (parameters) => {
    await write({ source: 'github', subject: 'repository/acme/app', data: { n: 1 } });
    await write({ type: 'pr.opened', source: 'gitlab', subject: 'repository/b/app', received: '2026-11-20T12:00:01Z' });
    await write({
      type: 'rule.evaluated',
      subject: 'a_b%',
      at: '2026-11-19T08:00:00Z',
      data: { n: 2, in: [{ deep: 'Is Deep' }, 'two'] },
    });
    await write({ type: 'webhook.failed', subject: 'axb%', received: '2026-11-20T12:00:02Z' });
    await write({ orgId: 'org_b', data: { n: 3 } });
    await index();
    const matches = matcherOf(parseQuery(parameters, 'org_a', 'lines'));
    const asked = (await everything()).filter(matches).map(({ id }) => id);
    expect(asked.length).toBeGreaterThan(0);
    expect(await ids(parameters)).toEqual(asked);
  });

  it('is the same whether an event was handled once or twice', async () => {
    for (let n = 0; n < 5; n++) await write();
    await index();
    const once = await database.query('select * from views.events order by position');
    await index();
    expect(await database.query('select * from views.events order by position')).toEqual(once);
    expect(once).toHaveLength(5);
  });

  it('says where the log was at a time', async () => {
    await write({ received: '2020-01-01T00:00:00Z' });
    for (const received of ['2026-11-20T12:00:00Z', '2026-11-20T12:00:01Z', '2026-11-20T12:00:01Z'])
      await write({ received });
    await index();
    const [old, first, , last] = (await everything()).map(({ position }) => position);
    const upToDate = new EventReader(database, store, { whenProcessed: () => Promise.resolve() });
    const at = (time: string): Promise<bigint> => upToDate.positionAt(new Date(time));
    expect(await at('2019-12-31T23:59:59Z')).toBe(0n);
    expect(await at('2020-01-01T00:00:00Z')).toBe(old);
    expect(await at('2026-11-20T11:59:59Z')).toBe(old);
    expect(await at('2026-11-20T12:00:00Z')).toBe(first);
    expect(await at('2026-11-20T12:00:00.999Z')).toBe(first);
    expect(await at('2026-11-20T12:00:01Z')).toBe(last);
    expect(await at('9999-12-31T00:00:00Z')).toBe(last);
    expect(await at('0001-01-01T00:00:00Z')).toBe(0n);
    // What is not indexed yet may have been recorded by then.
    await expect(reader.positionAt(new Date(0))).rejects.toMatchObject({ code: 'event_index.behind' });
  });

  it('finds by type, glob, source and subject', async () => {
    const push = await write({ source: 'github', subject: 'repository/acme/app' });
    const opened = await write({ type: 'pr.opened', source: 'gitlab', subject: 'repository/acme/lib' });
    const verdict = await write({ type: 'rule.evaluated', source: 'millrace' });
    await index();
    expect(await ids({})).toEqual([push, opened, verdict]);
    expect(await ids({ type: 'git.push' })).toEqual([push]);
    expect(await ids({ type: 'pr.*,rule.*' })).toEqual([opened, verdict]);
    expect(await ids({ type: '*' })).toEqual([push, opened]);
    expect(await ids({ source: 'git*' })).toEqual([push, opened]);
    expect(await ids({ subject: 'repository/acme/*' })).toEqual([push, opened]);
    expect(await ids({ subject: 'repository/acme/app' })).toEqual([push]);
    expect(await ids({ subject: 'repository/acme/ap_' })).toEqual([]);
  });

  it('shows events in quarantine to those who show the log, and to nobody who acts on it', async () => {
    const [good, bad] = [await write(), await write()];
    await write({ type: 'event.quarantined', data: { eventId: eventIdOf(bad), reason: 'a test' } });
    await index();
    for (const event of await everything()) quarantine.apply(event);
    const shown = parseQuery({ type: 'git.push', order: 'asc' }, 'org_a', 'page');
    const { includesQuarantined: _, ...acted } = shown;
    const idsOf = (events: readonly RecordedEvent[]) => events.map(({ id }) => id);
    expect(idsOf((await reader.page(shown)).events)).toEqual([good, bad]);
    expect(idsOf((await reader.page(acted)).events)).toEqual([good]);
    const batches: RecordedEvent[] = [];
    for await (const batch of reader.all(acted)) batches.push(...batch);
    expect(idsOf(batches)).toEqual([good]);
    expect(await reader.story('org_a', bad)).toMatchObject([{ id: bad, quarantined: true }]);
  });

  it('is read from the log anew where it lacks the times of receipt', async () => {
    const first = await write();
    await index();
    const runner = database.createQueryRunner();
    await runner.query('insert into views.checkpoints (name, position) values ($1, 1)', [followers.eventIndex]);
    await new ReceivedAt().down(runner);
    await new ReceivedAt().up(runner);
    expect(await runner.query('select name from views.checkpoints')).toEqual([]);
    await runner.release();
    expect(await ids({})).toEqual([]);
    await index();
    expect(await ids({ from: '2026-11-20T12:00:00Z' })).toEqual([first]);
  });

  it.each([
    ['when they were received', 'received', {}],
    ['when they happened', 'at', { by: 'timestamp' }],
  ] as const)('finds by %s, and by position, from inclusive and to exclusive', async (_, time, by) => {
    const other = time === 'at' ? 'received' : 'at';
    const written = (at: string) => write({ [time]: at, [other]: '2019-01-01T00:00:00.000Z' });
    const early = await written('2026-11-20T10:00:00.000Z');
    const noon = await written('2026-11-20T12:00:00.000Z');
    const late = await written('2026-11-20T14:00:00.000Z');
    await index();
    expect(await ids({ from: '2026-11-20T12:00:00Z', ...by })).toEqual([noon, late]);
    expect(await ids({ to: '2026-11-20T12:00:00Z', ...by })).toEqual([early]);
    expect(await ids({ from: '2026-11-20T13:00:00+02:00', to: '2026-11-20T13:00:00Z', ...by })).toEqual([noon]);
    const [first, second] = (await everything()).map(({ position }) => String(position));
    expect(await ids({ fromPosition: second! })).toEqual([noon, late]);
    expect(await ids({ toPosition: first! })).toEqual([early]);
  });

  it('never shows an organisation the events of another', async () => {
    const own = await write();
    const other = await write({ orgId: 'org_b' });
    await index();
    expect(await ids({})).toEqual([own]);
    expect(await ids({}, 'org_b')).toEqual([other]);
    expect(await reader.byId('org_a', other)).toBeUndefined();
    expect(await reader.correlationOf('org_a', other)).toBeUndefined();
    expect(await reader.story('org_a', other)).toEqual([]);
  });

  it.each(['asc', 'desc'] as const)('shows all events page by page, none twice, %s', async (order) => {
    const written: string[] = [];
    for (let n = 0; n < 23; n++) written.push(await write());
    await index();
    const seen: string[] = [];
    let next: bigint | undefined;
    do {
      const query = {
        ...parseQuery({ order, limit: '7' }, 'org_a', 'page'),
        ...(next !== undefined && { after: next }),
      };
      const page = await reader.page(query);
      expect(page.events.length).toBeLessThanOrEqual(7);
      seen.push(...page.events.map(({ id }) => id));
      next = page.next;
    } while (next !== undefined);
    expect(seen).toEqual(order === 'asc' ? written : written.reverse());
  });

  it('fetches events that lie far apart and events that lie close together', async () => {
    const wanted: string[] = [];
    for (let n = 0; n < 120; n++) {
      const id = await write({ type: n % 40 === 0 ? 'release.published' : 'git.push', data: { n } });
      if (n % 40 === 0) wanted.push(id);
    }
    await index();
    expect(await ids({ type: 'release.published' })).toEqual(wanted);
    const { events } = await reader.page(parseQuery({ order: 'asc', limit: '200' }, 'org_a', 'page'));
    expect(events.map(({ data }) => (data as { n?: number }).n)).toEqual(Array.from({ length: 120 }, (_, n) => n));
  });

  it('filters by what is in the events, across as many rows as it takes', async () => {
    const wanted: string[] = [];
    for (let n = 0; n < 600; n++) {
      const id = await write({ data: { n } });
      if (n >= 598) wanted.push(id);
    }
    await index();
    expect(await find({ filter: 'data.n >= `598`', limit: '1' })).toMatchObject({ ids: [wanted[0]] });
    expect(await find({ filter: 'data.n >= `598`', limit: '50' })).toEqual({ ids: wanted, next: undefined });
    expect(await ids({ filter: "subject == 'nothing'" })).toEqual([]);
  });

  it('exports everything in order, in batches', async () => {
    const written: string[] = [];
    for (let n = 0; n < 1_100; n++) written.push(await write({ data: { n } }));
    await index();
    const seenWith = async (parameters: Parameters) => {
      const seen: string[] = [];
      for await (const batch of reader.all(parseQuery(parameters, 'org_a', 'lines')))
        seen.push(...batch.map(({ id }) => id));
      return seen;
    };
    const others = written.filter((_, n) => n !== 3);
    expect(await seenWith({ filter: 'data.n != `3`' })).toEqual(others);
    expect(await seenWith({ filter: 'data.n != `3`', limit: '700' })).toEqual(others.slice(0, 700));
    expect(await seenWith({ limit: '700' })).toEqual(written.slice(0, 700));
    expect(await seenWith({ limit: '500', order: 'desc' })).toEqual(written.toReversed().slice(0, 500));
  });

  it('leaves out what retention has taken from the log', async () => {
    const gone = await write({ stream: 'long' });
    const kept = await write({ stream: 'long' });
    await index();
    await store.truncateBefore('long', 1n);
    expect(await ids({})).toEqual([kept]);
    expect(await reader.byId('org_a', gone)).toBeUndefined();
  });

  it('tells the whole story of an event from any event in it', async () => {
    const root = await write();
    const decision = await write({
      type: 'rule.evaluated',
      cause: { $correlationId: root, $causationId: root, hop: 1 },
    });
    const request = await write({
      type: 'webhook.requested',
      cause: { $correlationId: root, $causationId: root, hop: 1 },
    });
    const failed = await write({
      type: 'webhook.failed',
      cause: { $correlationId: root, $causationId: request, hop: 2 },
    });
    await write();
    await index();
    expect(await reader.correlationOf('org_a', failed)).toBe(root);
    const story = await reader.story('org_a', root);
    expect(story.map(({ id }) => id)).toEqual([root, decision, request, failed]);
    expect(traceOf(story, root)).toMatchObject({
      type: 'git.push',
      children: [{ type: 'rule.evaluated' }, { type: 'webhook.requested', children: [{ type: 'webhook.failed' }] }],
    });
  });

  it('keeps subjects that PostgreSQL cannot hold as near as it can', async () => {
    const id = await write({ subject: 'a\0b' });
    await index();
    expect(await ids({ subject: 'a*' })).toEqual([id]);
  });

  it('is waited for up to the end of the log, and used as it is where it is far behind', async () => {
    await write();
    await reader.settle();
    expect(progress.asked).toEqual([`${followers.eventIndex} 1`]);
    await expect(ids({})).resolves.toEqual([]);
  });
});
