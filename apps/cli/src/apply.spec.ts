import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../testing/fake-shell.js';

import { wantedOf } from './apply-files.js';
import { apply, isSame, report } from './apply-plan.js';

const rule = { name: 'pushes', eventType: 'git.push', actions: [{ type: 'create_issue' }] };
const saved = {
  id: 'rul_1',
  ...rule,
  eventSource: '*',
  actions: [{ type: 'create_issue', with: {} }],
  enabled: true,
  status: 'enabled',
  version: 3,
};
const file = (name: string, value: unknown) => ({ file: name, text: JSON.stringify(value) });
const flow = { name: 'hello', steps: [] };
const files = [file('rules/a.json', rule), file('workflows/b.json', flow)];
const RULES = 'GET /api/v1/rules?limit=200';
const FLOWS = 'GET /api/v1/workflows?limit=200';
const none = { data: [], nextCursor: null };
const valid = { valid: true, version: 'v1', errors: [] };
const changes = (applied: readonly { change: string }[]) => applied.map(({ change }) => change);

describe('a file', () => {
  it('is a rule or a workflow by what it holds', () => {
    expect(wantedOf(files)).toMatchObject([
      { kind: 'rule', name: 'pushes', body: rule },
      { kind: 'workflow', name: 'hello', source: JSON.stringify(flow) },
    ]);
  });

  it.each([
    [{ file: 'x.yaml', text: 'a: [' }, /^x\.yaml:/],
    [file('x.json', [1]), /holds no rule/],
    [file('x.json', { eventType: 'a' }), /no name/],
    [file('x.json', { name: 'a' }), /eventType.*steps/],
  ])('that is neither has its problem: %j', (one, problem) => {
    expect(wantedOf([one])).toMatchObject([{ kind: 'unreadable', problem: expect.stringMatching(problem) }]);
  });

  it('with the name of another one is refused', () => {
    expect(wantedOf([file('a.json', rule), file('b.json', rule)])).toMatchObject([
      { kind: 'rule' },
      { kind: 'unreadable', problem: 'a.json is a rule pushes already.' },
    ]);
  });
});

describe('a rule is the same', () => {
  it.each<[boolean, object]>([
    [true, rule],
    [true, { ...rule, enabled: true }],
    [true, { ...rule, eventSource: '*' }],
    [false, { ...rule, enabled: false }],
    [false, { ...rule, description: 'new' }],
    [false, { ...rule, actions: [] }],
    [false, { ...rule, throttle: { limit: 1, per: '1m' } }],
  ])('%s: %j', (same, body) => {
    expect(isSame(body as Record<string, unknown>, saved)).toBe(same);
  });

  it('not where the file leaves out what is saved', () => {
    expect(isSame(rule, { ...saved, description: 'old' })).toBe(false);
  });
});

describe('applying', () => {
  it('creates what is new', async () => {
    const shell = new FakeShell({
      [RULES]: none,
      [FLOWS]: none,
      'POST /api/v1/rules': { ...saved, warnings: [] },
      'POST /api/v1/workflows/validate': valid,
      'PUT /api/v1/workflows/hello': {},
    });
    expect(changes(await apply(shell, wantedOf(files), false))).toEqual(['created', 'created']);
  });

  it('changes nothing where everything is the same', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      [FLOWS]: { data: [{ name: 'hello', version: 'v1' }], nextCursor: null },
      'PUT /api/v1/rules/rul_1': saved,
      'POST /api/v1/workflows/validate': valid,
    });
    expect(changes(await apply(shell, wantedOf(files), false))).toEqual(['unchanged', 'unchanged']);
  });

  it('says what a save changed', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      'PUT /api/v1/rules/rul_1': { ...saved, version: 4 },
    });
    expect(changes(await apply(shell, wantedOf([files[0]!]), false))).toEqual(['updated']);
  });

  it('does nothing on a dry run, and checks all the same', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      [FLOWS]: none,
      'POST /api/v1/rules/test': { warnings: [{ pointer: '/conditions', code: 'x', message: 'odd' }] },
      'POST /api/v1/workflows/validate': valid,
    });
    const wanted = wantedOf([...files, file('rules/c.json', { ...rule, name: 'new' })]);
    const applied = await apply(shell, wanted, true);
    expect(changes(applied)).toEqual(['unchanged', 'created', 'created']);
    expect(shell.asked.filter(({ method }) => method === 'PUT')).toEqual([]);
    expect(report(shell, applied, true)).toBe(0);
    expect(shell.notes[0]).toBe('rules/a.json: warning: /conditions: odd');
    expect(shell.out).toContain('workflows/b.json | workflow | hello | to be created');
  });

  it('goes on after what fails, names it with its place, and fails in the end', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved, { ...saved, id: 'rul_2' }], nextCursor: null },
      [FLOWS]: none,
      'POST /api/v1/workflows/validate': {
        valid: false,
        version: 'v',
        errors: [{ line: 3, column: 5, detail: 'is odd' }],
      },
    });
    const wanted = wantedOf([...files, file('rules/d.json', { ...rule, name: 'd' }), { file: 'e.yaml', text: 'a: [' }]);
    const applied = await apply(shell, wanted, false);
    expect(changes(applied)).toEqual(['failed', 'failed', 'failed', 'failed']);
    expect(report(shell, applied, false)).toBe(1);
    expect(shell.notes).toEqual([
      'rules/a.json: There are several rules of this name: rul_1, rul_2.',
      'workflows/b.json: 3:5: is odd',
      'rules/d.json: no answer to POST /api/v1/rules',
      expect.stringMatching(/^e\.yaml: 1:\d+: /),
    ]);
  });
});
