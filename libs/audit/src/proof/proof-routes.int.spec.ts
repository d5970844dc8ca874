import { type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { DEFAULT_ORG, eventIdOf } from '#libs/events/src/envelope.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../../test/support/views.js';
import { SealedLog } from '../../testing/sealed-log.js';
import { ProofController } from './proof.controller.js';
import { BundleCheck, keysOfBundle } from './tree/bundle.js';
import { parseCheckpoint, parseProof } from './tree/checkpoint.js';
import { hashLeaf, rootOf, verifyConsistency, verifyInclusion } from './tree/merkle.js';
import { openNote, parseVerifierKey } from './tree/note.js';
import { leafHash } from './tree/leaf.js';

const views = useViews();
const admin: Caller = { orgId: DEFAULT_ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
const other: Caller = { ...admin, orgId: 'org_2' };

let log: SealedLog;
let controller: ProofController;
beforeEach(async () => {
  log = new SealedLog(new MemoryEventStore(), views.dataSource);
  const progress = { whenProcessed: () => Promise.resolve() };
  const events = new EventReader(views.dataSource, log.store, progress);
  controller = new ProofController(log.store, views.dataSource, progress, events, log.keys, log.clock);
  await log.append(20, DEFAULT_ORG);
  await log.append(3, 'org_2');
  await log.keep();
});

/** What a route writes by hand. */
async function answerOf(route: (reply: never) => Promise<void>): Promise<string> {
  let sent: string | Readable = '';
  const reply = {
    type: () => reply,
    send: (body: string | Readable) => {
      sent = body;
      return reply;
    },
    raw: { once: () => undefined },
  };
  await route(reply as never);
  return typeof sent === 'string' ? sent : text(sent);
}
const linesOf = (answer: string): object[] =>
  answer
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);

describe('the routes of an audit', () => {
  it('verify, with progress where it is asked for', async () => {
    await log.seal();
    const whole = await answerOf((reply) => controller.verify(admin, reply));
    expect(JSON.parse(whole)).toMatchObject({ ok: true, tree: 'log', size: 24, checkpoints: 1, findings: [] });
    const lines = linesOf(await answerOf((reply) => controller.verify(admin, reply, 'application/x-ndjson')));
    expect(lines.at(0)).toEqual({ progress: { done: 24, of: 24 } });
    expect(lines.at(-1)).toMatchObject({ result: { ok: true } });
    const { note } = await controller.checkpoint(admin);
    const given = Buffer.from(note).toString('base64url');
    const against = await answerOf((reply) => controller.verify(admin, reply, undefined, undefined, given));
    expect(JSON.parse(against)).toMatchObject({ ok: true, checkpoints: 2 });
    const wrong = answerOf((reply) => controller.verify(admin, reply, undefined, undefined, 'bm8gbm90ZQ'));
    await expect(wrong).rejects.toMatchObject({ code: 'audit.bad_note' });
  });

  it('show an organisation its own tree alone', async () => {
    await log.seal('org_2');
    const own = await answerOf((reply) => controller.verify(other, reply));
    expect(JSON.parse(own)).toMatchObject({ ok: true, tree: 'org_2', size: 4 });
    await expect(controller.verifiers(other, 'log')).rejects.toMatchObject({ code: 'audit.other_tree' });
    await expect(controller.verifiers(admin, 'org_2')).rejects.toMatchObject({ code: 'audit.other_tree' });
    await expect(controller.rotate(other)).rejects.toMatchObject({ code: 'audit.not_installation' });
    const [event] = await log.events();
    await expect(controller.prove(other, eventIdOf(event!.id))).rejects.toMatchObject({ code: 'event.not_found' });
  });

  it('prove that an event is in the log, to whoever has the key', async () => {
    const events = await log.events();
    const id = eventIdOf(events[13]!.id);
    await expect(controller.prove(admin, id)).rejects.toMatchObject({ code: 'audit.not_sealed' });
    await log.seal();
    const { keys } = await controller.verifiers(admin);
    const answer = await controller.prove(admin, id);
    const { index, hashes, checkpoint } = parseProof(answer.proof);
    expect(index).toBe(13);
    const { size, root } = parseCheckpoint(openNote(checkpoint, keys.map(parseVerifierKey)).text);
    const leaf = hashLeaf(Buffer.from(answer.bytes!, 'base64'));
    expect(leaf.toString('base64')).toBe(answer.leaf);
    expect(verifyInclusion({ index, size, root }, leaf, hashes)).toBe(true);
    await log.append(1, DEFAULT_ORG);
    await log.keep();
    const [newest] = (await log.events()).slice(-1);
    await expect(controller.prove(admin, eventIdOf(newest!.id))).rejects.toMatchObject({ code: 'audit.not_sealed' });
  });

  it('prove that a tree begins with an earlier one', async () => {
    const leaves = (await log.events()).map(leafHash);
    await log.seal();
    const answer = await controller.consistency(admin, '7', '23');
    const proof = answer.hashes.map((hash) => Buffer.from(hash, 'base64'));
    const [first, second] = [7, 23].map((size) => ({ size, root: rootOf(leaves.slice(0, size)) }));
    expect(verifyConsistency(first!, second!, proof)).toBe(true);
    for (const [from, to] of [
      ['x', '23'],
      ['1', '99'],
      [undefined, '23'],
      ['9', '7'],
    ])
      await expect(controller.consistency(admin, from, to)).rejects.toMatchObject({ code: 'audit.bad_size' });
  });

  it('change the key, and name it', async () => {
    const before = await controller.verifiers(admin);
    const after = await controller.rotate(admin);
    expect(after.keys).toEqual([expect.any(String), ...before.keys]);
    expect(after.origin).toBe(before.origin);
  });

  it('export a bundle that verifies without them, and holds nothing that is never shown', async () => {
    const secret = newEvent(
      { type: 'token.created', data: { tokenId: 'tok_1', name: 'ci', hash: 'ab'.repeat(32), roles: ['admin'] } },
      { id: uuid7(), orgId: DEFAULT_ORG, actor: 'test', now: new Date() },
    );
    await log.store.append('token-1', [secret], 'no-stream');
    await expect(controller.export(admin, {} as never)).rejects.toMatchObject({ code: 'audit.not_sealed' });
    await log.seal();
    await log.append(2, DEFAULT_ORG);
    await log.seal();
    const bundle = await answerOf((reply) => controller.export(admin, reply));
    expect(bundle).not.toContain('ab'.repeat(32));
    const lines = bundle.trimEnd().split('\n');
    const check = new BundleCheck(keysOfBundle(lines[0]!));
    for (const line of lines) check.take(line);
    expect(check.result()).toMatchObject({
      ok: true,
      tree: 'log',
      events: 26,
      hashesOnly: 1,
      checkpoints: 2,
      size: 27,
      unsealed: 0,
      problems: [],
    });
    expect(linesOf(bundle)).toContainEqual(expect.objectContaining({ kind: 'leaf', index: 23, reason: 'withheld' }));
  });

  it('stop when nobody reads any more', async () => {
    await log.seal();
    let close = (): void => undefined;
    const reply = { raw: { once: (_: string, closed: () => void) => void (close = closed) } };
    const verification = controller.verify(admin, reply as never);
    close();
    await expect(verification).rejects.toThrow('aborted');
  });
});
