import { beforeEach, describe, expect, it } from '@jest/globals';

import { pastAccess } from '#libs/access/src/past-kinds.js';
import type { Role } from '#libs/access/src/caller.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { PastKinds } from '#libs/event-store/src/past-kind.js';
import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { AsOfController } from './as-of.controller.js';
import { fieldDifferences } from './difference.js';
import { Past } from './past.js';

const ORG = 'org_1';
const now = new Date('2026-11-20T12:00:00Z');
let store: MemoryEventStore;
let controller: AsOfController;
const caller = (orgId = ORG, ...roles: Role[]) => ({ orgId, actor: 'token/tok_a', tokenId: 'tok_a', roles });

beforeEach(() => {
  store = new MemoryEventStore();
  const events = { positionAt: () => Promise.resolve(2n) } as unknown as EventReader;
  const kinds = new PastKinds(pastAccess);
  controller = new AsOfController(new Past(store), kinds, store, events, { now: () => now });
});

async function happened<T extends EventType>(
  stream: string,
  type: T,
  data: DataOf<T>,
  { orgId = ORG, actor = 'token/tok_a' } = {},
): Promise<bigint> {
  const event = newEvent({ type, data }, { id: uuid7(), orgId, actor, now });
  return (await store.append(stream, [event], 'any')).position;
}
const token = (id: string, name: string, more = {}) =>
  happened(streams.token(id), 'token.created', { tokenId: id, name, hash: 'SECRET-HASH', roles: ['admin'] }, more);
const secret = (name: string, reference: string, actor?: string) =>
  happened(
    streams.secret(`sec_${name}`),
    'secret.set',
    { secretId: `sec_${name}`, name, secret: reference },
    actor === undefined ? {} : { actor },
  );

describe('things as they were', () => {
  it('are those of the organisation, without what is secret, up to the position', async () => {
    const first = await token('tok_a', 'ci');
    await token('tok_other', 'theirs', { orgId: 'org_2' });
    const second = await token('tok_b', 'deploy');
    const third = await happened(streams.token('tok_a'), 'token.revoked', { tokenId: 'tok_a' });
    const names = async (position: bigint) => (await controller.list(caller(), String(position), 'tokens')).data;
    expect(await names(0n)).toEqual([]);
    expect(await names(first)).toMatchObject([{ id: 'tok_a', name: 'ci', roles: ['admin'], updatedBy: 'token/tok_a' }]);
    expect(await names(second)).toMatchObject([{ name: 'ci' }, { name: 'deploy' }]);
    expect(await names(third)).toMatchObject([{ name: 'deploy' }]);
    expect(JSON.stringify(await names(second))).not.toContain('SECRET-HASH');
  });

  it('come in pages', async () => {
    for (const id of ['a', 'b', 'c']) await token(`tok_${id}`, id);
    const one = await controller.list(caller(), '3', 'tokens', '', '2');
    expect(one.data).toMatchObject([{ name: 'a' }, { name: 'b' }]);
    const two = await controller.list(caller(), '3', 'tokens', '', '2', one.nextCursor!);
    expect(two).toMatchObject({ data: [{ name: 'c' }], nextCursor: null, position: '3' });
  });

  it('are found one by one, and those of other organisations are not', async () => {
    const position = String(await token('tok_a', 'ci'));
    expect(await controller.view(caller(), position, 'tokens', 'tok_a')).toMatchObject({ id: 'tok_a', name: 'ci' });
    for (const [who, at, kind] of [
      [caller('org_2'), position, 'tokens'],
      [caller(), '0', 'tokens'],
      [caller(), position, 'secrets'],
    ] as const)
      await expect(controller.view(who, at, kind, 'tok_a')).rejects.toMatchObject({ code: 'as_of.not_found' });
  });

  it('are seen by admins of the installation where these see them now', async () => {
    const at = { orgId: 'org_2' };
    const data = { organisationId: 'org_2', name: 'second' };
    const position = String(await happened(streams.organisation('org_2'), 'organisation.created', data, at));
    const seen = async (...who: Parameters<typeof caller>) =>
      (await controller.list(caller(...who), position, 'organisations')).data.length;
    expect(await seen(DEFAULT_ORG, 'admin')).toBe(1);
    expect(await seen(DEFAULT_ORG, 'auditor')).toBe(0);
    expect(await seen('org_2', 'auditor')).toBe(1);
  });

  it('are asked for by a time too', async () => {
    await token('tok_a', 'ci');
    await token('tok_b', 'deploy');
    await token('tok_c', 'late');
    const page = await controller.list(caller(), '2026-11-20T11:00Z', 'tokens');
    expect(page).toMatchObject({ data: [{ name: 'ci' }, { name: 'deploy' }], position: '2' });
  });

  it('need a point that exists, and a kind', async () => {
    await token('tok_a', 'ci');
    for (const [point, code, detail] of [
      ['2', 'as_of.in_future', 'Must be at most 1, where the log ends now.'],
      ['2026-11-20T13:00:00Z', 'as_of.in_future', 'Must not be after now, 2026-11-20T12:00:00.000Z.'],
      ['yesterday', 'as_of.bad_point', 'Must be a position of the log, or a time such as 2026-11-20T09:00:00Z.'],
    ] as const)
      await expect(controller.list(caller(), point, 'tokens')).rejects.toMatchObject({
        ...{ kind: 'invalid', code, problems: [{ pointer: '/positionOrTime', detail }] },
      });
    await expect(controller.list(caller(), '1', 'runs')).rejects.toMatchObject({
      ...{ code: 'as_of.unknown_kind', message: '"runs" is none of tokens, secrets, organisations.' },
    });
  });
});

describe('a difference', () => {
  it('names each field, each change and who did it, with the name of then', async () => {
    await token('tok_a', 'ci');
    const from = String(await secret('KEEP', 'ref-1'));
    await token('tok_b', 'short', { actor: 'millrace' });
    await secret('KEEP', 'ref-2');
    await happened(streams.token('tok_a'), 'token.revoked', { tokenId: 'tok_a' }, { actor: 'token/tok_b' });
    await happened(streams.token('tok_b'), 'token.revoked', { tokenId: 'tok_b' }, { actor: 'token/tok_b' });
    await token('tok_other', 'theirs', { orgId: 'org_2' });
    const { data } = await controller.difference(caller(), from);
    expect(data.map(({ kind, key, name, change }) => ({ kind, key, name, change }))).toEqual([
      { kind: 'tokens', key: 'tok_b', name: 'short', change: 'passed' },
      { kind: 'secrets', key: 'KEEP', name: 'KEEP', change: 'changed' },
      { kind: 'tokens', key: 'tok_a', name: 'ci', change: 'removed' },
    ]);
    const [passed, kept, removed] = data;
    expect(passed!.changes).toMatchObject([
      {
        type: 'token.created',
        actor: 'millrace',
        actorName: null,
        fields: expect.arrayContaining([{ pointer: '/name', after: 'short' }]),
      },
      { type: 'token.revoked', actor: 'token/tok_b', actorName: 'short' },
    ]);
    expect(kept).toMatchObject({ fields: [], changes: [{ type: 'secret.set', actorName: 'ci', fields: [] }] });
    expect(removed!.fields).toContainEqual({ pointer: '/name', before: 'ci' });
    expect(removed!.changes).toMatchObject([{ actorName: 'short', at: now.toISOString() }]);
    expect(JSON.stringify(data)).not.toMatch(/SECRET-HASH|ref-\d/);
  });

  it('is about the kinds that are named, between points in order', async () => {
    await token('tok_a', 'ci');
    await secret('KEY', 'ref-1');
    const { data, to } = await controller.difference(caller(), '0', '', 'secrets');
    expect({ to, kinds: data.map(({ kind }) => kind) }).toEqual({ to: '2', kinds: ['secrets'] });
    expect((await controller.difference(caller(), '0', '1')).data).toMatchObject([{ key: 'tok_a', change: 'created' }]);
    await expect(controller.difference(caller(), '2', '1')).rejects.toMatchObject({ problems: [{ pointer: '/to' }] });
    await expect(controller.difference(caller(), '9')).rejects.toMatchObject({ problems: [{ pointer: '/from' }] });
  });

  it('says what to do when there is too much of it', async () => {
    for (let turn = 0; turn <= 2_000; turn++) await secret('KEY', `ref-${turn}`);
    await expect(controller.difference(caller(), '0')).rejects.toMatchObject({ code: 'as_of.too_many_changes' });
  });

  it('compares objects by their fields and lists as a whole; what is not there is absent', () => {
    const before = { a: { b: 1, c: [1, 2] }, 'x/y': 1, same: { z: null } };
    const after = { a: { b: 2, c: [2, 1], d: null }, same: { z: null }, updatedAt: 'later' };
    expect(fieldDifferences(before, after)).toEqual([
      { pointer: '/a/b', before: 1, after: 2 },
      { pointer: '/a/c', before: [1, 2], after: [2, 1] },
      { pointer: '/a/d', after: null },
      { pointer: '/x~1y', before: 1 },
    ]);
  });
});
