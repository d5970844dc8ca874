import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { subjectVerbs } from './subject-verbs.js';

const ID = `sub_${'a'.repeat(22)}`;
const row = { id: ID, state: 'active', createdAt: 't1', erasedAt: null };
const detail = {
  ...row,
  events: 12,
  notReached: {
    sent: [{ type: 'webhook.delivered', eventId: 'evt_1', subject: 'webhook/whk_1', at: 't2' }],
    sentTotal: 3,
    copies: ['Delete backups from before the erasure.'],
  },
};
const verb = (name: string, shell: FakeShell, args: readonly string[] = [], options: Given = {}) =>
  subjectVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);

describe('subject', () => {
  it('lists hashes and states', async () => {
    const shell = new FakeShell({ 'GET /api/v1/subjects?limit=200': { data: [row], nextCursor: null } });
    await verb('ls', shell);
    expect(shell.out).toEqual(['PERSON | STATE | SINCE | ERASED', `${ID} | active | t1 | `]);
  });

  it('looks a person up with the id in the body, and shows what was sent to others', async () => {
    const shell = new FakeShell({ 'POST /api/v1/subjects/lookup': detail });
    await verb('view', shell, ['jane@acme.example']);
    expect(shell.asked[0]!.body).toEqual({ id: 'jane@acme.example' });
    expect(shell.out.join('\n')).toContain('evt_1 | webhook.delivered | webhook/whk_1 | t2');
    expect(shell.out.join('\n')).toContain('(1 of 3)');
    expect(shell.notes).toEqual(['Delete backups from before the erasure.']);
  });

  it('erases nothing before it is confirmed, and says how to confirm', async () => {
    const shell = new FakeShell({ 'POST /api/v1/subjects/lookup': detail });
    await expect(verb('erase', shell, ['jane@acme.example'])).rejects.toThrow(
      `12 events have data of ${ID}. Once it is erased, nobody can read it again. To erase it: millrace subject erase ${ID} --yes`,
    );
    expect(shell.asked.map(({ method }) => method)).toEqual(['POST']);
  });

  it('erases by the hash, so that no URL has the id of the person', async () => {
    const shell = new FakeShell({
      'POST /api/v1/subjects/lookup': detail,
      [`DELETE /api/v1/subjects/${ID}`]: { ...detail, state: 'erased', erasedAt: 't3' },
    });
    await verb('erase', shell, ['jane@acme.example'], { yes: true });
    expect(shell.out.join('\n')).toContain(`${ID} | erased | t1 | t3 | 12`);
  });
});
