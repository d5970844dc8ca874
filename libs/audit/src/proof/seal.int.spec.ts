import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';

import { useViews } from '../../../../test/support/views.js';
import { SEAL_EVERY, SealedLog } from '../../testing/sealed-log.js';
import { NEXT_KEY, parseCheckpoint } from './tree/checkpoint.js';
import { indexAt, keptSubtrees } from './kept-tree.adapter.js';
import { leafHash } from './tree/leaf.js';
import { consistencyProof, inclusionProof, rootOf, verifyConsistency, verifyInclusion } from './tree/merkle.js';
import { openNote } from './tree/note.js';
import { SEAL_EVENTS } from './seal-log.subscriber.js';

const views = useViews();

let log: SealedLog;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-seal-'));
  log = new SealedLog(new MemoryEventStore(), views.dataSource, join(folder, 'checkpoints.txt'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the trees of a log', () => {
  it('have a leaf for each event, in the order of the log, and one for each organisation', async () => {
    await log.append(700, 'org_1');
    await log.append(300, 'org_2');
    await log.keep();
    await log.append(40, 'org_1');
    await log.keep();
    const events = await log.events();
    const ofOrganisation = events.filter(({ metadata }) => metadata.orgId === 'org_1');
    for (const [name, leaves] of [
      ['log', events.map(leafHash)],
      ['org_1', ofOrganisation.map(leafHash)],
    ] as const) {
      const { edge } = (await log.tree(name))!;
      expect(edge.size).toBe(leaves.length);
      expect(edge.root).toEqual(rootOf(leaves));
    }
    const last = ofOrganisation.at(-1)!;
    expect(await indexAt(views.dataSource, 'org_1', last.position)).toBe(739);
    expect(await indexAt(views.dataSource, 'org_2', last.position)).toBeUndefined();
  });

  it('have each leaf once when a batch is lost, or given again', async () => {
    await log.append(150);
    await log.follower.run(log.subscriber, true);
    await log.keep();
    await log.follower.again(log.subscriber, 100n);
    const { edge } = (await log.tree())!;
    expect(edge.size).toBe(150);
    expect(edge.root).toEqual(rootOf((await log.events()).map(leafHash)));
  });

  it('are read anew by a process that becomes active after another', async () => {
    await log.append(10);
    await log.keep();
    const second = new SealedLog(log.store, views.dataSource);
    second.follower.skipTo(log.subscriber.name, log.follower.handled(log.subscriber.name));
    await log.append(10);
    await second.follower.run(second.subscriber);
    log.follower.skipTo(log.subscriber.name, second.follower.handled(log.subscriber.name));
    await log.append(10);
    await log.follower.run(log.subscriber);
    expect((await log.tree())!.edge.root).toEqual(rootOf((await log.events()).map(leafHash)));
  });

  it('take in what has no organisation, which the whole log alone has', async () => {
    const id = eventUuidOf('evt_01jq5x1d0wkz4s3v2n8m7b6c5a')!;
    await log.store.append('strange', [{ id, type: 'x', data: '', metadata: 'nothing' }], 'no-stream');
    await log.follower.run(log.subscriber);
    expect((await log.tree())!.edge.size).toBe(1);
  });

  it('give proofs of what they hold', async () => {
    await log.append(1_000);
    await log.keep();
    const leaves = (await log.events()).map(leafHash);
    const { edge } = (await log.tree())!;
    const head = { size: edge.size, root: edge.root };
    const inclusion = await inclusionProof(777, head.size, keptSubtrees(views.dataSource, 'log'));
    expect(verifyInclusion({ ...head, index: 777 }, leaves[777]!, inclusion)).toBe(true);
    const first = { size: 300, root: rootOf(leaves.slice(0, 300)) };
    const consistency = await consistencyProof(300, head.size, keptSubtrees(views.dataSource, 'log'));
    expect(verifyConsistency(first, head, consistency)).toBe(true);
  });
});

describe('a checkpoint', () => {
  it('is due some minutes after the first event that none covers', async () => {
    expect(await log.due()).toEqual([]);
    await log.append(2);
    const first = (await log.events())[0]!.created.getTime();
    await log.append(1, 'org_2');
    await log.keep();
    expect((await log.due()).map(({ key }) => key)).toEqual(['log', 'org_1', 'org_2']);
    expect((await log.due())[0]!.due_at.getTime()).toBe(first + SEAL_EVERY);
  });

  it('is due at once after many events', async () => {
    await log.append(SEAL_EVENTS - 1);
    await log.keep();
    expect((await log.due())[0]!.due_at.getTime()).toBeGreaterThan(Date.now());
    await log.append(1);
    await log.keep();
    expect((await log.due())[0]!.due_at.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it('holds size and root, and is signed with the key of this installation', async () => {
    await log.append(20);
    const root = rootOf((await log.events()).map(leafHash));
    await log.seal();
    const [seal, ...more] = await log.seals();
    expect(more).toEqual([]);
    const opened = openNote(seal!.note, await log.newKeys().verifiers('log'));
    const origin = await log.keys.origin('log');
    expect(origin).toMatch(/^millrace-[0-9a-f]{16}\/log$/);
    expect(parseCheckpoint(opened.text)).toEqual({ origin, size: 20, root, extensions: [] });
    expect(seal).toMatchObject({ tree: 'log', size: 20, root: root.toString('base64'), key: 1 });
    const [event] = (await log.events()).slice(-1);
    expect(event!.metadata).toMatchObject({ orgId: DEFAULT_ORG, subject: 'tree/log' });
  });

  it('asks for no other: a quiet log stays quiet', async () => {
    await log.append(5);
    for (const tree of ['log', 'org_1', 'log', 'org_1', 'log']) await log.seal(tree);
    expect((await log.seals()).map(({ tree, size }) => [tree, size])).toEqual([
      ['log', 5],
      ['org_1', 5],
    ]);
    expect(await log.due()).toEqual([]);
    await log.append(1);
    await log.keep();
    expect((await log.due()).map(({ key }) => key)).toEqual(['log', 'org_1']);
  });

  it('is made once by two processes at the same time, and by one that died after it', async () => {
    await log.append(5);
    await log.keep();
    await Promise.all([log.seal(), log.seal('log', log.worker(log.newKeys()))]);
    await log.seal();
    expect((await log.seals()).map(({ size }) => size)).toEqual([5]);
  });

  it('is made by one key, whoever makes it first', async () => {
    const all = await Promise.all([1, 2, 3].map(() => log.newKeys().verifiers('log')));
    expect(new Set(all.map(([verifier]) => verifier!.vkey)).size).toBe(1);
  });

  it('names the next key under the old one, when the key is rotated', async () => {
    await log.append(1);
    await log.seal();
    const [old] = await log.keys.verifiers('log');
    expect(await Promise.all([log.keys.rotate('test', new Date()), log.newKeys().rotate('test', new Date())])).toEqual([
      2, 2,
    ]);
    await log.append(1);
    await log.seal();
    await log.append(1);
    await log.seal();
    const [, crossed, after] = await log.seals();
    const [next] = await log.keys.verifiers('log');
    const opened = openNote(crossed!.note, [old!]);
    expect(parseCheckpoint(opened.text).extensions).toEqual([`${NEXT_KEY}${next!.vkey}`]);
    expect(openNote(crossed!.note, [next!]).signedBy).toHaveLength(1);
    expect(openNote(after!.note, [next!]).signatures).toHaveLength(1);
    expect([crossed!.key, after!.key]).toEqual([2, 2]);
    expect(() => openNote(after!.note, [old!])).toThrow(/another key/);
  });

  it('is appended to the file, once, also when the process had died before it was', async () => {
    await log.append(1);
    const withoutFile = new SealedLog(log.store, views.dataSource);
    await withoutFile.seal();
    log.follower.skipTo(log.subscriber.name, withoutFile.follower.handled(log.subscriber.name));
    for (let n = 0; n < 2; n++) {
      await log.append(1);
      await log.seal();
    }
    const notes = (await log.seals()).map(({ note }) => `${note}\n`);
    expect(notes).toHaveLength(3);
    expect(await readFile(log.file!, 'utf8')).toBe(notes.join(''));
  });

  it('is in the log also where the file cannot be written', async () => {
    log = new SealedLog(log.store, views.dataSource, join(folder, 'none', 'checkpoints.txt'));
    await log.append(1);
    await log.seal();
    expect(await log.seals()).toHaveLength(1);
  });
});
