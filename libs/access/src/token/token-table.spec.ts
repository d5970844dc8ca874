import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { hashOf } from './token.js';
import { TokenTable } from './token.table.js';

type Draft = EventDraft<'token.created' | 'token.revoked'>;

/** A table that has seen these events, in this order. */
async function tableOf(...drafts: readonly (readonly [orgId: string, draft: Draft])[]): Promise<TokenTable> {
  const store = new MemoryEventStore();
  const table = new TokenTable();
  for (const [orgId, draft] of drafts) {
    const context = { id: uuid7(), orgId, actor: 'millrace', now: new Date('2026-11-20T12:00:00Z') };
    await store.append(`s-${uuid7()}`, [newEvent(draft, context)], 'no-stream');
  }
  const { events } = await store.readAll({ limit: 100 });
  for (const event of events) table.apply(event);
  return table;
}

const created = (id: string, text: string, more: object = {}): Draft => ({
  type: 'token.created',
  data: { tokenId: id, name: id, hash: hashOf(text), roles: ['auditor'], ...more },
});
const revoked = (id: string): Draft => ({ type: 'token.revoked', data: { tokenId: id } });

describe('the table of tokens', () => {
  it('finds a token by its text alone', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_one')], ['org_b', created('tok_2', 'mr_two')]);
    expect(table.find('mr_two')).toMatchObject({ id: 'tok_2', orgId: 'org_b', roles: ['auditor'] });
    expect(table.find('mr_three')).toBeUndefined();
    expect(table.find(hashOf('mr_one'))).toBeUndefined();
  });

  it('forgets a revoked token', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_one')], ['org_a', revoked('tok_1')]);
    expect(table.find('mr_one')).toBeUndefined();
    expect(table.list('org_a')).toEqual([]);
  });

  it('knows the name of a revoked token, in its organisation alone', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_one')], ['org_a', revoked('tok_1')]);
    expect(table.nameOf('org_a', 'token/tok_1')).toBe('tok_1');
    expect(table.nameOf('org_b', 'token/tok_1')).toBeUndefined();
    expect(table.nameOf('org_a', 'rule/tok_1')).toBeUndefined();
  });

  it('knows whether another admin is valid', async () => {
    const admin = { roles: ['admin'] };
    const now = new Date('2026-11-30T00:00:00Z');
    const alone = await tableOf(
      ['org_a', created('tok_1', 'mr_one', admin)],
      ['org_a', created('tok_2', 'mr_two')],
      ['org_a', created('tok_3', 'mr_three', { ...admin, expiresAt: '2026-11-29T00:00:00.000Z' })],
      ['org_b', created('tok_4', 'mr_four', admin)],
      ['org_a', created('tok_5', 'mr_five', admin)],
      ['org_a', revoked('tok_5')],
    );
    expect(alone.otherAdmins(alone.find('mr_one')!, now)).toEqual([]);
    const two = await tableOf(
      ['org_a', created('tok_1', 'mr_one', admin)],
      ['org_a', created('tok_2', 'mr_two', admin)],
    );
    expect(two.otherAdmins(two.find('mr_one')!, now)).toHaveLength(1);
  });

  it('knows a token that was made anew under its id by the new text only', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_old')], ['org_a', created('tok_1', 'mr_new')]);
    expect(table.find('mr_old')).toBeUndefined();
    expect(table.find('mr_new')?.id).toBe('tok_1');
    expect(table.list('org_a')).toHaveLength(1);
  });

  it('keeps a text valid that a second token took over before the first was revoked', async () => {
    const table = await tableOf(
      ['org_a', created('tok_1', 'mr_one')],
      ['org_a', created('tok_2', 'mr_one')],
      ['org_a', revoked('tok_1')],
    );
    expect(table.find('mr_one')?.id).toBe('tok_2');
  });

  it('shows an organisation its own tokens only', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_one')], ['org_b', created('tok_2', 'mr_two')]);
    expect(table.list('org_a').map(({ id }) => id)).toEqual(['tok_1']);
    expect(table.get('org_a', 'tok_2')).toBeUndefined();
    expect(table.get('org_b', 'tok_2')).toBeDefined();
  });

  it('is empty after it was cleared', async () => {
    const table = await tableOf(['org_a', created('tok_1', 'mr_one', { bootstrap: true })]);
    expect(table.bootstrapTokens()).toHaveLength(1);
    table.clear();
    expect(table.find('mr_one')).toBeUndefined();
    expect(table.bootstrapTokens()).toEqual([]);
  });
});
