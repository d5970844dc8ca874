import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import { EventStoreDbEventStore } from '#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { EventStoreDbDouble } from '../../../event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { SealedLog } from '../../testing/sealed-log.js';
import { exportLog } from '../proof/export-log.js';
import { WHOLE_LOG } from '../proof/kept-tree.adapter.js';
import { SigningKeys } from '../proof/signing-keys.js';
import { leafHash } from '../proof/tree/leaf.js';
import { BundleCheck, keysOfBundle } from '../proof/tree/bundle.js';
import { rangeText } from '../proof/tree/leaf-ranges.js';
import { copyLog } from './copy-log.js';
import { copyBetween } from './open-logs.adapter.js';

const signal = new AbortController().signal;
const told = { signal, onProgress: () => undefined };

let databases: TestDatabase[];
let closers: (() => Promise<void>)[];
beforeEach(() => {
  databases = [];
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  for (const one of databases) await one.drop();
});

async function database(): Promise<string> {
  const made = await createTestDatabase();
  databases.push(made);
  return made.url;
}
async function postgres(): Promise<string> {
  return database();
}
async function eventStoreDb(): Promise<string> {
  const double = await EventStoreDbDouble.start();
  closers.push(() => double.stop());
  return double.connectionString;
}
async function open(url: string): Promise<EventStore> {
  const store = url.startsWith('esdb')
    ? await EventStoreDbEventStore.open({ connectionString: url })
    : await PostgresEventStore.open({ connectionString: url });
  closers.push(() => store.close());
  return store;
}
async function views(url: string): Promise<DataSource> {
  const opened = await openDataSource({ url, poolSize: 4 });
  closers.push(() => opened.destroy());
  return opened;
}

/** Streams that grow in turn, events of one append, texts of all kinds, and a checkpoint. */
async function filled(url: string, viewsUrl: string): Promise<SealedLog> {
  const store = await open(url);
  const log = new SealedLog(store, await views(viewsUrl));
  const event = (n: number) =>
    newEvent(
      { type: 'thing.happened', data: { n, text: 'é\u0001"\\ 𝄞', number: 12345678901234567890n.toString() } },
      { id: uuid7(), orgId: 'org_1', actor: 'test', now: new Date() },
    );
  for (let n = 0; n < 30; n++)
    await store.append(`grows-${n % 3}`, [event(n)], n < 3 ? 'no-stream' : BigInt(Math.floor(n / 3) - 1));
  await store.append(
    'many-1',
    Array.from({ length: 40 }, (_, n) => event(n)),
    'no-stream',
  );
  await log.seal();
  await log.append(5);
  await log.keep();
  return log;
}
const bytesOf = async (store: EventStore) =>
  (await store.readAll({ limit: 10_000 })).events.map(({ stream, revision, id, type, dataJson, metadataJson }) => ({
    stream,
    revision,
    id,
    type,
    dataJson,
    metadataJson,
  }));

describe.each([
  ['PostgreSQL', 'EventStoreDB', postgres, eventStoreDb],
  ['EventStoreDB', 'PostgreSQL', eventStoreDb, postgres],
] as const)('a log in %s copied to %s', (_, __, from, to) => {
  it('has the same events in the same order, and the same root', async () => {
    const [source, target] = [await from(), await to()];
    const log = await filled(source, await database());
    const result = await copyBetween({ from: { url: source }, to: { url: target }, finish: false, ...told });
    const copied = await bytesOf(await open(target));
    expect(copied).toEqual(await bytesOf(log.store));
    expect(result).toMatchObject({ size: copied.length, copied: copied.length, removed: 0 });
  });

  it('goes on where it stopped, with what was recorded since', async () => {
    const [source, target] = [await from(), await to()];
    const log = await filled(source, await database());
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    await expect(
      copyBetween({ from: { url: source }, to: { url: target }, finish: false, signal: stop.signal, onProgress }),
    ).rejects.toThrow();
    await log.append(3);
    const { copied, size } = await copyBetween({ from: { url: source }, to: { url: target }, finish: false, ...told });
    expect(copied).toBeGreaterThan(0);
    expect(copied).toBeLessThan(size);
    expect(await bytesOf(await open(target))).toEqual(await bytesOf(log.store));
    const again = await copyBetween({ from: { url: source }, to: { url: target }, finish: false, ...told });
    expect(again).toMatchObject({ copied: 0, size });
  });

  it('keeps its tree where retention has removed events', async () => {
    const [source, target, kept] = [await from(), await to(), await database()];
    const log = await filled(source, kept);
    const retained = (await log.events()).filter(({ stream }) => stream === 'many-1' || stream === 'grows-1');
    const index = new Map((await log.events()).map(({ position }, n) => [position, n]));
    const applied = newEvent(
      {
        type: 'retention.applied',
        data: {
          kind: 'payloads',
          before: new Date().toISOString(),
          events: retained.length,
          streams: [
            { stream: 'grows-1', revision: '9' },
            { stream: 'many-1', revision: '39' },
          ],
          leaves: rangeText(retained.map(({ position }) => index.get(position)!)),
          ownLeaves: '',
        },
      },
      { id: uuid7(), orgId: 'org_1', actor: 'test', now: new Date() },
    );
    await log.store.append('truncated-org_1', [applied], 'no-stream');
    await log.keep();
    await log.store.truncateBefore('many-1', 40n);
    await log.store.truncateBefore('grows-1', 10n);
    const request = { from: { url: source }, to: { url: target }, finish: false, ...told };
    const result = await copyBetween({ ...request, views: kept });
    expect(result).toMatchObject({ removed: retained.length });
    const tree = await log.tree();
    const copy = new SealedLog(await open(target), await views(await database()));
    await copy.keep();
    expect((await copy.tree())!.edge.root.equals(tree!.edge.root)).toBe(true);
    await copy.seal();
    expect(await copy.verify()).toMatchObject({ ok: true, truncated: retained.length, findings: [] });
    // The streams go on at the revision that they had.
    const next = newEvent(
      { type: 'thing.happened', data: {} },
      { id: uuid7(), orgId: 'org_1', actor: 'test', now: new Date() },
    );
    await expect(copy.store.append('many-1', [next], 39n)).resolves.toMatchObject({ revision: 40n });
  });
});

describe('a copied log', () => {
  /** Under another PostgreSQL, with other keys. */
  async function moved() {
    const [source, target, other] = [await postgres(), await eventStoreDb(), await database()];
    const log = await filled(source, source);
    await copyBetween({ from: { url: source }, to: { url: target }, finish: false, ...told });
    const store = await open(target);
    const copy = new SealedLog(store, await views(other));
    const keys = new SigningKeys(store, new PostgresSecrets(copy.database, new Keyring([Buffer.alloc(32, 7)])));
    Object.assign(copy, { keys });
    Object.assign(copy.subscriber, { keys });
    return { log, copy, keys };
  }

  it('is signed with the key of its own installation, and continues from the last checkpoint before', async () => {
    const { log, copy, keys } = await moved();
    const [before] = await log.seals();
    await copy.seal(WHOLE_LOG, copy.worker(keys));
    const seals = await copy.seals();
    expect(seals).toHaveLength(2);
    expect(seals[1]!.note).toContain(
      `\nmillrace-continues ${before!.note.split('\n')[0]!} ${before!.size} ${before!.root}\n`,
    );
    expect(await copy.verify()).toMatchObject({ ok: true, checkpoints: 2, findings: [] });
    expect(await copy.verify({ checkpoint: before!.note })).toMatchObject({ ok: true, checkpoints: 3 });
    await copy.append(2);
    await copy.seal(WHOLE_LOG, copy.worker(keys));
    expect((await copy.seals())[2]!.note).not.toContain('millrace-continues');
    expect(await copy.verify()).toMatchObject({ ok: true, checkpoints: 3 });
  });

  it('is exported as a bundle that is verified without a server', async () => {
    const { copy, keys } = await moved();
    await copy.seal(WHOLE_LOG, copy.worker(keys));
    const lines: string[] = [];
    const { store, database } = copy;
    for await (const some of exportLog({ store, database, keys }, WHOLE_LOG, signal))
      lines.push(...some.map((line) => JSON.stringify(line)));
    const check = (all: readonly string[]) => {
      const bundle = new BundleCheck(keysOfBundle(all[0]!));
      for (const line of all) bundle.take(line);
      return bundle.result();
    };
    expect(check(lines)).toMatchObject({ ok: true, problems: [], checkpoints: 1 });
    const forged = lines.map((line) => line.replace('millrace-continues', 'millrace-whatever'));
    expect(check(forged).ok).toBe(false);
  });

  it('names a checkpoint of another key that somebody put into a log that was never copied', async () => {
    const source = await postgres();
    const log = await filled(source, source);
    const other = new SigningKeys(
      log.store,
      new PostgresSecrets(await views(await database()), new Keyring([Buffer.alloc(32, 9)])),
    );
    const [own] = (await log.events()).filter((event) => event.is('log.sealed'));
    const foreign = (await other.origin(WHOLE_LOG)) + own!.dataJson.slice(0, 0);
    const client = new pg.Client({ connectionString: source });
    await client.connect();
    await client.query(
      `update log.events set data = convert_to(regexp_replace(convert_from(data, 'UTF8'), 'millrace-[0-9a-f]+/log', $2, 'g'), 'UTF8') where position = $1`,
      [String(own!.position), foreign],
    );
    await client.end();
    const { ok, findings } = await log.verify({}, await open(source));
    expect({ ok, kinds: findings.map(({ kind }) => kind) }).toEqual({
      ok: false,
      kinds: expect.arrayContaining(['other_key']),
    });
    expect(findings).toContainEqual(expect.objectContaining({ eventId: eventIdOf(own!.id) }));
  });
});

describe('an event that somebody replaced by its hash', () => {
  it('is named as removed', async () => {
    const source = await postgres();
    const log = await filled(source, source);
    const victim = (await log.events())[5]!;
    const client = new pg.Client({ connectionString: source });
    await client.connect();
    await client.query(
      `update log.events set type = 'log.truncated', data = convert_to($2, 'UTF8') where position = $1`,
      [String(victim.position), JSON.stringify({ leaf: leafHash(victim).toString('base64') })],
    );
    await client.end();
    const { ok, findings } = await log.verify({}, await open(source));
    expect({ ok, findings }).toMatchObject({ ok: false, findings: [{ kind: 'missing', index: 5 }] });
  });
});

describe('copying is refused', () => {
  it('into a log that holds something else, and from a log that is not one', async () => {
    const [source, target] = [await postgres(), await eventStoreDb()];
    const log = await filled(source, source);
    const store = await open(target);
    const stray = newEvent(
      { type: 'thing.happened', data: {} },
      { id: uuid7(), orgId: 'org_1', actor: 'test', now: new Date() },
    );
    await store.append('grows-0', [stray], 'no-stream');
    const none = { store: log.store, removed: async function* () {} };
    await expect(copyLog(none, store, told)).rejects.toMatchObject({ code: 'copy.target_in_use' });
    const same = { from: { url: source }, to: { url: source }, finish: false, ...told };
    await log.store.truncateBefore('grows-1', 4n);
    await expect(
      copyBetween({ from: { url: source }, to: { url: await eventStoreDb() }, finish: false, ...told }),
    ).rejects.toMatchObject({ code: 'copy.views_needed' });
    await expect(copyBetween(same)).rejects.toMatchObject({ code: 'copy.same_log' });
    await expect(copyBetween({ ...same, to: { url: 'mysql://x' } })).rejects.toMatchObject({ code: 'copy.bad_url' });
  });
});
