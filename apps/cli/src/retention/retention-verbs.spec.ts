import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { retentionVerbs } from './retention-verbs.js';

const verb = (name: string, shell: FakeShell, options: Given = {}) =>
  retentionVerbs.find(({ usage }) => usage === name)!.run(shell, [], options);
const kept = { payloads: null, decisions: 30, attempts: null, runs: null };

describe('retention', () => {
  it('shows how long things are kept', async () => {
    const shell = new FakeShell({ 'GET /api/v1/retention': kept });
    await verb('view', shell);
    expect(shell.out).toEqual([
      'WHAT | KEPT FOR',
      'payloads | kept',
      'decisions | 30 days',
      'attempts | kept',
      'runs | kept',
    ]);
  });

  it('changes what is given, and leaves the rest as it is', async () => {
    const shell = new FakeShell({
      'GET /api/v1/retention': kept,
      'PUT /api/v1/retention': { ...kept, payloads: 90, decisions: null },
    });
    await verb('set', shell, { payloads: '90', decisions: 'keep' });
    expect(shell.asked.at(-1)!.body).toEqual({ ...kept, payloads: 90, decisions: null });
    expect(shell.out).toContain('payloads | 90 days');
  });

  it.each<[Given, string]>([
    [{}, 'Say what to change'],
    [{ runs: 'soon' }, '--runs must be a whole number of days'],
    [{ runs: '0' }, '--runs must be a whole number of days'],
  ])('refuses %j', async (options, message) => {
    await expect(verb('set', new FakeShell({ 'GET /api/v1/retention': kept }), options)).rejects.toThrow(message);
  });
});
