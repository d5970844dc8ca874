import { beforeEach, describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import {
  backtest,
  create,
  idOf,
  list,
  remove,
  switchTo,
  test as tryRule,
  update,
  versions,
  view,
  why,
} from './rule-verbs.js';

const file = 'rule.yaml';

const rule = {
  id: 'rul_1',
  name: 'pushes',
  status: 'enabled',
  version: 2,
  eventSource: '*',
  eventType: 'git.push',
  updatedAt: 'now',
  warnings: [{ pointer: '/conditions/field', column: 6, code: 'x', message: 'there is no field brnach here.' }],
};
const RULES = 'GET /api/v1/rules?limit=200';
let shell: FakeShell;
beforeEach(() => {
  shell = new FakeShell();
});

describe('rules in a list', () => {
  const answers = {
    [RULES]: { data: [rule], nextCursor: 'a b' },
    [`${RULES}&cursor=a%20b`]: { data: [{ ...rule, id: 'rul_2', name: 'other' }], nextCursor: null },
  };

  it('come from every page, as a table, as JSON or as ids', async () => {
    shell = new FakeShell(answers);
    await list(shell, {});
    expect(shell.out).toHaveLength(3);
    expect(shell.out[2]).toContain('rul_2 | other');
    shell = Object.assign(new FakeShell(answers), { quiet: true });
    await list(shell, {});
    expect(shell.out).toEqual(['rul_1', 'rul_2']);
    shell = Object.assign(new FakeShell(answers), { json: true });
    await list(shell, {});
    expect(JSON.parse(shell.out.join('\n'))).toHaveLength(2);
  });

  it('are found by name, if there is one of it', async () => {
    expect(await idOf(new FakeShell(answers), 'other')).toBe('rul_2');
    expect(await idOf(new FakeShell(), 'rul_7')).toBe('rul_7');
    await expect(idOf(new FakeShell(answers), 'nobody')).rejects.toThrow('There is no rule "nobody"');
    const twice = { [RULES]: { data: [rule, { ...rule, id: 'rul_2' }], nextCursor: null } };
    await expect(idOf(new FakeShell(twice), 'pushes')).rejects.toThrow('rul_1 or rul_2');
  });

  it('say what to do where there are none', async () => {
    shell = new FakeShell({ 'GET /api/v1/rules?status=disabled&limit=200': { data: [], nextCursor: null } });
    await list(shell, { status: 'disabled' });
    expect([shell.out, shell.notes]).toEqual([[], [expect.stringContaining('millrace rule create')]]);
  });
});

describe('a rule', () => {
  it('is saved from a file, and its warnings are noted', async () => {
    shell = new FakeShell({ 'POST /api/v1/rules': rule, 'PUT /api/v1/rules/rul_1': rule });
    await create(shell, file);
    await update(shell, 'rul_1', file);
    expect(shell.asked.map(({ body }) => body)).toEqual(Array(2).fill({ name: 'pushes', eventType: 'git.push' }));
    expect(shell.notes[0]).toBe('warning: /conditions/field, column 6: there is no field brnach here.');
    expect(shell.out).toEqual([
      'rul_1 "pushes" is created, version 2, enabled.',
      'rul_1 "pushes" is saved, version 2, enabled.',
    ]);
  });

  it('is shown, switched and archived', async () => {
    const answers = {
      'GET /api/v1/rules/rul_1': rule,
      'PATCH /api/v1/rules/rul_1': rule,
      'DELETE /api/v1/rules/rul_1': {},
      'GET /api/v1/rules/rul_1/versions?limit=200': {
        data: [
          {
            version: 2,
            name: 'pushes',
            eventType: 'git.push',
            savedBy: 'token/tok_1',
            savedByName: 'ci',
            savedAt: 'now',
          },
        ],
        nextCursor: null,
      },
    };
    shell = new FakeShell(answers);
    await view(shell, 'rul_1');
    expect(JSON.parse(shell.out[0]!)).toMatchObject({ id: 'rul_1' });
    await switchTo(shell, 'rul_1', false);
    expect(shell.asked.at(-1)!.body).toEqual({ enabled: false });
    expect(shell.notes).toEqual([]);
    await remove(shell, 'rul_1');
    expect(shell.out.at(-1)).toContain('archived');
    await versions(shell, 'rul_1');
    expect(shell.out.at(-1)).toContain('2 | pushes');
  });
});

describe('a trial', () => {
  const trial = { outcome: 'not_matched', trace: [], warnings: rule.warnings, actions: [] };

  it('takes an event of the log by its id, and another from a file', async () => {
    shell = new FakeShell({ 'POST /api/v1/rules/test': trial });
    expect(await tryRule(shell, file, { event: 'evt_1' })).toBe(0);
    expect(await tryRule(shell, file, { event: 'push.json' })).toBe(0);
    expect(shell.asked.map(({ body }) => body)).toMatchObject([{ eventId: 'evt_1' }, { event: { type: 'git.push' } }]);
    expect(shell.notes[0]).toContain('brnach');
  });

  it('fails where another outcome was expected', async () => {
    shell = new FakeShell({ 'POST /api/v1/rules/test': trial });
    expect(await tryRule(shell, file, { event: 'evt_1', expect: 'not_matched' })).toBe(0);
    expect(await tryRule(shell, file, { event: 'evt_1', expect: 'matched' })).toBe(1);
    expect(shell.notes.at(-1)).toBe('The outcome is not_matched, and matched was expected.');
  });

  it('says which file is not there', async () => {
    await expect(tryRule(shell, 'no.yaml', { event: 'evt_1' })).rejects.toThrow(/no\.yaml/);
  });
});

describe('a backtest', () => {
  const result = {
    scanned: 3,
    matched: 2,
    notMatched: 1,
    throttled: 0,
    errored: 0,
    notNamed: 0,
    samples: [],
    reasons: [],
    throttleExact: true,
    warnings: [],
    elapsedMs: 5,
  };
  const progress = { scanned: 1, total: 3, percent: 33, rate: 10 };

  it('asks with the range and the rule to compare with, shows a bar and then the result', async () => {
    shell = new FakeShell({ [RULES]: { data: [rule], nextCursor: null } });
    shell.lines = [{ progress }, { result }];
    await backtest(shell, file, { from: '12', to: '2026-11-01', by: 'timestamp', compareTo: 'pushes@1' });
    expect(shell.asked.at(-1)!.body).toEqual({
      rule: { name: 'pushes', eventType: 'git.push' },
      from: '12',
      to: '2026-11-01',
      by: 'timestamp',
      compareTo: { ruleId: 'rul_1', version: 1 },
    });
    expect(shell.bars).toEqual([expect.stringContaining('33 %'), undefined, undefined]);
    expect(shell.out[0]).toContain('3 events looked at');
  });

  it('takes the bar away when it fails', async () => {
    shell.lines = [{ progress }, { error: { code: 'log.unavailable', detail: 'Try again.' } }];
    await expect(backtest(shell, file, {})).rejects.toThrow('Try again.');
    expect(shell.bars.at(-1)).toBeUndefined();
    expect(shell.out).toEqual([]);
  });
});

describe('why', () => {
  const others = {
    nearestTriggers: [],
    eventId: 'evt_1',
    type: 'git.push',
    source: 'github',
    decided: true,
    decisions: 1,
    rules: 1,
    nearest: [],
  };
  const decision = {
    kind: 'rule',
    ruleId: 'rul_1',
    ruleName: 'pushes',
    ruleVersion: 1,
    outcome: 'matched',
    actions: [],
  };
  const answers = {
    'GET /api/v1/events/evt_1/why': others,
    'GET /api/v1/events/evt_1/decisions?limit=200': { data: [decision], nextCursor: null },
  };

  it('shows the verdicts, in words, as JSON or short', async () => {
    shell = new FakeShell(answers);
    await why(shell, 'evt_1');
    expect(shell.out[0]).toContain('matched      pushes (rul_1, version 1)');
    shell = Object.assign(new FakeShell(answers), { json: true });
    await why(shell, 'evt_1');
    expect(JSON.parse(shell.out[0]!)).toEqual({ ...others, decisions: [decision] });
    shell = Object.assign(new FakeShell(answers), { quiet: true });
    await why(shell, 'evt_1');
    expect(shell.out).toEqual(['rul_1 matched']);
  });

  it('is asked about events only', async () => {
    await expect(why(shell, 'rul_1')).rejects.toThrow(/evt_/);
    expect(shell.asked).toEqual([]);
  });
});
