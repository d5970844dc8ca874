import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, fold } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { leaveAdmins, revokeAdmin } from './last-admin.js';
import { hashOf, token, updateToken, UpdateToken } from './token.js';
import { TokenTable } from './token.table.js';

const clock = new SystemClock();
const ORG = 'org_a';

/** A log with so many admins. */
async function given(count: number): Promise<MemoryEventStore> {
  const store = new MemoryEventStore();
  for (let n = 0; n < count; n++) {
    const data = { tokenId: `tok_${n}`, name: String(n), hash: hashOf(String(n)), roles: ['admin' as const] };
    const context = { id: uuid7(), orgId: ORG, actor: 'millrace', now: clock.now() };
    await store.append(streams.token(`tok_${n}`), [newEvent({ type: 'token.created', data }, context)], 'no-stream');
  }
  return store;
}

/** As a process that has read the log up to now, and learns nothing of what others do next. */
async function processOf(store: MemoryEventStore) {
  const tokens = new TokenTable();
  for (const event of (await store.readAll({ limit: 1000 })).events) tokens.apply(event);
  return { store, clock, tokens };
}

async function revoke(parts: Awaited<ReturnType<typeof processOf>>, n: number): Promise<'revoked' | 'refused'> {
  try {
    await revokeAdmin(parts, parts.tokens.get(ORG, `tok_${n}`)!, 'token/tok_x');
    return 'revoked';
  } catch (error) {
    if (error instanceof Rejected && error.code === 'token.last_admin') return 'refused';
    throw error;
  }
}

const activeIn = async (store: MemoryEventStore, count: number): Promise<number> => {
  let active = 0;
  for (let n = 0; n < count; n++)
    if (fold(token, await store.readStream(streams.token(`tok_${n}`))).kind === 'active') active++;
  return active;
};

describe('revoking tokens with the role admin', () => {
  it('leaves one of two that revoke each other at once, in two processes', async () => {
    const store = await given(2);
    const [one, other] = await Promise.all([processOf(store), processOf(store)]);
    const outcomes = await Promise.all([revoke(one, 1), revoke(other, 0)]);
    expect(outcomes.sort()).toEqual(['refused', 'revoked']);
    expect(await activeIn(store, 2)).toBe(1);
  });

  it('leaves exactly one, whichever processes revoke all of them at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 4 }), fc.array(fc.nat(7), { maxLength: 4 }), async (count, again) => {
        const store = await given(count);
        const targets = [...Array(count).keys(), ...again.map((n) => n % count)];
        const processes = await Promise.all(targets.map(() => processOf(store)));
        await Promise.all(targets.map((n, index) => revoke(processes[index]!, n)));
        expect(await activeIn(store, count)).toBe(1);
      }),
      { numRuns: 4 },
    );
  });

  it('leaves one of two that take the role from each other at once, in two processes', async () => {
    const store = await given(2);
    const demote = async (parts: Awaited<ReturnType<typeof processOf>>, n: number) => {
      const author = { orgId: ORG, actor: 'token/tok_x' };
      const update = (revision: bigint) =>
        execute(
          store,
          clock,
          token,
          updateToken,
          new UpdateToken(`tok_${n}`, author, { roles: ['auditor'] }, revision),
        );
      return leaveAdmins(parts, parts.tokens.get(ORG, `tok_${n}`)!, author.actor, update).then(
        () => 'changed',
        (error: Rejected) => error.code,
      );
    };
    const [one, other] = await Promise.all([processOf(store), processOf(store)]);
    const outcomes = await Promise.all([demote(one, 1), demote(other, 0)]);
    expect(outcomes.sort()).toEqual(['changed', 'token.last_admin']);
    // The table of a process that has read the log knows it.
    expect((await processOf(store)).tokens.list(ORG).filter(({ roles }) => roles.includes('admin'))).toHaveLength(1);
    // A token without the role may go.
    const { tokens } = await processOf(store);
    const demoted = tokens.list(ORG).find(({ roles }) => !roles.includes('admin'))!;
    expect(await revoke(await processOf(store), Number(demoted.id.slice(4)))).toBe('revoked');
  });

  it('ends the turn of a process that died before it revoked, so that others are not held up', async () => {
    const store = await given(3);
    const reserved = { kind: 'token', name: 'revoked admin', holder: 'tok_0', revision: '0' };
    const context = { id: uuid7(), orgId: ORG, actor: 'token/tok_x', now: clock.now() };
    const turn = streams.name('token', ORG, 'revoked admin');
    await store.append(turn, [newEvent({ type: 'name.reserved', data: reserved }, context)], 'no-stream');
    expect(await revoke(await processOf(store), 1)).toBe('revoked');
    expect(await revoke(await processOf(store), 2)).toBe('revoked');
    expect(await revoke(await processOf(store), 0)).toBe('refused');
  });
});
