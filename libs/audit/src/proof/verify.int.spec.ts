import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';

import { useViews } from '../../../../test/support/views.js';
import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { SealedLog } from '../../testing/sealed-log.js';
import { type TamperedLog, tamperedEventStoreDb, tamperedPostgres } from '../../testing/tampered-log.js';
import { leafHash } from './tree/leaf.js';
import { rootOf } from './tree/merkle.js';
import { signerOf, signNote } from './tree/note.js';

const views = useViews();

const LOGS: readonly (readonly [string, (url: string) => Promise<TamperedLog>])[] = [
  ['PostgreSQL', tamperedPostgres],
  ['EventStoreDB', tamperedEventStoreDb],
];

describe.each(LOGS)('a log in %s', (_, openLog) => {
  let database: TestDatabase;
  let tampered: TamperedLog;
  let log: SealedLog;
  let opened: EventStore[];
  /** Twelve events, the checkpoint over them, three more events. */
  let events: readonly RecordedEvent[];
  beforeEach(async () => {
    database = await createTestDatabase();
    tampered = await openLog(database.url);
    opened = [];
    log = new SealedLog(await open(), views.dataSource);
    for (let n = 0; n < 6; n++) await log.append(1, 'org_1');
    await log.append(6, 'org_2');
    await log.seal();
    await log.append(3, 'org_1');
    await log.keep();
    events = await log.events();
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    await tampered.close();
    await database.drop();
  });

  async function open(): Promise<EventStore> {
    const store = await tampered.open();
    opened.push(store);
    return store;
  }
  const verify = async (request = {}) => log.verify(request, await open());
  const at = (index: number) => events[index]!.position;
  const named = (index: number) => {
    const { id, stream, revision } = events[index]!;
    return { index, eventId: eventIdOf(id), stream, revision: String(revision) };
  };

  it('verifies as long as nothing was changed, with the tree of each organisation', async () => {
    const whole = await verify();
    expect(whole).toMatchObject({ ok: true, size: 16, findings: [], checkpoints: 1, truncated: 0, more: 0 });
    expect(whole.root).toBe(rootOf(events.map(leafHash)).toString('base64'));
    expect(await verify({ tree: 'org_2' })).toMatchObject({ ok: true, size: 6 });
    expect(await verify({ tree: 'org_none' })).toMatchObject({ ok: true, size: 0 });
  });

  it('takes an event that was recorded since for what it is', async () => {
    await log.append(2);
    expect(await verify()).toMatchObject({ ok: true, size: 16 });
  });

  it('names an event of which a byte was changed', async () => {
    await tampered.change(at(4), '"text":"é"', '"text":"è"');
    const { ok, findings } = await verify();
    expect(ok).toBe(false);
    expect(findings).toEqual([expect.objectContaining({ kind: 'changed', ...named(4), type: 'thing.happened' })]);
    expect((await verify({ tree: 'org_1' })).findings).toMatchObject([{ kind: 'changed', eventId: named(4).eventId }]);
    expect((await verify({ tree: 'org_2' })).ok).toBe(true);
  });

  it('names where its end was cut off', async () => {
    await tampered.cutAfter(at(9));
    expect((await verify()).findings).toEqual([expect.objectContaining({ kind: 'cut', ...named(10), count: 6 })]);
  });

  it('names an event that was removed from the middle', async () => {
    await tampered.remove(at(7));
    expect((await verify()).findings).toEqual([expect.objectContaining({ kind: 'missing', ...named(7) })]);
  });

  it('names two events that were swapped', async () => {
    await tampered.swap(at(3), at(9));
    expect((await verify()).findings).toEqual([
      expect.objectContaining({ kind: 'reordered', ...named(3), detail: expect.stringContaining(String(at(9))) }),
      expect.objectContaining({ kind: 'reordered', ...named(9) }),
    ]);
  });

  it('names an event that was added', async () => {
    await tampered.addAfter(at(5));
    const { findings } = await verify();
    expect(findings).toEqual([expect.objectContaining({ kind: 'surplus', index: 6, type: 'thing.happened' })]);
    const ids = events.map(({ id }) => eventIdOf(id));
    expect(ids).not.toContain((findings[0] as { eventId?: string }).eventId);
  });

  it('names a checkpoint that was replaced with one that another key signed', async () => {
    const [seal] = await log.seals();
    const [text] = seal!.note.split('\n\n');
    const origin = await log.keys.origin('log');
    const forged = signNote(`${text}\n`, [signerOf(origin, Buffer.alloc(32, 66))]);
    const inJson = (note: string) => JSON.stringify(note).slice(1, -1);
    await tampered.change(at(12), inJson(seal!.note), inJson(forged));
    const { findings } = await verify();
    expect(findings).toEqual([
      expect.objectContaining({
        kind: 'other_key',
        eventId: named(12).eventId,
        detail: expect.stringContaining(origin),
      }),
      expect.objectContaining({ kind: 'changed', ...named(12), type: 'log.sealed' }),
    ]);
  });

  it('does not verify where the kept hashes were cut as well, against a checkpoint kept elsewhere', async () => {
    const [seal] = await log.seals();
    await tampered.cutAfter(at(9));
    // As if the log had never been longer.
    await views.dataSource.query('delete from views.log_trees; delete from views.log_tiles');
    log = new SealedLog(await open(), views.dataSource);
    await log.keep();
    expect((await verify()).ok).toBe(true);
    expect((await verify({ checkpoint: seal!.note })).findings).toEqual([
      { kind: 'cut', index: 10, detail: expect.stringContaining('covers 12 events, and 10 are there') },
    ]);
  });

  it('does not verify where the kept hashes were changed with it', async () => {
    await tampered.change(at(4), '"text":"é"', '"text":"è"');
    await views.dataSource.query('delete from views.log_trees; delete from views.log_tiles');
    log = new SealedLog(await open(), views.dataSource);
    await log.keep();
    expect((await verify()).findings).toEqual([
      expect.objectContaining({ kind: 'other_root', index: 0, eventId: named(12).eventId }),
    ]);
  });

  it('tells that the kept hashes were changed, where the log was not', async () => {
    await views.dataSource.query(
      `update views.log_tiles set hashes = set_byte(hashes, 5 * 32, 255 - get_byte(hashes, 5 * 32)) where tree = 'log'`,
    );
    expect((await verify()).findings).toEqual([
      { kind: 'kept_hashes', index: 5, eventId: named(5).eventId, detail: expect.stringContaining('as it was signed') },
    ]);
  });

  it('verifies against a checkpoint of an old key, and refuses what is none', async () => {
    const [first] = await log.seals();
    await log.keys.rotate('test', log.clock.now());
    await log.seal();
    expect(await verify({ checkpoint: first!.note })).toMatchObject({ ok: true, checkpoints: 3 });
    await expect(verify({ checkpoint: 'no note' })).rejects.toMatchObject({ code: 'audit.bad_note' });
    const foreign = signNote('other.example/log\n1\nAAAA\n', [signerOf('other.example/log', Buffer.alloc(32, 5))]);
    expect((await verify({ checkpoint: foreign })).findings).toMatchObject([{ kind: 'other_key' }]);
  });

  it('ends when nobody waits for it any more', async () => {
    const abort = new AbortController();
    abort.abort();
    await expect(verify({ signal: abort.signal })).rejects.toThrow('aborted');
  });
});
