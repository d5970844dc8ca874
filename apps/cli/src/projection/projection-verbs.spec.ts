import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { projectionVerbs } from './projection-verbs.js';
import { subscriberVerbs } from './subscriber-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[], given = {}) =>
  [...projectionVerbs, ...subscriberVerbs].find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, given);

const job = {
  ...{ id: 'reb_1', projection: 'rules.views', mode: 'rebuild', status: 'running', requestedBy: 'token/tok_1' },
  ...{ requestedAt: '2026-11-20T12:00:00.000Z', endedAt: null, events: 50, position: '50', target: '200' },
};
const PATH = '/api/v1/projections/rules.views';

describe('millrace projection', () => {
  it('rebuilds: shows how far it is, and how it ended', async () => {
    const answers = {
      [`POST ${PATH}/rebuild`]: job,
      [`GET ${PATH}/rebuilds/reb_1`]: { ...job, status: 'rebuilt', events: 200 },
    };
    const shell = new FakeShell(answers);
    expect(await verb('rebuild', shell, ['rules.views'])).toBe(0);
    expect(shell.bars).toEqual(['50 events, 25 %', undefined]);
    expect(shell.out).toEqual(['Rebuild reb_1 of rules.views is done; the new rows are in use: 200 events.']);
    const detached = new FakeShell(answers);
    expect(await verb('rebuild', detached, ['rules.views'], { detach: true })).toBe(0);
    expect(detached.out).toEqual(['Rebuild reb_1 of rules.views is under way: 50 events.']);
  });

  it('verifies: names the rows that differ, and exits with 1', async () => {
    const rows = [
      { table: 'rules', key: 'id=rul_1', kind: 'changed', columns: ['name', 'status'] },
      { table: 'rules', key: 'id=rul_2', kind: 'missing', columns: [] },
    ];
    const shell = new FakeShell({
      [`POST ${PATH}/verify`]: { ...job, mode: 'verify', status: 'different', differing: 3, rows },
    });
    expect(await verb('verify', shell, ['rules.views'])).toBe(1);
    expect(shell.out).toEqual([
      'Verification reb_1 of rules.views found rows that differ: 50 events.',
      'changed: rules id=rul_1 (name, status)',
      'missing: rules id=rul_2',
      '… and 1 more.',
    ]);
  });

  it('says why a rebuild failed, lists and cancels', async () => {
    const failed = new FakeShell({ [`POST ${PATH}/rebuild`]: { ...job, status: 'failed', error: 'Too picky.' } });
    expect(await verb('rebuild', failed, ['rules.views'])).toBe(1);
    expect(failed.out.at(-1)).toBe('Too picky.');
    const shell = new FakeShell({
      [`GET ${PATH}/rebuilds?limit=200`]: { data: [job], nextCursor: null },
      [`POST ${PATH}/rebuilds/reb_1/cancel`]: { ...job, status: 'cancelled' },
    });
    await verb('rebuilds', shell, ['rules.views']);
    await verb('cancel', shell, ['rules.views', 'reb_1']);
    expect(shell.out).toEqual([
      'ID | MODE | STATUS | EVENTS | REQUESTED | ENDED',
      'reb_1 | rebuild | running | 50 | 2026-11-20T12:00:00.000Z | -',
      'Rebuild reb_1 of rules.views was cancelled: 50 events.',
    ]);
  });
});

describe('millrace subscriber', () => {
  const data = [{ name: 'rules.views', state: 'live', parked: 1 }];
  const parked = { data: [{ position: '7', eventId: 'evt_1', type: 'rule.created', reason: 'too picky', tries: 3 }] };
  const answers = {
    'GET /api/v1/subscribers': { data },
    'GET /api/v1/subscribers/rules.views/parked': parked,
    'POST /api/v1/subscribers/rules.views/parked/7/retry': { status: 'requested' },
  };

  it('shows what it has parked', async () => {
    const shell = new FakeShell(answers);
    await verb('view', shell, ['rules.views']);
    expect(shell.out).toContain('7 | evt_1 | rule.created | 3 | too picky');
    await expect(verb('view', new FakeShell(answers), ['none'])).rejects.toThrow('There is no subscriber none.');
  });

  it('has one parked event or all of them processed again', async () => {
    for (const args of [['rules.views'], ['rules.views', '7']]) {
      const shell = new FakeShell(answers);
      await verb('retry', shell, args);
      expect(shell.asked.at(-1)).toMatchObject({ path: '/api/v1/subscribers/rules.views/parked/7/retry' });
      expect(shell.out[0]).toContain('1 event is processed again.');
    }
  });
});
