import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { nowOrThen } from './as-of.js';

const rule = { id: 'rul_1', name: 'one', status: 'enabled', version: 2, updatedAt: '2026-11-20T12:00:00.000Z' };
const page = { data: [rule], nextCursor: null, position: '7' };
const LIST = 'GET /api/v1/as-of/7/rules?limit=200';
const ls = nowOrThen('rules', (shell) => Promise.resolve(shell.print('now')));

describe('ls and view', () => {
  it('show what is, and with --as-of what was', async () => {
    const now = new FakeShell();
    await ls(now, [], {});
    expect(now.out).toEqual(['now']);
    const then = new FakeShell({ [LIST]: page });
    await ls(then, [], { asOf: '7' });
    expect(then.out).toEqual([
      'ID | NAME | STATUS | VERSION | UPDATED',
      'rul_1 | one | enabled | 2 | 2026-11-20T12:00:00.000Z',
    ]);
    const none = new FakeShell({ [LIST]: { ...page, data: [] } });
    await ls(none, [], { asOf: '7' });
    expect(none.notes).toEqual(['There were no rules then.']);
  });

  it('find one thing by its id or the name that it had then', async () => {
    for (const key of ['rul_1', 'one']) {
      const shell = new FakeShell({ [LIST]: page, 'GET /api/v1/as-of/7/rules/rul_1': { ...rule, source: 'text' } });
      await ls(shell, [key], { asOf: '7' });
      expect(shell.out).toContain('name | one');
      expect(shell.out.at(-1)).toBe('\ntext');
    }
    const unknown = new FakeShell({ [LIST]: page });
    await expect(ls(unknown, ['two'], { asOf: '7' })).rejects.toThrow('There was no "two" then.');
    const twice = new FakeShell({ [LIST]: { ...page, data: [rule, { ...rule, id: 'rul_2' }] } });
    await expect(ls(twice, ['one'], { asOf: '7' })).rejects.toThrow('rul_1 or rul_2');
    const secrets = new FakeShell({ 'GET /api/v1/as-of/7/secrets/API_KEY': { name: 'API_KEY' } });
    await nowOrThen('secrets', ls)(secrets, ['API_KEY'], { asOf: '7' });
    expect(secrets.out).toContain('name | API_KEY');
  });
});
